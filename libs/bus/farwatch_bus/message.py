"""One message as handlers see it, with what JetStream says about it in the acknowledgement subject."""

from collections.abc import Mapping
from typing import NamedTuple, Protocol

NO_HEADERS: Mapping[str, str] = {}


class AckSender(Protocol):
    async def send_ack(self, subject: str, payload: bytes, *, keep: bool) -> None: ...


class Delivery(NamedTuple):
    """`pending` counts the messages that the consumer had still to deliver after this one."""

    stream: str
    consumer: str
    deliveries: int
    sequence: int
    timestamp_ms: int
    pending: int


def parse_delivery(reply: str) -> Delivery | None:
    """Read $JS.ACK.[domain.account.]stream.consumer.deliveries.sequence.consumer sequence.nanoseconds.pending[.token].

    None for anything else, which is then a core message.
    """
    parts = reply.split(".")
    start = 2 if len(parts) == 9 else 4
    if len(parts) < start + 7 or parts[1] != "ACK" or parts[0] != "$JS":
        return None
    stream, consumer, deliveries, sequence, _, nanoseconds, pending = parts[start : start + 7]
    return Delivery(stream, consumer, int(deliveries), int(sequence), int(nanoseconds) // 1_000_000, int(pending))


class Message:
    """A message. The acknowledgements do nothing on a core message; sequence, times and `pending` are 0 there."""

    __slots__ = ("_bus", "_reply", "data", "deliveries", "headers", "pending", "sequence", "subject", "timestamp_ms")

    def __init__(
        self,
        bus: AckSender,
        subject: str,
        data: bytes,
        headers: Mapping[str, str] | None,
        reply: str = "",
        delivery: Delivery | None = None,
    ) -> None:
        self._bus = bus
        self._reply = reply if delivery else ""
        self.subject = subject
        self.data = data
        self.headers = headers or NO_HEADERS
        self.sequence = delivery.sequence if delivery else 0
        self.timestamp_ms = delivery.timestamp_ms if delivery else 0
        self.deliveries = delivery.deliveries if delivery else 0
        self.pending = delivery.pending if delivery else 0

    async def ack(self) -> None:
        """Done. Not confirmed by the server: an acknowledgement that gets lost means one more delivery."""
        await self._send(b"+ACK", keep=True)

    async def in_progress(self) -> None:
        """Still at it: the ack_wait starts anew."""
        await self._send(b"+WPI", keep=False)

    async def nak(self, delay_seconds: float = 0.0) -> None:
        """Give it back, to be delivered again after `delay_seconds`."""
        delay = b' {"delay": %d}' % int(delay_seconds * 1e9) if delay_seconds > 0 else b""
        await self._send(b"-NAK" + delay, keep=True)

    async def _send(self, payload: bytes, *, keep: bool) -> None:
        if self._reply:
            await self._bus.send_ack(self._reply, payload, keep=keep)

    def __repr__(self) -> str:
        return f"Message({self.subject!r}, {len(self.data)} bytes, sequence={self.sequence})"
