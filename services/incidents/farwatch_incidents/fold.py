"""The fold: results in, states and incidents out, one transaction a batch.

A `Session` is one life of the memory: it loads, folds, and ends with any error of the database, after which the next
one starts from what was committed. There is never more than one writer: the epoch in health.shards is the fence.
"""

import asyncio
import contextlib
import time
from collections import deque
from collections.abc import Callable

import asyncpg
import structlog
from pydantic import ValidationError

from farwatch_bus import Bus, BusError, Message, ensure_region, purge_up_to
from farwatch_events.checks import Reply
from farwatch_events.events import EventMeta
from farwatch_events.live import LIVE_MONITORS_MAX, LiveCheck, LiveMonitors
from farwatch_events.results import Heartbeat, ResultBatch, parse_result_message
from farwatch_events.subjects import PUSH_REGION, live_check, live_monitors, results_stream
from farwatch_incidents import queries
from farwatch_incidents.changes import Changes
from farwatch_incidents.clock import FoldClock
from farwatch_incidents.following import follow
from farwatch_incidents.intake import Intake, starting_point
from farwatch_incidents.loading import Loaded, load, load_configs, load_incident, load_regions, load_windows
from farwatch_incidents.metrics import Metrics
from farwatch_incidents.orders import Order, carry_out, refused, register_region
from farwatch_incidents.partitions import ensure_days
from farwatch_incidents.writer import Advance, Batch, write
from farwatch_runtime.clock import monotonic_ms, now_ms
from farwatch_store import Database, StoreUnavailable

LINGER_SECONDS = 0.04
"""Between the starts of two batches: a transaction costs the same for one result and for a hundred."""
TICK_MS = 1_000
PURGE_MS = 5_000
BEHIND_MS = 2_000
SLICE_MS = 1_000
SLICE_PATIENCE_SECONDS = 3.0
STEP_SECONDS = 60.0
CLOSE_SECONDS = 3.0
BYTES_A_STEP = 256 * 1024
"""Some thousand results: more would keep the loop, and with it the lease, waiting for too long."""
START_OVER_SECONDS = 0.5

log = structlog.get_logger("farwatch_incidents")


class Fold:
    """Runs sessions one after another. Commands are handed in from outside with `submit`."""

    def __init__(self, bus: Bus, db: Database, metrics: Metrics, keep_raw_days: int = 7) -> None:
        self.bus = bus
        self.db = db
        self.metrics = metrics
        self.keep_raw_days = keep_raw_days
        self.wake = asyncio.Event()
        self.nudge = asyncio.Event()
        self.orders: deque[Order] = deque()
        self.progress: Callable[[], None] = lambda: None

    async def submit(self, order: Order, timeout_seconds: float = 8.0) -> Reply:
        """The reply once it is committed; `unavailable` when that takes too long. Raises nothing."""
        self.orders.append(order)
        self.wake.set()
        try:
            return await asyncio.wait_for(asyncio.shield(order.reply), timeout_seconds)
        except TimeoutError:
            with contextlib.suppress(ValueError):
                self.orders.remove(order)
            return refused("unavailable", "Incidents did not get to it in time; try again.")

    def look_at_log(self) -> None:
        """Something was logged: the configuration may have changed."""
        self.nudge.set()
        self.wake.set()

    async def run(self, stop: asyncio.Event) -> None:
        """Until `stop`. Raises LostOwnership when another fold took over."""
        while not stop.is_set():
            session = Session(self)
            try:
                await session.run(stop)
            except (StoreUnavailable, asyncpg.PostgresError, asyncpg.InterfaceError, TimeoutError) as error:
                self.metrics.restarts.inc()
                log.warning("fold_starts_over", error=f"{type(error).__name__}: {error}")
                await _sleep(START_OVER_SECONDS, stop)
            finally:
                self.metrics.epoch.set(0)
                await session.close()


class Session:
    def __init__(self, fold: Fold) -> None:
        self.fold = fold
        self.bus = fold.bus
        self.db = fold.db
        self.metrics = fold.metrics
        self._intakes: dict[str, Intake] = {}
        self._offsets: dict[str, tuple[int, str]] = {}
        self._known_regions: set[str] = set()
        self._known_days: set[int] = set()
        self._taken_orders: list[tuple[Order, Reply]] = []
        self._metas: dict[int, EventMeta] = {}
        self._behind = False
        self._slice_began = 0.0
        self._oldest_ms = 0
        self._ticked_ms = 0
        self._stepped = 0.0
        self._purging: asyncio.Task[None] | None = None

    async def run(self, stop: asyncio.Event) -> None:
        async with self.db.transaction() as connection:
            self._adopt(await load(connection, self.fold.keep_raw_days))
        await self._watch_regions()
        log.info("fold_started", epoch=self._epoch, monitors=len(self._board.configs), regions=sorted(self._intakes))
        while not stop.is_set():
            await self._wait(stop)
            async with asyncio.timeout(STEP_SECONDS):
                await self._step()
            self.fold.progress()

    def _adopt(self, loaded: Loaded) -> None:
        self._board = loaded.board
        self._epoch = loaded.epoch
        self._position = self._next_position = loaded.position
        self._offsets = loaded.offsets
        self._known_regions = set(loaded.regions)
        if self._board.now_ms == 0:
            self._board.at(now_ms())
        self._clock = FoldClock(self._board.now_ms, monotonic_ms())
        self.metrics.epoch.set(loaded.epoch)

    async def close(self) -> None:
        if self._purging is not None:
            self._purging.cancel()
            await asyncio.gather(self._purging, return_exceptions=True)
        closing = [asyncio.ensure_future(intake.close()) for intake in self._intakes.values()]
        if closing:
            await asyncio.wait(closing, timeout=CLOSE_SECONDS)
        for order, _ in self._taken_orders:
            order.answer(refused("unavailable", "Incidents lost the database in between; try again."))

    async def _wait(self, stop: asyncio.Event) -> None:
        """Until there is something to do, and not sooner than the linger after the batch before."""
        due = max(0.0, (self._ticked_ms + TICK_MS - monotonic_ms()) / 1000)
        if not self._board.has_reviews:
            await _wait_any(due, self.fold.wake, stop)
        self.fold.wake.clear()
        early = self._stepped + LINGER_SECONDS - time.monotonic()
        catching_up = self._behind and not self._slice_began
        if early > 0 and not catching_up:
            await _sleep(early, stop)
        self._stepped = time.monotonic()

    async def _step(self) -> None:
        due = monotonic_ms() - self._ticked_ms >= TICK_MS
        messages = self._take()
        await self._feed(messages)
        if due or self.fold.nudge.is_set():
            self.fold.nudge.clear()
            await self._follow()
        if due:
            await self._tick()
        elif self._board.has_reviews:
            self._board.review_some()
        new_regions = await self._carry_out_orders()
        await self._commit(new_regions)
        if self._board.has_reviews or any(not intake.is_drained for intake in self._intakes.values()):
            self.fold.wake.set()

    # -- messages ----------------------------------------------------------------------------------------------------

    def _take(self) -> list[tuple[str, Message]]:
        """What arrived, in JetStream's order of time. Behind, only what came up to one common time: so the regions'
        votes meet as they would have met live."""
        waiting = [each.oldest_ms for each in self._intakes.values() if each.oldest_ms is not None]
        if not waiting:
            self._behind = False
            return []
        up_to_ms, share = None, BYTES_A_STEP // len(waiting)
        self._behind = now_ms() - min(waiting) > BEHIND_MS
        if self._behind:
            up_to_ms = min(waiting) + SLICE_MS
            if not self._slice_is_whole(up_to_ms):
                return []
        self._slice_began = 0.0
        taken = [
            (region, message) for region, intake in self._intakes.items() for message in intake.take(up_to_ms, share)
        ]
        taken.sort(key=lambda pair: pair[1].timestamp_ms)
        return taken

    def _slice_is_whole(self, up_to_ms: int) -> bool:
        """Whether every stream is read up to that time. One that does not answer is not waited for endlessly."""
        if all(intake.reaches(up_to_ms) for intake in self._intakes.values()):
            return True
        self._slice_began = self._slice_began or time.monotonic()
        return time.monotonic() - self._slice_began > SLICE_PATIENCE_SECONDS

    async def _feed(self, messages: list[tuple[str, Message]]) -> None:
        if not messages:
            return
        self._oldest_ms = messages[0][1].timestamp_ms
        parsed = [
            (message.timestamp_ms, said)
            for region, message in messages
            if (said := self._parse(region, message)) is not None
        ]
        await self._meet_new_configs([said for _, said in parsed if isinstance(said, ResultBatch)])
        if self._behind:
            self._feed_slice(parsed)
        else:
            for timestamp_ms, said in parsed:
                self._board.at(timestamp_ms)
                self._hear(said)
        self._clock.hear(messages[-1][1].timestamp_ms, monotonic_ms())

    def _feed_slice(self, parsed: list[tuple[int, ResultBatch | Heartbeat]]) -> None:
        """Results by slot and region, then the heartbeats, whose watermarks speak of results before them."""
        results = [
            (result.slot_ms, said.region, timestamp_ms, said, result)
            for timestamp_ms, said in parsed
            if isinstance(said, ResultBatch)
            for result in said.results
        ]
        results.sort(key=lambda each: each[:3])
        for _, region, timestamp_ms, said, result in results:
            self._board.at(timestamp_ms)
            self._board.hear_result(region, said, result)
        for timestamp_ms, beat in parsed:
            if isinstance(beat, Heartbeat):
                self._board.at(timestamp_ms)
                self._board.hear_heartbeat(beat)

    def _hear(self, said: ResultBatch | Heartbeat) -> None:
        if isinstance(said, Heartbeat):
            self._board.hear_heartbeat(said)
            return
        for result in said.results:
            self._board.hear_result(said.region, said, result)

    def _parse(self, region: str, message: Message) -> ResultBatch | Heartbeat | None:
        """None for what makes no sense, or speaks for another region than the one whose stream it came in."""
        try:
            said = parse_result_message(message.data)
        except ValidationError as error:
            self.metrics.poison.inc()
            log.error("message_unreadable", stream=results_stream(region), sequence=message.sequence, error=str(error))
            return None
        if said.region != region:
            self.metrics.poison.inc()
            log.error("message_of_another_region", stream=results_stream(region), said=said.region)
            return None
        return said

    async def _meet_new_configs(self, batches: list[ResultBatch]) -> None:
        """Results may be ahead of the log that we follow: an unknown monitor or a newer version is read at once."""
        configs = self._board.configs
        newer = {
            result.monitor_id
            for batch in batches
            for result in batch.results
            if (known := configs.get(result.monitor_id)) is None or known.config_version < result.config_version
        }
        if not newer:
            return
        async with self.db.connection() as connection:
            for config, alive in await load_configs(connection, sorted(newer)):
                if alive:
                    self._board.set_config(config)

    # -- configuration and time --------------------------------------------------------------------------------------

    async def _follow(self) -> None:
        async with self.db.connection() as connection:
            self._next_position = await follow(connection, self._board, self._position, self._metas)

    async def _tick(self) -> None:
        self._ticked_ms = monotonic_ms()
        await self._watch_regions()
        watching = self.bus.connected and all(each.is_drained and not each.broken for each in self._intakes.values())
        self._board.tick(*self._clock.tick(self._ticked_ms, watching=watching))
        self.metrics.monitors.set(len(self._board.configs))
        if self._purging is None or self._purging.done():
            self._purging = asyncio.create_task(self._purge())

    async def _watch_regions(self) -> None:
        """Reads the regions anew, starts reading those that have no intake, and heals streams that broke off."""
        async with self.db.connection() as connection:
            regions = await load_regions(connection)
            self._board.set_windows(await load_windows(connection, self._board.now_ms))
        self._known_regions = set(regions)
        self._board.set_regions(region for region, enabled in regions.items() if enabled)
        for region in [*self._intakes]:
            gone = region not in regions and region != PUSH_REGION
            if gone or (self._intakes[region].broken and self._intakes[region].oldest_ms is None):
                await self._drop_intake(region)
        for region in (*regions, PUSH_REGION):
            if region not in self._intakes:
                await self._start_intake(region)

    async def _drop_intake(self, region: str) -> None:
        intake = self._intakes.pop(region)
        if intake.broken:
            log.warning(
                "stream_broke_off", stream=intake.stream, expected=intake.broken.expected, why=str(intake.broken)
            )
        await intake.close()

    async def _start_intake(self, region: str) -> None:
        stream = results_stream(region)
        try:
            await ensure_region(self.bus, region)
            start = await starting_point(self.bus, region, self._offsets.get(stream))
        except BusError as error:
            log.warning("region_unreachable", region=region, error=str(error))
            return
        if start is None:
            return
        if start != self._offsets.get(stream):
            log.info("offset_set", stream=stream, before=self._offsets.get(stream), after=start)
            async with self.db.transaction() as connection:
                await connection.execute(queries.SET_OFFSET, stream, *start, self._epoch)
            self._offsets[stream] = start
        self._intakes[region] = Intake(self.bus, region, start[0], self.fold.wake)

    async def _purge(self) -> None:
        """Makes room in the streams: what is committed is never read again."""
        await asyncio.sleep(PURGE_MS / 1000)
        for intake in list(self._intakes.values()):
            committed, _ = self._offsets.get(intake.stream, (0, ""))
            with contextlib.suppress(BusError):
                await purge_up_to(self.bus, intake.stream, committed)

    # -- commands ----------------------------------------------------------------------------------------------------

    async def _carry_out_orders(self) -> list[str]:
        """Regions that have to be registered with this batch."""
        new_regions: list[str] = []
        while self.fold.orders:
            order = self.fold.orders.popleft()
            if order.region is not None:
                if register_region(self._board, order.region, self._known_regions):
                    new_regions.append(order.region)
                    self._known_regions.add(order.region)
                self._taken_orders.append((order, Reply(ok=True)))
            elif order.command is not None:
                self._taken_orders.append((order, refused("unavailable", "")))
                async with self.db.connection() as connection:
                    incident = await load_incident(connection, order.command.incident_id)
                if incident is None:
                    reply = refused("not_found", f"There is no incident {order.command.incident_id}.")
                else:
                    reply = carry_out(self._board, order.verb, order.command, incident, self._metas)
                self._taken_orders[-1] = (order, reply)
        return new_regions

    # -- committing --------------------------------------------------------------------------------------------------

    async def _commit(self, new_regions: list[str]) -> None:
        changes = self._board.take_changes()
        advances = [
            Advance(intake.stream, self._offsets[intake.stream][0], intake.last) for intake in self._intakes.values()
        ]
        moved = [each for each in advances if each.before != each.last]
        position = self._next_position if self._next_position != self._position else None
        if not changes.is_empty or moved or position is not None or new_regions:
            await self._ensure_days(changes)
            batch = Batch(self._epoch, changes, moved, position, self._metas, new_regions)
            with self.metrics.commit.time():
                async with self.db.transaction() as connection:
                    await write(connection, self._board, batch)
            self._position = self._next_position
            for each in moved:
                self._offsets[each.stream] = (each.last, self._offsets[each.stream][1])
        self._metas = {}
        self._answer_orders()
        await self._tell_live(changes)
        self._count(changes)
        if new_regions:
            await self._watch_regions()

    async def _ensure_days(self, changes: Changes) -> None:
        missing = changes.days - self._known_days
        if missing:
            async with self.db.connection() as connection:
                await ensure_days(connection, missing)
            self._known_days |= missing

    def _answer_orders(self) -> None:
        for order, reply in self._taken_orders:
            order.answer(reply)
        self._taken_orders = []

    async def _tell_live(self, changes: Changes) -> None:
        with contextlib.suppress(BusError):
            told = [
                self._board.live_of(monitor_id, region, result, turned=monitor_id in changes.turned)
                for monitor_id, (region, result) in changes.live.items()
            ]
            for start in range(0, len(told), LIVE_MONITORS_MAX):
                part = LiveMonitors(monitors=told[start : start + LIVE_MONITORS_MAX])
                await self.bus.publish(live_monitors(), part.to_bytes())
            for region, asked in changes.live_checks:
                if asked.request_id is not None:
                    stored = LiveCheck(request_id=asked.request_id, region=region, result=asked)
                    await self.bus.publish(live_check(asked.request_id), stored.to_bytes())

    def _count(self, changes: Changes) -> None:
        counts = changes.counts
        for why, number in (("known", counts.dropped), ("no_monitor", counts.unknown)):
            if number:
                self.metrics.dropped.labels(why).inc(number)
        self.metrics.late.inc(counts.late)
        self.metrics.results.inc(counts.folded)
        if self._oldest_ms:
            self.metrics.batch.observe(counts.folded)
            self.metrics.lag.observe(max(0, now_ms() - self._oldest_ms) / 1000)
            self._oldest_ms = 0


async def _wait_any(timeout_seconds: float, *events: asyncio.Event) -> None:
    if any(event.is_set() for event in events):
        return
    tasks = [asyncio.ensure_future(event.wait()) for event in events]
    try:
        await asyncio.wait(tasks, timeout=timeout_seconds, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in tasks:
            task.cancel()


async def _sleep(seconds: float, stop: asyncio.Event) -> None:
    await _wait_any(seconds, stop)
