"""Results on their way: batched for a few milliseconds, published until the stream has stored them."""

import asyncio
from collections.abc import Callable
from typing import Any

from farwatch_bus import BusError, Publisher
from farwatch_events import subjects
from farwatch_events.results import ResultBatch

LINGER_SECONDS = 0.01
BATCH_BYTES = 256 * 1024
ENVELOPE_BYTES = 512
FIRST_PAUSE_SECONDS = 0.25
LONGEST_PAUSE_SECONDS = 5.0

Stored = Callable[[], None]


class Outbox:
    """`healthy` is asked for each batch. A result counts as `unconfirmed` from `add` until it is stored."""

    def __init__(self, publisher: Publisher, region: str, prober: str, healthy: Callable[[], bool], log: Any) -> None:
        self._publisher = publisher
        self._subject = subjects.result(region)
        self._stream = subjects.results_stream(region)
        self._region, self._prober = region, prober
        self._healthy = healthy
        self._log = log
        self._waiting: list[tuple[bytes, Stored]] = []
        self._waiting_bytes = 0
        self._believed = True
        self._timer: asyncio.TimerHandle | None = None
        self._sending: set[asyncio.Task[None]] = set()
        self._batches = 0
        self.unconfirmed = 0

    def add(self, encoded: bytes, stored: Stored, *, believed: bool = True) -> None:
        """A result as JSON. `stored` is called once the stream has it. What is not believed has no vote."""
        is_full = self._waiting_bytes + len(encoded) + 1 > BATCH_BYTES - ENVELOPE_BYTES
        if self._waiting and (is_full or believed != self._believed):
            self.flush()
        self._believed = believed
        self._waiting.append((encoded, stored))
        self._waiting_bytes += len(encoded) + 1
        self.unconfirmed += 1
        if self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(LINGER_SECONDS, self.flush)

    def flush(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if not self._waiting:
            return
        batch, self._waiting, self._waiting_bytes = self._waiting, [], 0
        data = self._encode([encoded for encoded, _ in batch])
        task = asyncio.create_task(self._publish(data, batch))
        self._sending.add(task)
        task.add_done_callback(self._sending.discard)

    def _encode(self, results: list[bytes]) -> bytes:
        """The batch around results that are JSON already; its list of results is the last field."""
        envelope = ResultBatch(
            type="results",
            region=self._region,
            prober=self._prober,
            healthy=self._believed and self._healthy(),
            results=[],
        ).to_bytes()
        return envelope.removesuffix(b"]}") + b",".join(results) + b"]}"

    async def _publish(self, data: bytes, batch: list[tuple[bytes, Stored]]) -> None:
        self._batches += 1
        msg_id = f"{self._prober}.{id(self):x}.{self._batches}"
        pause = FIRST_PAUSE_SECONDS
        while True:
            try:
                await self._publisher.publish(self._subject, data, msg_id=msg_id, expect_stream=self._stream)
                break
            except BusError as error:
                self._log.warning("results_not_stored", results=len(batch), error=str(error), again_in_seconds=pause)
            await asyncio.sleep(pause)
            pause = min(pause * 2, LONGEST_PAUSE_SECONDS)
        self.unconfirmed -= len(batch)
        for _, stored in batch:
            stored()

    async def close(self, timeout_seconds: float) -> None:
        """Sends what waits and gives it that long to be stored."""
        self.flush()
        if self._sending:
            await asyncio.wait(set(self._sending), timeout=timeout_seconds)
        for task in list(self._sending):
            task.cancel()
        await asyncio.gather(*self._sending, return_exceptions=True)
