"""Checks that do not wait for their slot: new and edited monitors, confirmations, "check now"."""

import asyncio
from collections.abc import Callable, Sequence

import structlog
from pydantic import ValidationError

from farwatch_bus import Ack, Bus, BusClosed
from farwatch_events.checks import CheckNowReply, CheckNowRequest
from farwatch_events.events import RecordedEvent
from farwatch_events.subjects import checks_stream, due_now
from farwatch_scheduler.catalogue import Catalogue, Unscheduled
from farwatch_scheduler.chunks import Ask, Chunk, make_chunks
from farwatch_scheduler.configuration import read_monitors
from farwatch_scheduler.metrics import Metrics
from farwatch_scheduler.monitors import Monitor
from farwatch_scheduler.reactions import FRESH_MS, Confirmation, Reactions, decide_reactions
from farwatch_scheduler.sync import apply_rows
from farwatch_store import Connection, Database, StoreUnavailable

STORED_SECONDS = 2.0
DATABASE_SECONDS = 2.0
DEADLINE_SECONDS = 10.0
MOST_WAITING = 10_000

log = structlog.get_logger("farwatch_scheduler")


class Desk:
    """`now_ms` is the scheduler's time, None while slots are parked. `regions_changed` is set when the log says so."""

    def __init__(
        self,
        bus: Bus,
        db: Database,
        catalogue: Catalogue,
        epoch: int,
        now_ms: Callable[[], int | None],
        metrics: Metrics,
    ) -> None:
        self._bus = bus
        self._db = db
        self._catalogue = catalogue
        self._epoch = epoch
        self._now_ms = now_ms
        self._metrics = metrics
        self._publisher = bus.publisher(deadline_seconds=DEADLINE_SECONDS)
        self._last_slot_ms = 0
        self._waiting: dict[int, int] = {}
        self.regions_changed = asyncio.Event()

    async def close(self) -> None:
        await self._publisher.close()

    async def on_events(self, connection: Connection, events: Sequence[RecordedEvent]) -> None:
        """Applies a batch of the log: returns once the checks it asks for are stored, or have had their time."""
        slot_ms = self._take_slot()
        reactions = decide_reactions(events, slot_ms or 0)
        if reactions.reread:
            apply_rows(self._catalogue, await read_monitors(connection, reactions.reread))
        if reactions.regions_changed:
            self.regions_changed.set()
        if slot_ms is not None:
            await self._check_at_once(reactions, slot_ms)

    async def on_region_opened(self) -> None:
        """Asks for the first checks of monitors that came while none of their regions was there, as at the start."""
        slot_ms = self._take_slot()
        if slot_ms is None or not self._waiting:
            return
        fresh = [monitor_id for monitor_id, since_ms in self._waiting.items() if slot_ms - since_ms <= FRESH_MS]
        self._waiting.clear()
        await self._store(self._first_checks(fresh, slot_ms))

    def _first_checks(self, monitor_ids: Sequence[int], slot_ms: int) -> list[tuple[Chunk, str]]:
        wanted: list[tuple[Chunk, str]] = []
        waiting = dict.fromkeys(monitor_ids, slot_ms)
        for region, monitors in self._catalogue.by_region(monitor_ids).items():
            wanted.extend((chunk, chunk.msg_id) for chunk in make_chunks(region, self._epoch, slot_ms, monitors))
            for monitor in monitors:
                waiting.pop(monitor.monitor_id, None)
        if len(self._waiting) < MOST_WAITING:
            self._waiting.update(waiting)
        return wanted

    async def _check_at_once(self, reactions: Reactions, slot_ms: int) -> None:
        wanted = self._first_checks(sorted(reactions.check), slot_ms)
        for confirmation in reactions.confirmations:
            wanted.extend(self._confirm(confirmation, slot_ms))
        await self._store(wanted)

    def _confirm(self, wanted: Confirmation, slot_ms: int) -> list[tuple[Chunk, str]]:
        monitor = self._catalogue.get(wanted.monitor_id)
        if monitor is None or wanted.region not in self._catalogue.regions_of(monitor):
            return []
        ask = Ask(kind="confirmation", tries=None if wanted.all_tries else 1, confirmation_of_ms=wanted.failed_slot_ms)
        chunks = make_chunks(wanted.region, self._epoch, slot_ms, [monitor], ask)
        return [(chunk, f"{wanted.event_id}.{wanted.region}") for chunk in chunks]

    async def check_now(self, data: bytes) -> bytes:
        """Answers the command with a CheckNowReply."""
        try:
            request = CheckNowRequest.from_bytes(data)
        except ValidationError:
            return CheckNowReply(error="this is not a CheckNowRequest").to_bytes()
        return (await self._answer(request)).to_bytes()

    async def _answer(self, request: CheckNowRequest) -> CheckNowReply:
        monitor = await self._current(request.monitor_id)
        if isinstance(monitor, Unscheduled):
            return CheckNowReply(error=monitor.why)
        regions = self._catalogue.regions_of(monitor)
        if request.regions:
            regions = [region for region in regions if region in request.regions]
        slot_ms = self._take_slot()
        if slot_ms is None:
            return CheckNowReply(error="the scheduler's clock is wrong: nothing is checked until it is set right")
        if not regions:
            return CheckNowReply(error="none of the monitor's regions has a prober")
        stored = await self._ask_manual(monitor, regions, slot_ms, request.request_id)
        if not stored:
            return CheckNowReply(error="the check could not be handed to any region")
        return CheckNowReply(regions=stored, slot_ms=slot_ms)

    async def _ask_manual(self, monitor: Monitor, regions: list[str], slot_ms: int, request_id: str) -> list[str]:
        ask = Ask(kind="manual", tries=1, request_id=request_id)
        wanted = [
            (chunk, f"{request_id}.{region}")
            for region in regions
            for chunk in make_chunks(region, self._epoch, slot_ms, [monitor], ask)
        ]
        return await self._store(wanted)

    async def _current(self, monitor_id: int) -> Monitor | Unscheduled:
        """As PostgreSQL has it now; from memory when PostgreSQL does not answer."""
        try:
            async with self._db.connection(DATABASE_SECONDS) as connection:
                rows = await read_monitors(connection, [monitor_id])
        except StoreUnavailable:
            return self._catalogue.get(monitor_id) or Unscheduled("the monitor is not known here")
        return self._catalogue.apply(rows[0]) if rows else Unscheduled("there is no such monitor")

    async def _store(self, wanted: list[tuple[Chunk, str]]) -> list[str]:
        """Publishes all and waits for the acknowledgements a moment; returns the regions whose stream has its chunk."""
        started: dict[asyncio.Future[Ack], Chunk] = {}
        for chunk, msg_id in wanted:
            future = await self._publisher.start(
                due_now(chunk.region), chunk.data, msg_id, chunk.ttl_seconds, expect_stream=checks_stream(chunk.region)
            )
            future.add_done_callback(_log_failure)
            started[future] = chunk
            self._metrics.due.labels("at_once").inc(chunk.checks)
        if not started:
            return []
        done, _ = await asyncio.wait(started, timeout=STORED_SECONDS)
        return [chunk.region for future, chunk in started.items() if future in done and future.exception() is None]

    def _take_slot(self) -> int | None:
        """This moment, made unique: two requests within a millisecond are two checks."""
        now_ms = self._now_ms()
        if now_ms is None:
            return None
        self._last_slot_ms = max(now_ms, self._last_slot_ms + 1)
        return self._last_slot_ms


def _log_failure(done: "asyncio.Future[Ack]") -> None:
    if not done.cancelled() and (error := done.exception()) is not None and not isinstance(error, BusClosed):
        log.warning("check_at_once_lost", error=str(error))
