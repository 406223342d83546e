import io

import structlog

from farwatch_runtime.logs import configure_logging


def test_a_traceback_on_the_console_shows_no_local_variables() -> None:
    stream = io.StringIO()
    configure_logging("test", stream=stream)

    def fails() -> None:
        plain_password = "hunter2" * 3
        raise ValueError(len(plain_password))

    try:
        fails()
    except ValueError:
        structlog.get_logger("test").exception("failed")
    assert "ValueError" in stream.getvalue()
    assert "hunter2hunter2" not in stream.getvalue()
