"""One region's way out: a bounded queue and a publisher of its own, so that no region can hold up another."""

import asyncio
import time
from collections import deque
from contextlib import suppress

import structlog

from farwatch_bus import Ack, Bus, BusClosed, BusError
from farwatch_events.subjects import checks_stream, due_ring
from farwatch_scheduler.chunks import Chunk
from farwatch_scheduler.metrics import Metrics

QUEUE_CHUNKS = 2_000
WINDOW = 256
WINDOW_BYTES = 8 * 1024 * 1024
COMPLAIN_EVERY_SECONDS = 30.0
STUCK_SECONDS = 30.0
"""A region that stores nothing for so long no longer holds back the checkpoint of the others."""

log = structlog.get_logger("farwatch_scheduler")


class Outlet:
    """`offer` never waits. `run` carries on until cancelled."""

    def __init__(self, bus: Bus, region: str, metrics: Metrics) -> None:
        self._region = region
        self._subject = due_ring(region)
        self._stream = checks_stream(region)
        self._publisher = bus.publisher(WINDOW, window_bytes=WINDOW_BYTES)
        self._metrics = metrics
        self._queue: deque[Chunk] = deque()
        self._arrived = asyncio.Event()
        self._idle = asyncio.Event()
        self._idle.set()
        self._unstored: dict[int, int] = {}
        self._count = 0
        self._complained_at = 0.0
        self._stored_at = time.monotonic()

    def offer(self, chunk: Chunk) -> None:
        """Takes the chunk; when the queue is full the oldest, which is the stalest, goes."""
        if len(self._queue) >= QUEUE_CHUNKS:
            self._drop(self._queue.popleft(), "queue_full", "the region takes nothing")
        if self._idle.is_set():
            self._idle.clear()
            self._stored_at = time.monotonic()
        self._queue.append(chunk)
        self._arrived.set()

    def oldest_ms(self) -> int | None:
        """The oldest slot that is not surely stored; None when all are, and for a region that is stuck."""
        if time.monotonic() - self._stored_at > STUCK_SECONDS:
            return None
        waiting = [self._queue[0].slot_ms] if self._queue else []
        return min([*waiting, *self._unstored.values()], default=None)

    async def run(self) -> None:
        while True:
            await self._arrived.wait()
            while self._queue:
                await self._send(self._queue.popleft())
            self._arrived.clear()

    async def drain(self, timeout_seconds: float) -> None:
        """Until everything offered is stored, or the time is over."""
        with suppress(TimeoutError):
            await asyncio.wait_for(self._idle.wait(), timeout_seconds)

    async def close(self) -> None:
        await self._publisher.close()

    async def _send(self, chunk: Chunk) -> None:
        self._count += 1
        number = self._count
        self._unstored[number] = chunk.slot_ms
        future = await self._publisher.start(
            self._subject, chunk.data, chunk.msg_id, chunk.ttl_seconds, expect_stream=self._stream
        )
        self._metrics.due.labels("scheduled").inc(chunk.checks)
        self._metrics.lateness.observe(max(0.0, time.time() - chunk.slot_ms / 1000))
        future.add_done_callback(lambda done: self._on_done(number, chunk, done))

    def _on_done(self, number: int, chunk: Chunk, done: "asyncio.Future[Ack]") -> None:
        self._unstored.pop(number, None)
        self._stored_at = time.monotonic()
        if not self._queue and not self._unstored:
            self._idle.set()
        if done.cancelled():
            return
        error = done.exception()
        if isinstance(error, BusError) and not isinstance(error, BusClosed):
            self._drop(chunk, "refused", str(error))

    def _drop(self, chunk: Chunk, why: str, error: str) -> None:
        self._metrics.skipped.labels(why).inc(chunk.checks)
        if time.monotonic() - self._complained_at > COMPLAIN_EVERY_SECONDS:
            self._complained_at = time.monotonic()
            log.warning("slots_dropped", region=self._region, why=why, error=error, slot_ms=chunk.slot_ms)
