"""Pipelined publishing to streams: many messages on their way, each acknowledged, none forgotten when NATS dies.

All acknowledgements come to one inbox; the last token of their subject counts the messages up.
"""

import asyncio
import json
import math
import time
from collections import deque
from collections.abc import Callable
from typing import NamedTuple

from nats.aio.msg import Msg

from farwatch_bus.errors import BusClosed, BusError, MessageTooLarge, PublishRefused, PublishTimeout
from farwatch_bus.link import Link, Subscription

RESEND_SECONDS = 1.5
RETRY_SECONDS = 0.25
SWEEP_SECONDS = 0.25
DEADLINE_SECONDS = 60.0
WINDOW_BYTES = 32 * 1024 * 1024
CLOSE_SECONDS = 3.0

UNREADY = frozenset({10008, 10023, 10039, 10076, 10118})
"""JetStream is starting, out of resources for a moment, or the stream is offline: worth sending again."""


class Ack(NamedTuple):
    """`duplicate`: the stream already held this msg_id, for one because a first acknowledgement got lost."""

    stream: str
    sequence: int
    duplicate: bool


class Pending:
    __slots__ = ("data", "deadline", "future", "headers", "problem", "resend_at", "subject")

    def __init__(
        self, subject: str, data: bytes, headers: dict[str, str], future: asyncio.Future[Ack], deadline: float
    ) -> None:
        self.subject = subject
        self.data = data
        self.headers = headers
        self.future = future
        self.deadline = deadline
        self.resend_at = 0.0
        self.problem = "no acknowledgement"


class Publisher:
    """Made by `Bus.publisher`. Order is kept unless a message has to be sent again."""

    def __init__(self, link: Link, window: int, window_bytes: int, deadline_seconds: float) -> None:
        self._link = link
        self._window = window
        self._window_bytes = window_bytes
        self._deadline_seconds = deadline_seconds
        self._pending: dict[str, Pending] = {}
        self._bytes = 0
        self._count = 0
        self._waiters: deque[asyncio.Future[None]] = deque()
        self._opening = asyncio.Lock()
        self._inbox = ""
        self._id = ""
        self._sweeper: asyncio.Task[None] | None = None
        self._subscription: Subscription | None = None
        self._unhook: Callable[[], None] = lambda: None
        self._closed = False

    @property
    def in_flight(self) -> int:
        return len(self._pending)

    async def publish(
        self,
        subject: str,
        data: bytes,
        msg_id: str | None = None,
        ttl_seconds: float | None = None,
        expect_stream: str | None = None,
    ) -> Ack:
        """Publish and wait until the stream has stored it. Raises PublishRefused or PublishTimeout."""
        return await (await self.start(subject, data, msg_id, ttl_seconds, expect_stream))

    async def start(
        self,
        subject: str,
        data: bytes,
        msg_id: str | None = None,
        ttl_seconds: float | None = None,
        expect_stream: str | None = None,
    ) -> asyncio.Future[Ack]:
        """Send as soon as the window has room; the future gets the acknowledgement or the error.

        Without a `msg_id` the publisher gives one of its own, so that sending again never stores twice.
        """
        if not self._inbox:
            await self._open()
        while not self._has_room(len(data)):
            await self._wait_for_room()
        if self._closed:
            raise BusClosed("the publisher is closed")
        self._count += 1
        token = str(self._count)
        headers = {"Nats-Msg-Id": msg_id or f"{self._id}.{token}"}
        if ttl_seconds is not None:
            headers["Nats-TTL"] = str(max(1, math.ceil(ttl_seconds)))
        if expect_stream is not None:
            headers["Nats-Expected-Stream"] = expect_stream
        future: asyncio.Future[Ack] = asyncio.get_running_loop().create_future()
        entry = Pending(subject, data, headers, future, time.monotonic() + self._deadline_seconds)
        self._pending[token] = entry
        self._bytes += len(data)
        await self._send(token, entry)
        return future

    async def drain(self, timeout_seconds: float) -> bool:
        """Wait until nothing is in flight. False when the time was too short."""
        due = time.monotonic() + timeout_seconds
        while self._pending and time.monotonic() < due:
            futures = [entry.future for entry in self._pending.values()]
            await asyncio.wait(futures, timeout=max(0.0, due - time.monotonic()))
        return not self._pending

    async def close(self) -> None:
        """Give what is in flight a few seconds, then fail it with BusClosed."""
        if self._closed:
            return
        if self._link.connected:
            await self.drain(CLOSE_SECONDS)
        self._closed = True
        if self._sweeper:
            self._sweeper.cancel()
        if self._subscription:
            await self._subscription.unsubscribe()
        self._unhook()
        self._unhook = lambda: None
        for token in list(self._pending):
            self._fail(token, BusClosed("the publisher was closed before the acknowledgement"))
        while self._waiters:
            wake(self._waiters.popleft())

    async def _open(self) -> None:
        async with self._opening:
            if self._inbox or self._closed:
                return
            inbox = self._link.inbox()
            self._subscription = await self._link.listen(f"{inbox}.*", self._on_ack)
            self._unhook = self._link.on_reconnect(self._resend_all)
            self._sweeper = asyncio.create_task(self._sweep(), name="bus-publisher")
            self._id = inbox.rpartition(".")[2]
            self._inbox = inbox

    def _has_room(self, size: int) -> bool:
        count = len(self._pending)
        return count == 0 or self._closed or (count < self._window and self._bytes + size <= self._window_bytes)

    async def _wait_for_room(self) -> None:
        waiter: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiters.append(waiter)
        try:
            await waiter
        finally:
            if not waiter.done() or waiter.cancelled():
                self._wake_one()

    def _wake_one(self) -> None:
        while self._waiters:
            if wake(self._waiters.popleft()):
                return

    async def _send(self, token: str, entry: Pending) -> None:
        entry.resend_at = time.monotonic() + RESEND_SECONDS
        try:
            await self._link.send(entry.subject, entry.data, f"{self._inbox}.{token}", entry.headers)
        except MessageTooLarge as error:
            self._fail(token, PublishRefused(str(error), 413))

    async def _on_ack(self, message: Msg) -> None:
        token = message.subject.rpartition(".")[2]
        entry = self._pending.get(token)
        if entry is None:
            return
        if not message.data:
            self._again(entry, "no stream takes this subject")
            return
        answer = json.loads(message.data)
        if error := answer.get("error"):
            self._on_error(token, entry, error.get("description", ""), error.get("code", 0), error.get("err_code", 0))
            return
        self._take(token)
        if not entry.future.done():
            entry.future.set_result(Ack(answer["stream"], answer["seq"], answer.get("duplicate", False)))

    def _on_error(self, token: str, entry: Pending, description: str, code: int, error_code: int) -> None:
        if error_code in UNREADY:
            self._again(entry, description)
        else:
            self._fail(token, PublishRefused(description, code, error_code))

    def _again(self, entry: Pending, problem: str) -> None:
        entry.problem = problem
        entry.resend_at = min(entry.resend_at, time.monotonic() + RETRY_SECONDS)

    def _take(self, token: str) -> Pending:
        entry = self._pending.pop(token)
        self._bytes -= len(entry.data)
        if self._waiters:
            self._wake_one()
        return entry

    def _fail(self, token: str, error: BusError) -> None:
        entry = self._take(token)
        if not entry.future.done():
            entry.future.set_exception(error)

    def _resend_all(self) -> None:
        for entry in self._pending.values():
            entry.resend_at = 0.0

    async def _sweep(self) -> None:
        while True:
            await asyncio.sleep(SWEEP_SECONDS)
            now = time.monotonic()
            for token, entry in list(self._pending.items()):
                if now >= entry.deadline:
                    self._fail(token, PublishTimeout(f"{entry.subject}: {entry.problem}"))
                elif now >= entry.resend_at and self._link.connected and token in self._pending:
                    await self._send(token, entry)


def wake(waiter: asyncio.Future[None]) -> bool:
    """False when its owner has given up waiting."""
    if waiter.done():
        return False
    waiter.set_result(None)
    return True
