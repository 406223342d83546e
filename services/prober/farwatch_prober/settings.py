"""Settings of a prober."""

from pathlib import Path
from typing import Annotated

from pydantic import Field, IPvAnyAddress, field_validator

from farwatch_events.subjects import DEFAULT_REGION, PUSH_REGION, REGION_PATTERN
from farwatch_prober.authorities import require_authorities
from farwatch_prober.names import parse_servers, split_host_port
from farwatch_prober.policy import parse_denied, parse_networks
from farwatch_runtime.secrets import SecretBox, SecretError
from farwatch_runtime.settings import ServiceSettings

CANARIES_OFF = "off"


class ProberSettings(ServiceSettings):
    region: Annotated[str, Field(pattern=REGION_PATTERN)] = DEFAULT_REGION
    resolvers: tuple[str, ...] = ()
    ca_file: Path | None = None
    probe_source_address: IPvAnyAddress | None = None
    probe_deny: tuple[str, ...] = ()
    probe_allow: tuple[str, ...] = ()
    canaries: tuple[str, ...] = ()
    max_concurrency: Annotated[int, Field(ge=1, le=100_000)] = 2000
    secret_key_file: Path | None = None

    @field_validator("region")
    @classmethod
    def _not_push(cls, region: str) -> str:
        if region == PUSH_REGION:
            raise ValueError(f"{PUSH_REGION!r} is reserved for push monitors")
        return region

    @field_validator("probe_deny")
    @classmethod
    def _are_networks_or_servers(cls, texts: tuple[str, ...]) -> tuple[str, ...]:
        parse_denied(texts)
        return texts

    @field_validator("probe_allow")
    @classmethod
    def _are_networks(cls, texts: tuple[str, ...]) -> tuple[str, ...]:
        parse_networks(texts)
        return texts

    @field_validator("ca_file")
    @classmethod
    def _holds_authorities(cls, path: Path | None) -> Path | None:
        if path is not None:
            require_authorities(path)
        return path

    @field_validator("secret_key_file")
    @classmethod
    def _holds_keys(cls, path: Path | None) -> Path | None:
        if path is not None:
            try:
                SecretBox.from_file(path)
            except SecretError as error:
                raise ValueError(str(error)) from None
        return path

    @field_validator("resolvers")
    @classmethod
    def _are_servers(cls, texts: tuple[str, ...]) -> tuple[str, ...]:
        parse_servers(texts)
        return texts

    @field_validator("canaries")
    @classmethod
    def _are_endpoints(cls, texts: tuple[str, ...]) -> tuple[str, ...]:
        for text in texts:
            if text != CANARIES_OFF and split_host_port(text, 0)[1] == 0:
                raise ValueError(f"{text!r} is not host:port, nor {CANARIES_OFF!r}")
        return texts
