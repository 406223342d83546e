"""Settings of the notifier."""

from pathlib import Path
from typing import Annotated

from pydantic import Field, field_validator

from farwatch_events.requests import require_web_address
from farwatch_runtime.settings import DatabaseSettings


class NotifierSettings(DatabaseSettings):
    """`public_url` makes the links in messages; without it they have none. `ca_file` is trusted by all channels."""

    secret_key_file: Path
    public_url: str = ""
    ca_file: Path | None = None
    keep_deliveries_days: Annotated[int, Field(ge=1, le=3650)] = 90

    @field_validator("public_url")
    @classmethod
    def _web_address(cls, url: str) -> str:
        return require_web_address(url) if url else url
