"""Settings of the incidents service."""

from typing import Annotated, Self

from pydantic import Field, SecretStr, field_validator, model_validator

from farwatch_runtime.settings import DatabaseSettings


class IncidentsSettings(DatabaseSettings):
    keep_raw_days: Annotated[int, Field(ge=1, le=3650)] = 7
    keep_hourly_days: Annotated[int, Field(ge=1, le=3650)] = 90
    keep_daily_days: Annotated[int, Field(ge=1, le=36500)] = 400
    canary_push_url: SecretStr | None = None

    @field_validator("canary_push_url")
    @classmethod
    def _web_address(cls, value: SecretStr | None) -> SecretStr | None:
        if value is not None and not value.get_secret_value().startswith(("http://", "https://")):
            raise ValueError("must start with http:// or https://")
        return value

    @model_validator(mode="after")
    def _coarser_is_longer(self) -> Self:
        if not self.keep_raw_days <= self.keep_hourly_days <= self.keep_daily_days:
            raise ValueError("FARWATCH_KEEP_RAW_DAYS must not exceed _HOURLY_, nor that FARWATCH_KEEP_DAILY_DAYS")
        return self
