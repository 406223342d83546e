"""One life of the fold's memory: it loads, folds batch after batch, and ends with any error of the database."""

import asyncio
import time
from collections import deque
from collections.abc import Callable, Sequence

import structlog
from pydantic import ValidationError

from farwatch_bus import Bus, Message
from farwatch_events.checks import Reply
from farwatch_events.events import EventMeta
from farwatch_events.results import Heartbeat, ResultBatch, parse_result_message
from farwatch_events.subjects import results_stream
from farwatch_incidents import queries
from farwatch_incidents.board import Board
from farwatch_incidents.changes import Changes
from farwatch_incidents.clock import FoldClock
from farwatch_incidents.feeding import feed
from farwatch_incidents.following import AT_ONCE, follow
from farwatch_incidents.intakes import Intakes
from farwatch_incidents.live import tell_live
from farwatch_incidents.loading import Loaded, load, load_configs, load_incident, load_regions, load_windows
from farwatch_incidents.metrics import Metrics
from farwatch_incidents.orders import Order, carry_out, refused, register_region
from farwatch_incidents.parking import KEPT_BYTES, Notices, Parked, Poison
from farwatch_incidents.partitions import ensure_days
from farwatch_incidents.skipping import Skipping
from farwatch_incidents.writer import Batch, write
from farwatch_runtime.clock import monotonic_ms, now_ms
from farwatch_runtime.collector import calm_collector, rest_collector, settle_collector
from farwatch_store import Database
from farwatch_store.waiting import wait_any

LINGER_SECONDS = 0.04
"""Between the starts of two batches: a transaction costs the same for one result and for a hundred."""
BUSY_RESULTS = 50
BUSY_LINGER_SECONDS = 0.1
"""After a batch of so many results: nobody sees the 60 ms, and there are fewer than half as many transactions."""
FOLLOWED_ROUNDS = 20
"""Of the log in one step: ten thousand events."""
TICK_MS = 1_000
PURGE_MS = 5_000
STEP_SECONDS = 60.0
DROPPED_AT_ONCE = 10_000

log = structlog.get_logger("farwatch_incidents")


class Lasting:
    """What outlasts a session: the servers, who waits for the fold, and which messages it cannot take."""

    def __init__(self, bus: Bus, db: Database, metrics: Metrics, keep_raw_days: int = 7) -> None:
        self.bus = bus
        self.db = db
        self.metrics = metrics
        self.keep_raw_days = keep_raw_days
        self.wake = asyncio.Event()
        self.nudge = asyncio.Event()
        self.orders: deque[Order] = deque()
        self.poison = Poison()
        self.notices = Notices()
        self.skipping = Skipping()
        self.progress: Callable[[], None] = lambda: None


class Session:
    """`fold` is what it belongs to and what it leaves behind."""

    def __init__(self, fold: Lasting) -> None:
        self.fold = fold
        self.bus = fold.bus
        self.db = fold.db
        self.metrics = fold.metrics
        self.in_hand: list[tuple[str, int]] = []
        """The messages, by stream and sequence, of the step that is being worked on."""
        self._intakes = Intakes(fold.bus, {}, fold.wake)
        self._board = Board()
        self._parked: list[Parked] = []
        self._known_regions: set[str] = set()
        self._known_days: set[int] = set()
        self._taken_orders: list[tuple[Order, Reply]] = []
        self._metas: dict[int, EventMeta] = {}
        self._oldest_ms = 0
        self._ticked_ms = 0
        self._stepped = 0.0
        self._linger_seconds = LINGER_SECONDS
        self._purging: asyncio.Task[None] | None = None

    async def run(self, stop: asyncio.Event) -> None:
        rest_collector()
        try:
            async with self.db.transaction() as connection:
                self._adopt(await load(connection, self.fold.keep_raw_days))
            await self._intakes.open(self._known_regions)
            await self._begin_reading()
        finally:
            calm_collector()
        log.info("fold_started", epoch=self._epoch, monitors=len(self._board.configs), regions=self._intakes.regions)
        while not stop.is_set():
            await self._wait(stop)
            async with asyncio.timeout(STEP_SECONDS):
                await self._step()
            self.fold.progress()

    def _adopt(self, loaded: Loaded) -> None:
        self._board = loaded.board
        self._epoch = loaded.epoch
        self._position = self._next_position = loaded.position
        self._intakes.offsets = loaded.offsets
        self._known_regions = set(loaded.regions)
        if self._board.now_ms == 0:
            self._board.at(now_ms())
        self._clock = FoldClock(self._board.now_ms, monotonic_ms())
        self.metrics.epoch.set(loaded.epoch)

    async def close(self) -> None:
        if self._purging is not None:
            self._purging.cancel()
            await asyncio.gather(self._purging, return_exceptions=True)
        await self._intakes.close()
        await self._drop_memory()
        for order, _ in self._taken_orders:
            order.answer(refused("unavailable", "Incidents lost the database in between; try again."))

    async def _drop_memory(self) -> None:
        """In steps: a million monitors at once would take seconds, and without it they would stay until garbage is
        searched, beside what is loaded next."""
        for kept in (self._board.states, self._board.configs):
            while kept:
                for _ in range(min(DROPPED_AT_ONCE, len(kept))):
                    kept.popitem()
                await asyncio.sleep(0)

    async def _wait(self, stop: asyncio.Event) -> None:
        """Until there is something to do, and not sooner than the linger after the batch before."""
        due = max(0.0, (self._ticked_ms + TICK_MS - monotonic_ms()) / 1000)
        if not self._board.has_reviews:
            await wait_any(due, self.fold.wake, stop)
        self.fold.wake.clear()
        early = self._stepped + self._linger_seconds - time.monotonic()
        catching_up = self._intakes.behind and not self._intakes.waits_for_a_slice
        if early > 0 and not catching_up:
            await wait_any(early, stop)
        self._stepped = time.monotonic()

    async def _step(self) -> None:
        due = monotonic_ms() - self._ticked_ms >= TICK_MS
        await self._begin_reading()
        messages = self._intakes.take(now_ms(), alone=self.fold.poison.one_by_one)
        self.in_hand = [(results_stream(region), message.sequence) for region, message in messages]
        if due or self.fold.nudge.is_set():
            self.fold.nudge.clear()
            await self._follow()
        await self._feed(messages)
        if due:
            await self._tick()
        elif self._board.has_reviews:
            self._board.review_some()
        new_regions = await self._carry_out_orders()
        await self._commit(new_regions)
        self.fold.poison.passed(self.in_hand)
        self.in_hand = []
        if self._board.has_reviews or not self._intakes.are_drained:
            self.fold.wake.set()

    # -- messages ----------------------------------------------------------------------------------------------------

    async def _feed(self, messages: Sequence[tuple[str, Message]]) -> None:
        if not messages:
            return
        self._oldest_ms = messages[0][1].timestamp_ms
        parsed = [
            (message.timestamp_ms, said)
            for region, message in messages
            if (said := self._parse(region, message)) is not None
        ]
        await self._meet_new_configs([said for _, said in parsed if isinstance(said, ResultBatch)])
        feed(self._board, parsed, in_slices=self._intakes.behind)
        self._clock.hear(messages[-1][1].timestamp_ms, monotonic_ms())

    def _parse(self, region: str, message: Message) -> ResultBatch | Heartbeat | None:
        """None for a message that is put aside: it makes no sense, speaks for another region than the one whose
        stream it came in, or made the batch fail that it was in."""
        condemned = self.fold.poison.condemned.get((results_stream(region), message.sequence))
        if condemned is not None:
            self._park(region, message, condemned)
            return None
        try:
            said = parse_result_message(message.data)
        except ValidationError as error:
            self._park(region, message, f"not a message: {error.errors()[0]['msg']}")
            return None
        if said.region != region:
            self._park(region, message, f"speaks for the region {said.region!r}")
            return None
        return said

    def _park(self, region: str, message: Message, reason: str) -> None:
        stream = results_stream(region)
        parked = Parked(stream, message.sequence, message.timestamp_ms, reason, message.data[:KEPT_BYTES])
        self._parked.append(parked)
        self.metrics.poison.inc()
        log.error("message_parked", stream=stream, sequence=message.sequence, reason=reason)
        if event := self.fold.notices.of(parked, message.timestamp_ms):
            self._board.announce(event)

    async def _meet_new_configs(self, batches: list[ResultBatch]) -> None:
        """Results may be ahead of the log that we follow: an unknown monitor or a newer version is read at once.

        The log first: a resumption that is told of later would end the incident that the first result after it opened.
        """
        if not self._newer_than_known(batches):
            return
        await self._follow()
        if not (newer := self._newer_than_known(batches)):
            return
        async with self.db.connection() as connection:
            for config, alive in await load_configs(connection, sorted(newer)):
                if alive:
                    self._board.set_config(config)

    def _newer_than_known(self, batches: list[ResultBatch]) -> set[int]:
        configs = self._board.configs
        return {
            result.monitor_id
            for batch in batches
            for result in batch.results
            if (known := configs.get(result.monitor_id)) is None or known.config_version < result.config_version
        }

    # -- configuration and time --------------------------------------------------------------------------------------

    async def _follow(self) -> None:
        """Goes on from where this step has come already, up to the end of the log if that is not far."""
        async with self.db.connection() as connection:
            for _ in range(FOLLOWED_ROUNDS):
                before = self._next_position
                self._next_position = await follow(connection, self._board, before, self._metas)
                if self._next_position - before < AT_ONCE:
                    return

    async def _tick(self) -> None:
        self._ticked_ms = monotonic_ms()
        settle_collector()
        await self._watch_regions()
        self._board.tick(*self._clock.tick(self._ticked_ms, watching=self._intakes.are_watching))
        self.metrics.monitors.set(len(self._board.configs))
        if self._purging is None or self._purging.done():
            self._purging = asyncio.create_task(self._purge())

    async def _watch_regions(self) -> None:
        """Reads the regions and windows anew; opens streams that are new and heals those that broke off."""
        async with self.db.connection() as connection:
            regions = await load_regions(connection)
            self._board.set_windows(await load_windows(connection, self._board.now_ms))
        self._known_regions = set(regions)
        self._board.set_regions(region for region, enabled in regions.items() if enabled)
        self._intakes.watch(regions)

    async def _begin_reading(self) -> None:
        """Streams whose start was found are read from now on."""
        for region, start in self._intakes.opened().items():
            stream = results_stream(region)
            before = self._intakes.offsets.get(stream)
            if start != before:
                log.info("offset_set", stream=stream, before=before, after=start)
                async with self.db.transaction() as connection:
                    await connection.execute(queries.SET_OFFSET, stream, *start, self._epoch)
            self._intakes.begin(region, start)

    async def _purge(self) -> None:
        await asyncio.sleep(PURGE_MS / 1000)
        await self._intakes.purge()

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
        moved, parked = self._intakes.advances(), self._parked
        position = self._next_position if self._next_position != self._position else None
        if not changes.is_empty or moved or position is not None or new_regions:
            await self._ensure_days(changes)
            batch = Batch(self._epoch, changes, moved, position, self._metas, new_regions, parked)
            with self.metrics.commit.time():
                async with self.db.transaction() as connection:
                    await write(connection, self._board, batch)
            self._position = self._next_position
            self._intakes.committed(moved)
        self._metas, self._parked = {}, []
        self._answer_orders()
        await tell_live(self.bus, self._board, changes)
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

    def _count(self, changes: Changes) -> None:
        counts = changes.counts
        self._linger_seconds = LINGER_SECONDS if counts.folded < BUSY_RESULTS else BUSY_LINGER_SECONDS
        for why, number in (("known", counts.dropped), ("no_monitor", counts.unknown)):
            if number:
                self.metrics.dropped.labels(why).inc(number)
        self.metrics.late.inc(counts.late)
        self.metrics.results.inc(counts.folded)
        self.fold.skipping.count(counts.answered, counts.skipped)
        if self._oldest_ms:
            self.metrics.batch.observe(counts.folded)
            self.metrics.lag.observe(max(0, now_ms() - self._oldest_ms) / 1000)
            self._oldest_ms = 0
