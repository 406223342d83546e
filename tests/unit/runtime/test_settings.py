"""Settings: read once, checked, and never a secret in a message."""

import inspect
from pathlib import Path
from typing import Annotated

import pytest
from pydantic import Field, SecretStr, ValidationError

from farwatch_bus import Bus
from farwatch_runtime.settings import (
    KNOWN,
    DatabaseSettings,
    ServiceSettings,
    SettingsError,
    variable_of,
)


class Sample(ServiceSettings):
    region: str = "local"
    resolvers: tuple[str, ...] = ()
    canaries: list[str] | None = None
    api_token: Annotated[SecretStr, Field(min_length=32)] | None = None
    keep_raw_days: Annotated[int, Field(ge=1)] = 7
    ca_file: Path | None = None


def complaint(environ: dict[str, str], model: type[ServiceSettings] = Sample) -> str:
    with pytest.raises(SettingsError) as caught:
        model.load(environ)
    text = str(caught.value)
    assert "\n" not in text
    return text


def test_defaults_need_nothing() -> None:
    settings = Sample.load({})
    assert settings.nats_url == "nats://127.0.0.1:4222"
    assert settings.health_port == 0
    assert settings.nats_password is None


def test_values_are_read_and_converted() -> None:
    settings = Sample.load(
        {
            "FARWATCH_NATS_URL": "nats://bus:4222",
            "FARWATCH_KEEP_RAW_DAYS": "30",
            "FARWATCH_RESOLVERS": "1.1.1.1:53, 9.9.9.9 ,",
            "FARWATCH_CANARIES": "a.example",
            "FARWATCH_CA_FILE": "/etc/ca.pem",
            "PATH": "/bin",
        }
    )
    assert settings.nats_url == "nats://bus:4222"
    assert settings.keep_raw_days == 30
    assert settings.resolvers == ("1.1.1.1:53", "9.9.9.9")
    assert settings.canaries == ["a.example"]
    assert settings.ca_file == Path("/etc/ca.pem")


def test_they_are_frozen() -> None:
    with pytest.raises(ValidationError):
        Sample.load({}).region = "eu"  # type: ignore[misc]


@pytest.mark.parametrize(
    ("environ", "words"),
    [
        ({"FARWATCH_NATS_URI": "x"}, ["FARWATCH_NATS_URI", "did you mean FARWATCH_NATS_URL?"]),
        ({"FARWATCH_ZZZ": "x"}, ["FARWATCH_ZZZ is not a setting", "docs/configuration.md"]),
        ({"FARWATCH_KEEP_RAW_DAYS": "soon"}, ["FARWATCH_KEEP_RAW_DAYS 'soon' is not valid", "integer"]),
        ({"FARWATCH_KEEP_RAW_DAYS": "0"}, ["FARWATCH_KEEP_RAW_DAYS '0'", "greater than or equal to 1"]),
        ({"FARWATCH_LOG_LEVEL": "loud"}, ["FARWATCH_LOG_LEVEL 'loud'", "'debug', 'info', 'warning' or 'error'"]),
        ({"FARWATCH_HEALTH_PORT": "70000"}, ["FARWATCH_HEALTH_PORT '70000'"]),
        ({"FARWATCH_NATS_PASSWORD_FILE": "/none/such"}, ["FARWATCH_NATS_PASSWORD_FILE", "/none/such", "No such file"]),
        (
            {"FARWATCH_NATS_PASSWORD": "a", "FARWATCH_NATS_PASSWORD_FILE": "b"},
            ["FARWATCH_NATS_PASSWORD and FARWATCH_NATS_PASSWORD_FILE are both set"],
        ),
        ({"FARWATCH_NATS_PASSWORD": "changeme"}, ["FARWATCH_NATS_PASSWORD is a placeholder"]),
    ],
)
def test_bad_ones_are_one_line_that_names_the_variable(environ: dict[str, str], words: list[str]) -> None:
    text = complaint(environ)
    for word in words:
        assert word in text


def test_missing_one_says_both_ways_to_give_it() -> None:
    text = complaint({}, DatabaseSettings)
    assert "FARWATCH_DATABASE_URL is not set" in text
    assert "FARWATCH_DATABASE_URL_FILE" in text


def test_settings_of_other_services_are_no_error() -> None:
    assert Sample.load({"FARWATCH_DATABASE_URL": "postgresql://x", "FARWATCH_KEEP_DAILY_DAYS": "3"}).region == "local"


def test_empty_counts_as_not_set() -> None:
    assert Sample.load({"FARWATCH_NATS_USER": "", "FARWATCH_KEEP_RAW_DAYS": ""}).keep_raw_days == 7


def test_any_can_come_from_a_file(tmp_path: Path) -> None:
    secret, number = tmp_path / "secret", tmp_path / "number"
    secret.write_text("swordfish-of-the-deep\n")
    number.write_text(" 12 \n")
    settings = Sample.load(
        {"FARWATCH_NATS_PASSWORD_FILE": str(secret), "FARWATCH_KEEP_RAW_DAYS_FILE": str(number)},
    )
    assert settings.nats_password is not None
    assert settings.nats_password.get_secret_value() == "swordfish-of-the-deep"
    assert settings.keep_raw_days == 12


@pytest.mark.parametrize(
    ("content", "word"), [(b"", "is empty"), (b"\xff\xfe", "not UTF-8"), (b"x" * 70_000, "over 64 KiB")]
)
def test_odd_files_are_refused(tmp_path: Path, content: bytes, word: str) -> None:
    file = tmp_path / "odd"
    file.write_bytes(content)
    assert word in complaint({"FARWATCH_NATS_PASSWORD_FILE": str(file)})


def test_folder_instead_of_a_file(tmp_path: Path) -> None:
    assert "Is a directory" in complaint({"FARWATCH_NATS_PASSWORD_FILE": str(tmp_path)})


def test_secrets_are_in_no_text() -> None:
    settings = Sample.load({"FARWATCH_API_TOKEN": "swordfish" * 4, "FARWATCH_NATS_PASSWORD": "swordfish"})
    assert "swordfish" not in repr(settings)
    assert "swordfish" not in str(settings)
    assert "swordfish" not in settings.model_dump_json()
    text = complaint({"FARWATCH_API_TOKEN": "swordfish"})
    assert "FARWATCH_API_TOKEN" in text
    assert "32" in text
    assert "swordfish" not in text


def test_options_for_the_bus_fit_its_connect() -> None:
    options = Sample.load({"FARWATCH_NATS_PASSWORD": "swordfish", "FARWATCH_NATS_CA_FILE": "/ca.pem"}).nats_options()
    assert (options["password"], options["ca_file"], options["user"]) == ("swordfish", "/ca.pem", None)
    inspect.signature(Bus.connect).bind(name="test", **options)


def test_every_field_of_the_base_models_is_known() -> None:
    for model in (ServiceSettings, DatabaseSettings):
        assert {variable_of(name) for name in model.model_fields} <= KNOWN
