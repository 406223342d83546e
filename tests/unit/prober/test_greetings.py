import pytest

from farwatch_events.monitor import PortMonitor
from farwatch_prober.greetings import STARTTLS, unescape


@pytest.mark.parametrize(
    ("text", "sent"),
    [
        ("PING\\r\\n", b"PING\r\n"),
        ("PING\r\n", b"PING\r\n"),
        ("\\x00\\x4a\\t\\0", b"\x00J\t\x00"),
        ("\\\\r", b"\\r"),
        ("\\q \\x4", b"\\q \\x4"),
        ("é", "é".encode()),
    ],
)
def test_escapes(text: str, sent: bytes) -> None:
    assert unescape(text) == sent


def test_each_protocol_of_the_model_has_its_turns() -> None:
    offered = PortMonitor.model_json_schema()["properties"]["starttls"]["anyOf"][0]["enum"]
    assert set(offered) == set(STARTTLS)
