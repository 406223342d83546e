"""A whole stream in order, from a sequence that the caller stored, without acknowledgements.

A durable consumer would bring old messages again after its ack_wait. This one is temporary, is made anew at the next
sequence after every trouble, and each message is checked to follow the one before.
"""

import asyncio
from collections import deque
from datetime import datetime

import structlog
from nats.aio.msg import Msg

from farwatch_bus.errors import BusError, SequenceGap, StreamReplaced
from farwatch_bus.link import Link
from farwatch_bus.message import Message, parse_delivery
from farwatch_bus.pull import PullLoop
from farwatch_bus.puller import wait_for_event
from farwatch_bus.streams import StreamInfo, stream_info

INACTIVE_SECONDS = 30

log = structlog.get_logger("farwatch_bus")


class Reader:
    """Made by `Bus.reader`. The stream need not exist yet; it must carry no filter, so that sequences follow."""

    def __init__(self, link: Link, stream: str, start_sequence: int, credit: int) -> None:
        self._link = link
        self._stream = stream
        self._next = max(1, start_sequence)
        self._buffer: deque[Message] = deque()
        self._arrived = asyncio.Event()
        self._consumer = ""
        self._fresh = False
        self._made = 0
        self._unread = 0
        self._created: datetime | None = None
        self._gap: SequenceGap | None = None
        self._loop = PullLoop(link, credit, self._target, self._buffer.__len__, self._on_message, self._on_lost)
        self._id = ""

    @property
    def next_sequence(self) -> int:
        """What the next message of `batch` has to be."""
        return self._buffer[0].sequence if self._buffer else self._next

    @property
    def pending(self) -> int:
        """Messages of the stream that `batch` has not given out, as last heard."""
        return len(self._buffer) + self._unread

    async def batch(self, max_messages: int, wait_seconds: float) -> list[Message]:
        """The next messages, waiting for the first up to `wait_seconds`; empty when nothing came.

        Raises SequenceGap (or StreamReplaced) when the stream itself no longer continues at `next_sequence`, and
        again on each call until `seek`. Losses on the way are healed without it.
        """
        self._loop.ensure_running()
        if not self._buffer and self._gap is None and wait_seconds > 0:
            await wait_for_event(self._arrived, wait_seconds)
        if not self._buffer and self._gap is not None:
            raise self._gap
        taken = [self._buffer.popleft() for _ in range(min(max_messages, len(self._buffer)))]
        if not self._buffer and self._gap is None:
            self._arrived.clear()
        self._loop.nudge()
        return taken

    def seek(self, sequence: int) -> None:
        """Go on at `sequence`, forgetting what was read ahead and which stream it was."""
        self._next = max(1, sequence)
        self._buffer.clear()
        self._arrived.clear()
        self._gap = None
        self._created = None
        self._consumer = ""
        self._loop.restart("seek")

    async def close(self) -> None:
        await self._loop.close()
        if self._consumer and self._link.connected:
            try:
                await self._link.api(f"CONSUMER.DELETE.{self._stream}.{self._consumer}", timeout_seconds=1.0)
            except BusError:
                log.debug("reader_left_consumer", stream=self._stream)

    async def _target(self) -> str | None:
        """The consumer to ask, made if there is none; None while the stream is away or has a gap."""
        if self._gap is not None:
            return None
        if not self._consumer:
            info = await stream_info(self._link, self._stream)
            if info is None or self._find_gap(info):
                return None
            await self._make_consumer()
        return f"{self._stream}.{self._consumer}"

    def _find_gap(self, info: StreamInfo) -> bool:
        if self._created is not None and info.created != self._created:
            self._stop_at(StreamReplaced(self._stream, self._next, info.first_sequence))
        elif info.last_sequence + 1 < self._next:
            self._stop_at(SequenceGap(self._stream, self._next, info.last_sequence + 1))
        elif info.first_sequence > self._next:
            self._stop_at(SequenceGap(self._stream, self._next, info.first_sequence))
        self._created = self._created or info.created
        return self._gap is not None

    async def _make_consumer(self) -> None:
        self._id = self._id or self._link.inbox().rpartition(".")[2]
        self._made += 1
        name = f"reader-{self._id}-{self._made}"
        config = {
            "name": name,
            "deliver_policy": "by_start_sequence",
            "opt_start_seq": self._next,
            "ack_policy": "none",
            "replay_policy": "instant",
            "max_deliver": -1,
            "mem_storage": True,
            "inactive_threshold": INACTIVE_SECONDS * 1_000_000_000,
        }
        body = {"stream_name": self._stream, "config": config, "action": "create"}
        answer = await self._link.api(f"CONSUMER.CREATE.{self._stream}.{name}", body)
        self._consumer, self._fresh = name, True
        self._unread = answer.get("num_pending", 0)

    def _on_message(self, raw: Msg) -> None:
        delivery = parse_delivery(raw.reply)
        if delivery is None or delivery.consumer != self._consumer or self._gap is not None:
            return
        if delivery.sequence != self._next:
            self._on_jump(delivery.sequence)
            return
        self._fresh = False
        self._next += 1
        self._unread = delivery.pending
        self._buffer.append(Message(self._link, raw.subject, raw.data, raw.headers, raw.reply, delivery))
        self._arrived.set()

    def _on_jump(self, sequence: int) -> None:
        """A first message out of place is the stream's own gap; a later one got lost on its way: ask again."""
        if self._fresh:
            self._stop_at(SequenceGap(self._stream, self._next, sequence))
        else:
            log.warning("reader_lost_messages", stream=self._stream, expected=self._next, got=sequence)
            self._loop.restart("messages lost on the way")

    def _stop_at(self, gap: SequenceGap) -> None:
        self._gap = gap
        self._arrived.set()

    def _on_lost(self, reason: str) -> None:
        if self._consumer:
            log.info("reader_starts_anew", stream=self._stream, sequence=self._next, reason=reason)
        self._consumer = ""
