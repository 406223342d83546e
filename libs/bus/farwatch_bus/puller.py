"""Work from a durable consumer: each message is acknowledged, or it comes again."""

import asyncio
from collections import deque

import structlog
from nats.aio.msg import Msg

from farwatch_bus.link import Link
from farwatch_bus.message import Message, parse_delivery
from farwatch_bus.pull import PullLoop

log = structlog.get_logger("farwatch_bus")


class Puller:
    """Made by `Bus.puller`. `credit` bounds the messages on their way or waiting for `take`; 0 pauses.

    The consumer need not exist yet: the puller waits for it, and for it to come back.
    """

    def __init__(self, link: Link, stream: str, durable: str, credit: int) -> None:
        self._link = link
        self._name = f"{stream}.{durable}"
        self._buffer: deque[Message] = deque()
        self._arrived = asyncio.Event()
        self._complained = ""
        self._loop = PullLoop(link, credit, self._target, self._buffer.__len__, self._on_message, self._on_lost)

    @property
    def credit(self) -> int:
        return self._loop.credit

    @property
    def waiting(self) -> int:
        """Messages that arrived and were not taken."""
        return len(self._buffer)

    def set_credit(self, credit: int) -> None:
        """What the server was asked for before still comes, for a second at most."""
        self._loop.credit = max(0, credit)
        self._loop.nudge()

    async def take(self, max_messages: int, wait_seconds: float) -> list[Message]:
        """What has arrived, waiting for the first up to `wait_seconds`; empty when nothing came."""
        self._loop.ensure_running()
        if not self._buffer and wait_seconds > 0:
            await wait_for_event(self._arrived, wait_seconds)
        taken = [self._buffer.popleft() for _ in range(min(max_messages, len(self._buffer)))]
        if not self._buffer:
            self._arrived.clear()
        if taken:
            self._loop.nudge()
        return taken

    async def close(self) -> None:
        """Stop asking. What lies untaken comes again, to someone, after its ack_wait."""
        await self._loop.close()

    async def _target(self) -> str:
        return self._name

    def _on_message(self, raw: Msg) -> None:
        self._complained = ""
        delivery = parse_delivery(raw.reply)
        self._buffer.append(Message(self._link, raw.subject, raw.data, raw.headers, raw.reply, delivery))
        self._arrived.set()

    def _on_lost(self, reason: str) -> None:
        if reason != self._complained:
            self._complained = reason
            log.info("puller_waits", consumer=self._name, reason=reason)


async def wait_for_event(event: asyncio.Event, seconds: float) -> None:
    try:
        async with asyncio.timeout(seconds):
            await event.wait()
    except TimeoutError:
        pass
