"""What the acknowledgement subject says, in each of its shapes."""

import pytest

from farwatch_bus.message import Delivery, Message, parse_delivery

SHORT = "$JS.ACK.CHECKS_eu.ring.2.17.40.1700000000123456789.5"
LONG = "$JS.ACK.hub.ACCOUNT.CHECKS_eu.ring.2.17.40.1700000000123456789.5"
EXPECTED = Delivery("CHECKS_eu", "ring", 2, 17, 1_700_000_000_123, 5)


@pytest.mark.parametrize("reply", [SHORT, LONG, LONG + ".random"])
def test_each_shape(reply: str) -> None:
    assert parse_delivery(reply) == EXPECTED


@pytest.mark.parametrize("reply", ["", "_INBOX.abc.1", "$JS.ACK.too.short", "$JS.API.a.b.1.2.3.4.5"])
def test_anything_else_is_a_core_message(reply: str) -> None:
    assert parse_delivery(reply) is None


class Sent:
    def __init__(self) -> None:
        self.acks: list[tuple[str, bytes, bool]] = []

    async def send_ack(self, subject: str, payload: bytes, *, keep: bool) -> None:
        self.acks.append((subject, payload, keep))


async def test_acknowledgements_on_the_wire() -> None:
    sent = Sent()
    message = Message(sent, "checks.due.eu.ring", b"", None, SHORT, EXPECTED)
    await message.ack()
    await message.in_progress()
    await message.nak()
    await message.nak(1.5)
    assert sent.acks == [
        (SHORT, b"+ACK", True),
        (SHORT, b"+WPI", False),
        (SHORT, b"-NAK", True),
        (SHORT, b'-NAK {"delay": 1500000000}', True),
    ]


async def test_core_message_cannot_be_acknowledged() -> None:
    sent = Sent()
    message = Message(sent, "cmd.x", b"", None, "_INBOX.abc")
    await message.ack()
    assert sent.acks == []
    assert (message.sequence, message.timestamp_ms, message.deliveries) == (0, 0, 0)
