"""Channel configuration: one model a channel type, which moments exist, and which fields are secrets.

These models are the validation of the REST API and what the forms are made from. A secret field may hold its
encrypted form ("enc:v1:…"), which is how it is stored; limits on its shape apply to what people write.
"""

import base64
import binascii
import re
from collections.abc import Callable, Mapping
from email.utils import parseaddr
from typing import Annotated, Any, Literal

from pydantic import Field, field_validator, model_validator
from pydantic.config import JsonDict

from farwatch_events.monitor import (
    ENCRYPTED_PREFIX,
    MASK,
    Port,
    Strict,
    Trimmed,
    is_secret_header,
    require_headers,
    require_web_address,
)

Moment = Literal["down", "up", "degraded", "first_failure", "first_success", "reminder", "region"]
"""When a channel is used. `region` is about a place of ours that went silent or suspect, and its return."""

MOMENTS: dict[Moment, str] = {
    "down": "A monitor is down",
    "up": "A monitor that was down or degraded has recovered",
    "degraded": "A monitor is slow, limited or seen as failing from some places only",
    "first_failure": "A check failed after a success, before it is confirmed",
    "first_success": "A check succeeded again before anything was confirmed",
    "reminder": "An incident is still open",
    "region": "A region stopped answering or is not to be trusted",
}
DEFAULT_MOMENTS: tuple[Moment, ...] = ("down", "up")

UseTls = Literal["starttls", "tls", "none"]
IMPLICIT_TLS_PORT = 465
SIGNING_PREFIX = "whsec_"

_MAILBOX = re.compile(r"^[^\s@<>,;:\"()\\]{1,64}@[^\s@<>,;:\"()\\]{1,255}$")
_STANDARD_HEADERS = ("webhook-id", "webhook-timestamp", "webhook-signature")
_OWN_HEADERS = frozenset({"host", "content-length", "transfer-encoding", "connection", *_STANDARD_HEADERS})
_SECRET: JsonDict = {"secret": True, "format": "password"}


def _require_written(value: str) -> str:
    if value == MASK:
        raise ValueError("is the mask of a secret that was never stored: write the secret itself")
    return value


def _require_secret_address(url: str) -> str:
    return url if url.startswith(ENCRYPTED_PREFIX) else require_web_address(_require_written(url))


def _require_mailbox(address: str) -> str:
    """Accepts `name@host` and `Name <name@host>`."""
    if any(ord(c) < 32 or ord(c) == 127 for c in address) or not _MAILBOX.match(parseaddr(address)[1]):
        raise ValueError(f"{address[:80]!r} is not an email address")
    return address


def _require_signing_secret(secret: str | None) -> str | None:
    if secret is None or secret.startswith(ENCRYPTED_PREFIX):
        return secret
    _require_written(secret)
    try:
        key = base64.b64decode(secret.removeprefix(SIGNING_PREFIX), validate=True)
    except (binascii.Error, ValueError):
        key = b""
    if not secret.startswith(SIGNING_PREFIX) or not 24 <= len(key) <= 64:
        raise ValueError(f'must be "{SIGNING_PREFIX}" followed by 24 to 64 random bytes in base64')
    return secret


def split_addresses(addresses: str | list[str]) -> list[str]:
    """One address, several separated by commas, or a list of them, as a list."""
    parts = addresses.split(",") if isinstance(addresses, str) else addresses
    return [part.strip() for part in parts if part.strip()]


class DiscordConfig(Strict):
    """A Discord webhook: Server settings → Integrations → Webhooks → Copy webhook URL."""

    webhook_url: Trimmed = Field(title="Webhook URL", min_length=1, max_length=4096, json_schema_extra=_SECRET)
    _check_webhook_url = field_validator("webhook_url")(_require_secret_address)


class SlackConfig(Strict):
    """A Slack incoming webhook."""

    webhook_url: Trimmed = Field(title="Webhook URL", min_length=1, max_length=4096, json_schema_extra=_SECRET)
    _check_webhook_url = field_validator("webhook_url")(_require_secret_address)


class WebhookConfig(Strict):
    """A JSON request to any address, signed as Standard Webhooks when a signing secret is set."""

    url: Trimmed = Field(title="URL", min_length=1, max_length=4096)
    method: Literal["POST", "PUT", "GET", "PATCH"] = Field(default="POST", title="Method")
    headers: dict[str, str] = Field(default_factory=dict, title="Headers", max_length=64)
    timeout: float = Field(default=10, ge=1, le=60, title="Timeout in seconds")
    signing_secret: Trimmed | None = Field(
        default=None,
        title="Signing secret",
        description="whsec_ and 24 to 64 random bytes in base64",
        max_length=1024,
        json_schema_extra=_SECRET,
    )
    _check_url = field_validator("url")(require_web_address)
    _check_signing_secret = field_validator("signing_secret")(_require_signing_secret)

    @field_validator("method", mode="before")
    @classmethod
    def _any_case(cls, method: Any) -> Any:
        return method.upper() if isinstance(method, str) else method

    @field_validator("headers", mode="before")
    @classmethod
    def _no_headers(cls, headers: Any) -> Any:
        return {} if headers is None else headers

    @field_validator("headers")
    @classmethod
    def _check_headers(cls, headers: dict[str, str]) -> dict[str, str]:
        for name, value in require_headers(headers).items():
            if name.lower() in _OWN_HEADERS:
                raise ValueError(f"header {name!r} is set by Farwatch itself")
            if is_secret_header(name) and value == MASK:
                raise ValueError(f"header {name!r} is the mask of a secret that was never stored: write its value")
        return headers

    @field_validator("signing_secret", mode="before")
    @classmethod
    def _empty_is_none(cls, secret: Any) -> Any:
        return None if secret == "" else secret


class EmailConfig(Strict):
    """Mail through an SMTP server."""

    smtp_server: Trimmed = Field(title="SMTP server", min_length=1, max_length=253, pattern=r"^[^\s/@]+$")
    smtp_port: Port = Field(default=587, title="Port")
    username: str | None = Field(default=None, title="User name", max_length=256)
    password: str | None = Field(default=None, title="Password", max_length=4096, json_schema_extra=_SECRET)
    from_email: Trimmed = Field(title="From", min_length=3, max_length=320)
    to_email: Trimmed | Annotated[list[Trimmed], Field(min_length=1, max_length=50)] = Field(
        title="To", description="One address or several"
    )
    use_tls: UseTls = Field(default="starttls", title="Encryption")
    _check_from_email = field_validator("from_email")(_require_mailbox)

    @model_validator(mode="before")
    @classmethod
    def _read_use_tls(cls, data: Any) -> Any:
        """true is STARTTLS, or TLS from the first byte on port 465, where no server offers STARTTLS; false is none."""
        if not isinstance(data, dict) or not isinstance(data.get("use_tls"), bool):
            return data
        implicit = str(data.get("smtp_port")) == str(IMPLICIT_TLS_PORT)
        wanted: UseTls = ("tls" if implicit else "starttls") if data["use_tls"] else "none"
        return {**data, "use_tls": wanted}

    @field_validator("username", "password", mode="before")
    @classmethod
    def _empty_is_none(cls, value: Any) -> Any:
        return None if value == "" else value

    @field_validator("password")
    @classmethod
    def _check_password(cls, password: str | None) -> str | None:
        return None if password is None else _require_written(password)

    @field_validator("to_email")
    @classmethod
    def _check_to_email(cls, to_email: str | list[str]) -> str | list[str]:
        addresses = split_addresses(to_email)
        if not 1 <= len(addresses) <= 50:
            raise ValueError("must be 1 to 50 email addresses")
        for address in addresses:
            _require_mailbox(address)
        return to_email

    @property
    def recipients(self) -> list[str]:
        return split_addresses(self.to_email)


ChannelConfig = DiscordConfig | SlackConfig | EmailConfig | WebhookConfig
CHANNEL_TYPES: dict[str, type[ChannelConfig]] = {
    "discord": DiscordConfig,
    "slack": SlackConfig,
    "email": EmailConfig,
    "webhook": WebhookConfig,
}


class UnknownChannelType(ValueError):
    """No channel of this type exists; the text names those that do."""


def channel_model(channel_type: str) -> type[ChannelConfig]:
    """Raises UnknownChannelType."""
    model = CHANNEL_TYPES.get(channel_type)
    if model is None:
        raise UnknownChannelType(f"type must be one of {', '.join(CHANNEL_TYPES)}")
    return model


def parse_channel(channel_type: str, config: Mapping[str, Any]) -> ChannelConfig:
    """Raises UnknownChannelType or pydantic.ValidationError, whose locations are the field names."""
    return channel_model(channel_type).model_validate(dict(config))


def dump_channel(config: ChannelConfig) -> dict[str, Any]:
    """Every field as JSON-ready values."""
    return config.model_dump(mode="json")


def channel_schema(channel_type: str) -> dict[str, Any]:
    """JSON schema of a type's fields, for forms: `title`, `description`, `default`, and `secret` where it is one."""
    return channel_model(channel_type).model_json_schema()


def secret_fields(channel_type: str) -> frozenset[str]:
    """Names of the fields that are secrets; values of secret-sounding headers are secrets besides."""
    fields = channel_model(channel_type).model_fields
    return frozenset(name for name, field in fields.items() if field.json_schema_extra == _SECRET)


def map_channel_secrets(channel_type: str, data: Mapping[str, Any], change: Callable[[str], str]) -> dict[str, Any]:
    """A copy of a dumped configuration in which `change` was applied to each secret that is set."""
    secrets = secret_fields(channel_type)
    changed = {name: change(value) if name in secrets and value else value for name, value in data.items()}
    headers = changed.get("headers")
    if isinstance(headers, Mapping):
        changed["headers"] = {k: change(v) if is_secret_header(k) and v else v for k, v in headers.items()}
    return changed


def mask_channel_secrets(channel_type: str, data: Mapping[str, Any]) -> dict[str, Any]:
    """What may be shown: each secret reads as MASK."""
    return map_channel_secrets(channel_type, data, lambda _: MASK)


def keep_masked_channel(channel_type: str, new: Mapping[str, Any], stored: Mapping[str, Any]) -> dict[str, Any]:
    """`new` with every MASK replaced by the stored (encrypted) value of the same field or header.

    A mask with nothing stored behind it stays and is refused by `parse_channel`.
    """
    secrets = secret_fields(channel_type)
    kept = {name: stored.get(name) or v if name in secrets and v == MASK else v for name, v in new.items()}
    headers, before = kept.get("headers"), stored.get("headers")
    if isinstance(headers, Mapping) and isinstance(before, Mapping):
        kept["headers"] = {k: before.get(k, v) if v == MASK else v for k, v in headers.items()}
    return kept
