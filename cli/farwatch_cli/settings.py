"""Settings of the command: the environment, a file `.env` beneath it, and options above both."""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Self

from pydantic import Field, field_validator

from farwatch_events import subjects
from farwatch_runtime.settings import ServiceSettings, SettingsError, read_variable


def default_data_dir() -> Path:
    base = os.environ.get("XDG_DATA_HOME") or Path.home() / ".local" / "share"
    return Path(base) / "farwatch"


class UpSettings(ServiceSettings):
    """What `farwatch up` itself needs; everything else is handed on to the services."""

    host: str = "127.0.0.1"
    port: Annotated[int, Field(ge=0, le=65535)] = 3000
    data_dir: Path = Field(default_factory=default_data_dir)
    region: tuple[str, ...] = (subjects.DEFAULT_REGION,)
    probers: Annotated[int, Field(ge=0, le=64)] = 1
    nats_sync: Annotated[str, Field(pattern=r"^(always|\d+(ms|s|m))$")] = "1s"

    @field_validator("region")
    @classmethod
    def _regions_are_names(cls, regions: tuple[str, ...]) -> tuple[str, ...]:
        if not regions:
            raise ValueError("at least one region is needed")
        if subjects.PUSH_REGION in regions:
            raise ValueError(f"{subjects.PUSH_REGION!r} is the region of push monitors and takes no probers")
        return tuple(dict.fromkeys(subjects.require_region(region) for region in regions))

    @classmethod
    def read(cls, environ: Mapping[str, str], **options: object) -> Self:
        """Options that are not None win over the environment; raises SettingsError."""
        given = {f"FARWATCH_{name.upper()}": _text(value) for name, value in options.items() if value is not None}
        return cls.load({**environ, **given})


def environment(folder: Path) -> dict[str, str]:
    """The process's environment over the file `.env` of the folder, where there is one."""
    return {**read_dotenv(folder / ".env"), **os.environ}


def read_dotenv(path: Path) -> dict[str, str]:
    """NAME=value lines; blank lines and # comments are skipped, quotes around a value fall away."""
    if not path.is_file():
        return {}
    found: dict[str, str] = {}
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsError(f"{path} cannot be read: {error}") from None
    for number, line in enumerate(lines, start=1):
        text = line.strip().removeprefix("export ").strip()
        if not text or text.startswith("#"):
            continue
        name, equals, value = text.partition("=")
        if not equals or not name.strip().isidentifier():
            raise SettingsError(f"{path} line {number} is not NAME=value")
        found[name.strip()] = _unquoted(value.strip())
    return found


def read_option(name: str, environ: Mapping[str, str]) -> str | None:
    """One setting by its variable or its `…_FILE` variable; None when neither is set."""
    return read_variable(name, environ)


def _unquoted(value: str) -> str:
    if len(value) > 1 and value[0] == value[-1] and value[0] in "'\"":
        return value[1:-1]
    return value.split(" #", 1)[0].rstrip()


def _text(value: object) -> str:
    return ",".join(str(part) for part in value) if isinstance(value, (list, tuple)) else str(value)
