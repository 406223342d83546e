"""Log lines: one format, level kept, no secret in them."""

import io
import json
import logging
from collections.abc import Iterator

import pytest
import structlog
from pydantic import SecretStr

from farwatch_runtime.logs import configure_logging


@pytest.fixture(autouse=True)
def restored() -> Iterator[None]:
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    root.handlers[:] = handlers
    root.setLevel(level)
    structlog.reset_defaults()
    structlog.contextvars.clear_contextvars()


def test_json_for_us_and_for_libraries() -> None:
    out = io.StringIO()
    configure_logging("sample", "info", "json", out)
    structlog.get_logger("farwatch_sample").info("monitor_added", monitor_id=7)
    structlog.get_logger("farwatch_sample").debug("too_quiet")
    logging.getLogger("some.library").warning("careful with %s", "that")
    ours, theirs = (json.loads(line) for line in out.getvalue().splitlines())
    assert (ours["event"], ours["monitor_id"], ours["service"]) == ("monitor_added", 7, "sample")
    assert (ours["level"], ours["logger"]) == ("info", "farwatch_sample")
    assert ours["timestamp"].endswith("Z")
    assert (theirs["event"], theirs["logger"], theirs["service"]) == ("careful with that", "some.library", "sample")


@pytest.mark.parametrize("style", ["json", "console"])
def test_secrets_are_hidden_in_values_and_tracebacks(style: str) -> None:
    out = io.StringIO()
    configure_logging("sample", "info", "json" if style == "json" else "console", out)
    log = structlog.get_logger("farwatch_sample")
    secret = "sword" + "fish"
    log.info("connecting", nats_password=secret, url=SecretStr(secret), api_token=secret)

    def connect(password: str) -> None:
        raise ValueError(f"refused after {len(password)} characters")

    try:
        connect(secret)
    except ValueError:
        log.exception("connect_failed")
    text = out.getvalue()
    assert "refused after 9 characters" in text
    assert "Traceback" in text
    assert secret not in text
    assert text.count("********") == 3
