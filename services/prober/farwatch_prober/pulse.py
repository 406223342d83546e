"""The heartbeat of a prober, every 2 s into the results of its region."""

import asyncio
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass

from farwatch_bus import BusError, Publisher
from farwatch_events import subjects
from farwatch_events.results import Heartbeat
from farwatch_prober.canaries import Canaries
from farwatch_prober.lag import LagMeter
from farwatch_prober.metrics import Metrics
from farwatch_prober.outbox import Outbox
from farwatch_prober.worker import Worker

PERIOD_SECONDS = 2.0
PATIENCE_SECONDS = 10.0


@dataclass(frozen=True, slots=True)
class Identity:
    region: str
    prober: str
    software: str
    started_ms: int


class Pulse:
    """One heartbeat at a time: while NATS is away none pile up to be taken for signs of life later."""

    def __init__(
        self,
        identity: Identity,
        publisher: Publisher,
        worker: Worker,
        outbox: Outbox,
        canaries: Canaries,
        lag: LagMeter,
        metrics: Metrics,
        now_ms: Callable[[], int],
    ) -> None:
        self._identity = identity
        self._publisher = publisher
        self._worker, self._outbox, self._canaries = worker, outbox, canaries
        self._lag, self._metrics, self._now_ms = lag, metrics, now_ms
        self._counted_at = time.perf_counter()
        self._counted = 0

    async def run(self) -> None:
        subject, stream = subjects.result(self._identity.region), subjects.results_stream(self._identity.region)
        while True:
            beat = self._next()
            with suppress(BusError, TimeoutError):
                async with asyncio.timeout(PATIENCE_SECONDS):
                    await self._publisher.publish(subject, beat.to_bytes(), expect_stream=stream)
            await asyncio.sleep(PERIOD_SECONDS)

    def _next(self) -> Heartbeat:
        condition = self._canaries.condition
        self._metrics.in_flight.set(self._worker.in_flight)
        self._metrics.unconfirmed.set(self._outbox.unconfirmed)
        self._metrics.lag.set(self._lag.current_ms / 1000)
        self._metrics.held.set(self._worker.pace.held_seconds)
        self._metrics.leaves_out.set(self._worker.leaves_out)
        self._metrics.healthy.set(condition.healthy)
        return Heartbeat(
            type="heartbeat",
            region=self._identity.region,
            prober=self._identity.prober,
            sent_ms=self._now_ms(),
            software=self._identity.software,
            started_ms=self._identity.started_ms,
            healthy=condition.healthy,
            reason=condition.reason or self._canaries.names_condition.reason,
            in_flight=self._worker.in_flight,
            capacity=self._worker.capacity,
            checks_per_second=self._rate(),
            loop_lag_ms=round(self._lag.current_ms, 1),
            watermark_ms=self._worker.watermark_ms(),
            epoch=self._worker.epoch,
        )

    def _rate(self) -> float:
        now, answered = time.perf_counter(), self._worker.answered
        rate = (answered - self._counted) / max(0.001, now - self._counted_at)
        self._counted_at, self._counted = now, answered
        return round(rate, 1)
