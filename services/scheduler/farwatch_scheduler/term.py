"""One term of office of a scheduler: from taking an epoch until lease, epoch or clock say that it is over."""

import asyncio
from collections import deque
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from typing import Any

import structlog

from farwatch_bus import Bus, BusError, Lease, stream_info
from farwatch_bus.streams import parse_time
from farwatch_events.subjects import CHECK_NOW_COMMAND, LEASES_BUCKET, checks_stream
from farwatch_runtime.clock import monotonic_ms
from farwatch_scheduler.catalogue import Catalogue
from farwatch_scheduler.chunks import make_chunks
from farwatch_scheduler.configuration import Epoch, read_enabled_regions, record_parked, save_checkpoint
from farwatch_scheduler.desk import Desk
from farwatch_scheduler.metrics import Metrics
from farwatch_scheduler.outlet import Outlet
from farwatch_scheduler.ring import TICK_MS
from farwatch_scheduler.sync import synchronise
from farwatch_scheduler.timeline import Timeline, floor_tick, is_parked, is_step, resume_from, safe_checkpoint
from farwatch_store import Database, Follower, StoreUnavailable
from farwatch_store.waiting import wait_any

CONSUMER = "scheduler"
CHECKPOINT_SECONDS = 1.0
WATCH_SECONDS = 2.0
SYNCHRONISE_SECONDS = 60.0
LATE_MS = 1_000
LATE_CHECKS_PER_TICK = 1_000
"""Slots that are made up go out at this rate beside the due ones: all at once would push the oldest out of a stream."""
DRAIN_SECONDS = 2.0

log = structlog.get_logger("farwatch_scheduler")


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What all terms of one process share. `wall_ms` is the wall clock; `nudge` is set when the log may have grown."""

    bus: Bus
    db: Database
    lease: Lease
    catalogue: Catalogue
    metrics: Metrics
    nudge: asyncio.Event
    wall_ms: Callable[[], int]
    progress: Callable[[], None]


class Term:
    def __init__(self, around: Surroundings, epoch: Epoch) -> None:
        self._around = around
        self._epoch = epoch.number
        self._timeline = Timeline(around.wall_ms(), monotonic_ms())
        self._cursor_ms = resume_from(epoch.checkpoint_ms, self._timeline.wall_ms)
        self._late: deque[tuple[int, list[int]]] = deque()
        self._outlets: dict[str, tuple[Outlet, asyncio.Task[None]]] = {}
        self._parked = False
        self._desk = Desk(
            around.bus, around.db, around.catalogue, epoch.number, self._time_unless_parked, around.metrics
        )

    async def run(self, stop: asyncio.Event) -> str:
        """Returns why the term ended. What must not happen is raised."""
        try:
            await synchronise(self._around.db, self._around.catalogue, self._around.progress)
            await self._update_regions()
            await self._compare_clocks()
            # The very first scheduler may die within its first second: its successor needs to know where it began.
            await self._save_checkpoint()
            return await self._first_of(
                self._tick(), self._keep_checkpoint(), self._watch(), self._follow(stop), _stopped(stop)
            )
        finally:
            await self._close()

    async def _first_of(self, *parts: Coroutine[Any, Any, str]) -> str:
        subscription = await self._around.bus.respond(CHECK_NOW_COMMAND, self._desk.check_now)
        tasks = [asyncio.create_task(part) for part in parts]
        try:
            done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            return done.pop().result()
        finally:
            await subscription.unsubscribe()
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    def _time_unless_parked(self) -> int | None:
        return None if self._parked else self._timeline.at(monotonic_ms())

    # Ticks

    async def _tick(self) -> str:
        while self._around.lease.held:
            monotonic = monotonic_ms()
            step_ms = self._timeline.step_ms(self._around.wall_ms(), monotonic)
            if is_step(step_ms):
                return f"the wall clock was set by {step_ms} ms"
            now_ms = self._timeline.at(monotonic)
            if not self._parked and self._around.bus.connected:
                self._advance(floor_tick(now_ms))
            self._around.progress()
            await asyncio.sleep((floor_tick(now_ms) + TICK_MS - now_ms) / 1000)
        return "the lease was lost"

    def _advance(self, until_ms: int) -> None:
        due = self._around.catalogue.rings.due(self._cursor_ms, until_ms)
        self._cursor_ms = max(self._cursor_ms, until_ms)
        self._around.metrics.skipped.labels("overdue").inc(due.skipped)
        for slot_ms, monitor_ids in due.slots:
            if until_ms - slot_ms > LATE_MS:
                self._late.append((slot_ms, monitor_ids))
            else:
                self._emit(slot_ms, monitor_ids)
        self._make_up(LATE_CHECKS_PER_TICK)

    def _make_up(self, checks: int) -> None:
        while self._late and checks > 0:
            slot_ms, monitor_ids = self._late.popleft()
            self._emit(slot_ms, monitor_ids)
            checks -= len(monitor_ids)

    def _emit(self, slot_ms: int, monitor_ids: list[int]) -> None:
        groups = self._around.catalogue.by_region(monitor_ids)
        for region, monitors in groups.items():
            outlet, _ = self._outlets[region]
            for chunk in make_chunks(region, self._epoch, slot_ms, monitors):
                outlet.offer(chunk)
        if not groups:
            self._around.metrics.skipped.labels("no_region").inc(len(monitor_ids))

    # The checkpoint, which is also the fence

    async def _keep_checkpoint(self) -> str:
        while True:
            await asyncio.sleep(CHECKPOINT_SECONDS)
            self._raise_for_dead_outlets()
            try:
                if not await self._save_checkpoint():
                    return "another scheduler has a newer epoch"
            except StoreUnavailable as error:
                log.warning("checkpoint_not_saved", error=str(error))

    def _raise_for_dead_outlets(self) -> None:
        for _, pump in self._outlets.values():
            if pump.done():
                pump.result()

    async def _save_checkpoint(self) -> bool:
        oldest = [outlet.oldest_ms() for outlet, _ in self._outlets.values()]
        unstored = [slot_ms for slot_ms in oldest if slot_ms is not None]
        if self._late:
            unstored.append(self._late[0][0])
        return await save_checkpoint(self._around.db, self._epoch, safe_checkpoint(self._cursor_ms, unstored))

    # Configuration

    async def _follow(self, stop: asyncio.Event) -> str:
        await Follower(self._around.db, CONSUMER, self._desk.on_events, self._around.nudge).run(stop)
        return "asked to stop"

    async def _watch(self) -> str:
        synchronised_ms = monotonic_ms()
        while True:
            await wait_any(WATCH_SECONDS, self._desk.regions_changed)
            self._desk.regions_changed.clear()
            try:
                await self._update_regions()
                await self._compare_clocks()
                if monotonic_ms() - synchronised_ms > SYNCHRONISE_SECONDS * 1000:
                    synchronised_ms = monotonic_ms()
                    await synchronise(self._around.db, self._around.catalogue, self._around.progress)
            except (StoreUnavailable, BusError) as error:
                log.warning("scheduler_watch_failed", error=str(error))
            self._around.metrics.monitors.set(len(self._around.catalogue))

    async def _update_regions(self) -> None:
        """A region takes checks when it is enabled and its stream exists; the others hold up nobody."""
        async with self._around.db.connection() as connection:
            enabled = await read_enabled_regions(connection)
        there = [region for region in enabled if await stream_info(self._around.bus, checks_stream(region))]
        self._around.catalogue.set_open_regions(there)
        wanted = set(self._around.catalogue.open_regions)
        opened = wanted - self._outlets.keys()
        for region in opened:
            outlet = Outlet(self._around.bus, region, self._around.metrics)
            self._outlets[region] = (outlet, asyncio.create_task(outlet.run(), name=f"outlet-{region}"))
            log.info("region_opened", region=region)
        for region in self._outlets.keys() - wanted:
            await self._shut(region)
            log.info("region_closed", region=region)
        if opened:
            await self._desk.on_region_opened()

    async def _shut(self, region: str) -> None:
        outlet, pump = self._outlets.pop(region)
        pump.cancel()
        await asyncio.gather(pump, return_exceptions=True)
        await outlet.close()

    async def _compare_clocks(self) -> None:
        answer = await self._around.bus.api(f"STREAM.INFO.KV_{LEASES_BUCKET}")
        bus_ms = round(parse_time(answer["ts"]).timestamp() * 1000)
        ahead_ms = self._timeline.at(monotonic_ms()) - bus_ms
        parked = is_parked(ahead_ms)
        if parked and not self._parked:
            log.error("slots_parked", ahead_ms=ahead_ms, mend="set the clock of this machine or of the NATS server")
        if parked != self._parked:
            await record_parked(self._around.db, self._around.wall_ms(), ahead_ms, parked=parked)
        self._parked = parked
        self._around.metrics.parked.set(parked)

    async def _close(self) -> None:
        """Lets what is queued reach its stream for a moment, and notes how far that was."""
        if self._around.bus.connected:
            await asyncio.gather(*(outlet.drain(DRAIN_SECONDS) for outlet, _ in self._outlets.values()))
        try:
            await self._save_checkpoint()
        except StoreUnavailable as error:
            log.warning("checkpoint_not_saved", error=str(error))
        for region in list(self._outlets):
            await self._shut(region)
        await self._desk.close()


async def _stopped(stop: asyncio.Event) -> str:
    await stop.wait()
    return "asked to stop"
