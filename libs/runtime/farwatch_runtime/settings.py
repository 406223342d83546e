"""Settings from the environment: one frozen model a service, read once, errors that name the variable."""

import difflib
import os
import types
import typing
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, Self, TypedDict

from pydantic import BaseModel, ConfigDict, Field, SecretStr, ValidationError
from pydantic.fields import FieldInfo
from pydantic_core import ErrorDetails

from farwatch_runtime.known import KNOWN

PREFIX = "FARWATCH_"
FILE_SUFFIX = "_FILE"
LARGEST_SETTING_FILE_BYTES = 64 * 1024
PLACEHOLDER_SECRETS = frozenset({"changeme", "change-me", "changethis", "secret", "password"})

__all__ = ["KNOWN", "DatabaseSettings", "NatsOptions", "ServiceSettings", "SettingsError", "variable_of"]


class SettingsError(Exception):
    """One line for a person: which variable is wrong and how to mend it. Never holds a secret."""


class NatsOptions(TypedDict):
    """Arguments of `Bus.connect`, which this package must not import."""

    url: str
    user: str | None
    password: str | None
    domain: str | None
    ca_file: str | None
    cert_file: str | None
    key_file: str | None


class ServiceSettings(BaseModel):
    """Base of each service's settings. The field `nats_url` is read from FARWATCH_NATS_URL."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True, validate_default=True)

    nats_url: str = "nats://127.0.0.1:4222"
    nats_user: str | None = None
    nats_password: SecretStr | None = None
    nats_domain: str | None = None
    nats_ca_file: Path | None = None
    nats_cert_file: Path | None = None
    nats_key_file: Path | None = None
    log_level: Literal["debug", "info", "warning", "error"] = "info"
    log_format: Literal["console", "json"] = "console"
    health_host: str = "127.0.0.1"
    health_port: Annotated[int, Field(ge=-1, le=65535)] = 0
    metrics_token: SecretStr | None = None

    def nats_options(self) -> NatsOptions:
        """For `Bus.connect(name=…, **settings.nats_options())`."""
        return NatsOptions(
            url=self.nats_url,
            user=self.nats_user,
            password=self.nats_password.get_secret_value() if self.nats_password else None,
            domain=self.nats_domain,
            ca_file=str(self.nats_ca_file) if self.nats_ca_file else None,
            cert_file=str(self.nats_cert_file) if self.nats_cert_file else None,
            key_file=str(self.nats_key_file) if self.nats_key_file else None,
        )

    @classmethod
    def load(cls, environ: Mapping[str, str] = os.environ) -> Self:
        """Read every field from its variable, or from the file that its `…_FILE` variable names.

        Raises SettingsError for an unknown FARWATCH_ variable, a bad value or a file that cannot be read.
        An empty variable counts as not set, because compose files cannot leave one out.
        """
        refuse_unknown(environ)
        raw = {
            name: value
            for name, field in cls.model_fields.items()
            if (value := read_field(name, field, environ)) is not None
        }
        try:
            return cls.model_validate(raw)
        except ValidationError as error:
            raise SettingsError(explain(error.errors()[0], cls.model_fields)) from None


class DatabaseSettings(ServiceSettings):
    """Base of the settings of services that use PostgreSQL."""

    database_url: SecretStr
    database_pool_size: Annotated[int, Field(ge=1, le=100)] = 8


def variable_of(field_name: str) -> str:
    return PREFIX + field_name.upper()


def refuse_unknown(environ: Mapping[str, str]) -> None:
    for name in sorted(environ):
        if not name.startswith(PREFIX) or name in KNOWN or name.removesuffix(FILE_SUFFIX) in KNOWN:
            continue
        names = [known.removeprefix(PREFIX) for known in KNOWN]
        close = difflib.get_close_matches(name.removeprefix(PREFIX), names, n=1)
        mend = (
            f"did you mean {PREFIX}{close[0]}?" if close else "remove it, or see docs/configuration.md for the names."
        )
        raise SettingsError(f"{name} is not a setting of Farwatch: {mend}")


def read_field(name: str, field: FieldInfo, environ: Mapping[str, str]) -> object:
    """The raw value of a field for pydantic, None when it is not set."""
    text = read_variable(variable_of(name), environ)
    if text is None:
        return None
    if is_secret(field) and text.lower() in PLACEHOLDER_SECRETS:
        raise SettingsError(f"{variable_of(name)} is a placeholder that everyone knows: set a secret of your own.")
    if is_sequence(field.annotation):
        return [part.strip() for part in text.split(",") if part.strip()]
    return text


def read_variable(variable: str, environ: Mapping[str, str]) -> str | None:
    text, file = environ.get(variable, ""), environ.get(variable + FILE_SUFFIX, "")
    if text and file:
        raise SettingsError(f"{variable} and {variable}{FILE_SUFFIX} are both set: remove one of them.")
    if file:
        return read_setting_file(variable + FILE_SUFFIX, Path(file))
    return text or None


def read_setting_file(variable: str, path: Path) -> str:
    try:
        with path.open("rb") as file:
            content = file.read(LARGEST_SETTING_FILE_BYTES + 1)
        text = content.decode().strip()
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "not UTF-8 text"
        raise SettingsError(
            f"{variable} names {path}, which cannot be read ({reason}): give a readable text file."
        ) from None
    if len(content) > LARGEST_SETTING_FILE_BYTES:
        raise SettingsError(f"{variable} names {path}, which is over 64 KiB: give a file that holds only the value.")
    if not text:
        raise SettingsError(f"{variable} names {path}, which is empty: write the value into it.")
    return text


def is_secret(field: FieldInfo) -> bool:
    return any(part is SecretStr for part in flatten(field.annotation))


def is_sequence(annotation: Any) -> bool:
    return any(typing.get_origin(part) in (tuple, list, set, frozenset) for part in flatten(annotation))


def flatten(annotation: Any) -> list[Any]:
    """The alternatives of a union, with Annotated taken off."""
    origin = typing.get_origin(annotation)
    if origin is Annotated:
        return flatten(typing.get_args(annotation)[0])
    if origin in (typing.Union, types.UnionType):
        return [part for argument in typing.get_args(annotation) for part in flatten(argument)]
    return [annotation]


def explain(problem: ErrorDetails, fields: Mapping[str, FieldInfo]) -> str:
    """One line from pydantic's first complaint; the value is shown unless it is a secret."""
    if not problem["loc"]:
        return f"The settings do not fit together: {problem['msg'].removeprefix('Value error, ')}."
    name = str(problem["loc"][0])
    variable = variable_of(name)
    if problem["type"] == "missing":
        return f"{variable} is not set: set it, or {variable}{FILE_SUFFIX} to a file that holds it."
    message = problem["msg"].removeprefix("Value error, ")
    shown = "" if name not in fields or is_secret(fields[name]) else f" {problem['input']!r}"
    return f"{variable}{shown} is not valid: {message[:1].lower()}{message[1:]}."
