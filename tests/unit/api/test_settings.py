"""Settings that people get wrong, and the one line they read then."""

from pathlib import Path

import pytest

from farwatch_api.settings import ApiSettings
from farwatch_runtime.secrets import generate_key_file
from farwatch_runtime.settings import SettingsError


@pytest.fixture
def environ(tmp_path: Path) -> dict[str, str]:
    generate_key_file(tmp_path / "keys")
    return {
        "FARWATCH_DATABASE_URL": "postgresql://farwatch@127.0.0.1/farwatch",
        "FARWATCH_SECRET_KEY_FILE": str(tmp_path / "keys"),
    }


def test_defaults(environ: dict[str, str]) -> None:
    settings = ApiSettings.load(environ)
    assert (settings.host, settings.port, settings.session_days) == ("127.0.0.1", 3000, 14)


def test_lists_and_addresses(environ: dict[str, str]) -> None:
    environ |= {"FARWATCH_TRUSTED_PROXIES": "10.0.0.0/8, 127.0.0.1", "FARWATCH_PUBLIC_URL": "https://x.test/"}
    settings = ApiSettings.load(environ)
    assert settings.trusted_proxies == ["10.0.0.0/8", "127.0.0.1"]
    assert settings.public_url == "https://x.test"


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("FARWATCH_API_TOKEN", "short"),
        ("FARWATCH_SECRET_KEY_FILE", "/nonexistent/keys"),
        ("FARWATCH_TRUSTED_PROXIES", "everyone"),
        ("FARWATCH_PUBLIC_URL", "farwatch.example"),
        ("FARWATCH_PORT", "70000"),
        ("FARWATCH_ADMIN_PASSWORD", "short"),
        ("FARWATCH_ADMIN_EMAIL", "alone@example.com"),
    ],
)
def test_a_bad_one_is_named_and_secrets_are_not_shown(environ: dict[str, str], name: str, value: str) -> None:
    with pytest.raises(SettingsError) as refused:
        ApiSettings.load({**environ, name: value})
    assert name in str(refused.value)
    assert "\n" not in str(refused.value)
    if "TOKEN" in name or "PASSWORD" in name:
        assert value not in str(refused.value)
