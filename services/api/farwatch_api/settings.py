"""Settings of the api service."""

import ipaddress
from pathlib import Path
from typing import Annotated, Self

from pydantic import Field, SecretStr, field_validator, model_validator

from farwatch_runtime.secrets import SecretBox, SecretError
from farwatch_runtime.settings import DatabaseSettings

API_TOKEN_MIN_CHARS = 32
PASSWORD_MIN_CHARS = 10


class ApiSettings(DatabaseSettings):
    host: str = "127.0.0.1"
    port: Annotated[int, Field(ge=0, le=65535)] = 3000
    public_url: str | None = None
    trusted_proxies: list[str] = Field(default_factory=list)
    secret_key_file: Path
    admin_email: str | None = None
    admin_password: SecretStr | None = None
    api_token: SecretStr | None = None
    session_days: Annotated[int, Field(ge=1, le=365)] = 14
    setup_link_file: Path | None = None
    keep_raw_days: Annotated[int, Field(ge=1, le=3650)] = 7
    keep_hourly_days: Annotated[int, Field(ge=1, le=3650)] = 90

    @field_validator("secret_key_file")
    @classmethod
    def _readable_keys(cls, value: Path) -> Path:
        try:
            SecretBox.from_file(value)
        except SecretError as error:
            raise ValueError(str(error)) from None
        return value

    @field_validator("public_url")
    @classmethod
    def _base_url(cls, value: str | None) -> str | None:
        if value is not None and not value.startswith(("http://", "https://")):
            raise ValueError("must start with http:// or https://")
        return value.rstrip("/") if value else None

    @field_validator("trusted_proxies")
    @classmethod
    def _networks(cls, values: list[str]) -> list[str]:
        for value in values:
            ipaddress.ip_network(value, strict=False)
        return values

    @field_validator("api_token")
    @classmethod
    def _long_token(cls, value: SecretStr | None) -> SecretStr | None:
        if value is not None and len(value.get_secret_value()) < API_TOKEN_MIN_CHARS:
            raise ValueError(f"must be {API_TOKEN_MIN_CHARS} characters or more")
        return value

    @field_validator("admin_password")
    @classmethod
    def _long_password(cls, value: SecretStr | None) -> SecretStr | None:
        if value is not None and len(value.get_secret_value()) < PASSWORD_MIN_CHARS:
            raise ValueError(f"must be {PASSWORD_MIN_CHARS} characters or more")
        return value

    @model_validator(mode="after")
    def _admin_is_whole(self) -> Self:
        if (self.admin_email is None) != (self.admin_password is None):
            raise ValueError("FARWATCH_ADMIN_EMAIL and FARWATCH_ADMIN_PASSWORD go together")
        return self
