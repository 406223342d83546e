"""The scheduler's life: standing by, leading, standing by again."""

import asyncio
import os
import secrets
import socket
import time
from collections.abc import Callable

import structlog

from farwatch_bus import Bus, BusError, ensure_leases
from farwatch_events.subjects import EVENTS_FILTER, SCHEDULER_LEASE
from farwatch_runtime.clock import now_ms
from farwatch_scheduler.catalogue import Catalogue
from farwatch_scheduler.configuration import take_epoch
from farwatch_scheduler.metrics import Metrics
from farwatch_scheduler.sync import synchronise
from farwatch_scheduler.term import Surroundings, Term
from farwatch_store import Database, StoreUnavailable
from farwatch_store.waiting import wait_any

TRY_SECONDS = 0.25
AGAIN_SECONDS = 1.0
WARM_SECONDS = 10.0

log = structlog.get_logger("farwatch_scheduler")


def new_holder() -> str:
    """A name no other process has."""
    return f"{socket.gethostname()}.{os.getpid()}.{secrets.token_hex(3)}"


class Scheduler:
    def __init__(
        self,
        bus: Bus,
        db: Database,
        metrics: Metrics,
        progress: Callable[[], None] = lambda: None,
        holder: str | None = None,
        wall_ms: Callable[[], int] = now_ms,
    ) -> None:
        self._holder = holder or new_holder()
        self._nudge = asyncio.Event()
        self._around = Surroundings(
            bus=bus,
            db=db,
            lease=bus.lease(SCHEDULER_LEASE, self._holder),
            catalogue=Catalogue(),
            metrics=metrics,
            nudge=self._nudge,
            wall_ms=wall_ms,
            progress=progress,
        )

    async def run(self, stop: asyncio.Event) -> None:
        """Leads whenever the lease is free, until `stop`; keeps its catalogue warm meanwhile."""
        subscription = await self._around.bus.subscribe(EVENTS_FILTER, self._on_event)
        reason, warmed_at = "started", 0.0
        try:
            while not stop.is_set():
                self._around.progress()
                if await self._acquire():
                    reason = await self._lead(stop, reason)
                    continue
                if time.monotonic() - warmed_at > WARM_SECONDS:
                    warmed_at = time.monotonic()
                    await self._warm_up()
                await wait_any(TRY_SECONDS, stop)
        finally:
            await subscription.unsubscribe()
            await self._around.lease.release()

    async def _acquire(self) -> bool:
        if await self._around.lease.acquire():
            return True
        if self._around.bus.connected:
            try:
                await ensure_leases(self._around.bus)
            except BusError as error:
                log.warning("leases_not_there", error=str(error))
        return False

    async def _lead(self, stop: asyncio.Event, reason: str) -> str:
        """One term; returns why it ended. A database or bus that is away gives the lease to somebody luckier."""
        around = self._around
        try:
            epoch = await take_epoch(around.db, self._holder, reason, around.wall_ms())
            around.metrics.epoch.set(epoch.number)
            log.info("term_started", epoch=epoch.number, reason=reason, checkpoint_ms=epoch.checkpoint_ms)
            ended = await Term(around, epoch).run(stop)
            log.info("term_ended", epoch=epoch.number, reason=ended)
        except (StoreUnavailable, BusError) as error:
            log.warning("term_failed", error=str(error))
            ended = f"{type(error).__name__} in the last term"
            await around.lease.release()
            await wait_any(AGAIN_SECONDS, stop)
        finally:
            around.metrics.epoch.set(0)
        return ended

    async def _warm_up(self) -> None:
        try:
            await synchronise(self._around.db, self._around.catalogue, self._around.progress)
        except StoreUnavailable as error:
            log.warning("standby_not_warm", error=str(error))

    async def _on_event(self, _: object) -> None:
        self._nudge.set()
