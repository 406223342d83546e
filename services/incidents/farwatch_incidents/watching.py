"""Looks at Farwatch itself every few seconds: what lags, what waits, what was given up."""

import asyncio
import time
from collections.abc import Callable

import asyncpg
import structlog
from prometheus_client import CollectorRegistry, Gauge

from farwatch_bus import Bus, BusError, consumer_pending, ensure_region, stream_info
from farwatch_events import subjects
from farwatch_events.events import EVENT_TYPES, DeliveryFailed, DomainEvent, EventMeta, MessageParked, SlotsParked
from farwatch_incidents.history import moment
from farwatch_incidents.loading import ms_of
from farwatch_incidents.skipping import WINDOW_SECONDS, Skipping, Slots
from farwatch_incidents.welfare import Flow, Key, Sign, Watched, decide_welfare, recall
from farwatch_runtime.clock import now_ms
from farwatch_store import Connection, Database, StoreError, append
from farwatch_store.waiting import wait_any

LOOK_SECONDS = 5.0
RECENT_SECONDS = 600
INTERVALS_SECONDS = 120.0
"""How long the shortest interval of all monitors is taken for granted: finding it reads all of them."""
RECALLED = 200
STREAM = "system"
META = EventMeta(actor="incidents")

# The JetStream time up to which everything is folded in.
_FOLDED = "select now_ms from health.shards where shard = '0'"
_OFFSETS = "select stream, last_sequence from health.offsets"
_REGIONS = "select name from config.regions where enabled and name <> 'push' order by name"

# Of the oldest event that is not on the bus.
_OUTBOX = """
    select greatest(0, extract(epoch from clock_timestamp() - e.recorded_at))::float8 from log.events e
    where e.position = coalesce((select position from log.positions where consumer = 'relay'), 0) + 1
"""

# The newest few are enough: it is asked whether there are any.
_RECENT = """
    select type, data, recorded_at from (
        select type, data, recorded_at from log.events where type = $1 order by position desc limit 200
    ) newest where recorded_at > now() - make_interval(secs => $2)
"""

_SHORTEST = """
    select min((spec->>'interval_seconds')::int) from config.monitors
    where enabled and deleted_at is null and type <> 'push'
"""

# Some are enough, so this stops soon; a slot that nobody looked at shows nothing.
_NEWEST = """
    select max(slot) from (
        select slot from health.check_results
        where slot >= $1 and kind is null and region <> 'push'
            and coalesce(error_class, '') not in ('skipped', 'internal', 'missed')
        limit 1000
    ) near
"""

# Whatever the scheduler said last: that it holds slots back, or that it does not, or began anew.
_SCHEDULE = "select type, data from log.events where stream = 'schedule' order by stream_version desc limit 1"

_TOLD = """
    select type, data from (
        select type, data, stream_version from log.events where stream = 'system' order by stream_version desc limit $1
    ) newest order by stream_version
"""

log = structlog.get_logger("farwatch_incidents")


class Gauges:
    def __init__(self, registry: CollectorRegistry) -> None:
        self.behind = Gauge(
            "farwatch_fold_behind_seconds", "How far the fold is behind what waits for it", registry=registry
        )
        self.backlog = Gauge(
            "farwatch_due_backlog_chunks", "Chunks of due checks that no prober has taken", ["region"],
            registry=registry,
        )  # fmt: skip
        self.outbox = Gauge(
            "farwatch_outbox_age_seconds", "Age of the oldest event that is not on the bus yet", registry=registry
        )
        self.troubles = Gauge("farwatch_system_troubles", "What is wrong with Farwatch itself now", registry=registry)


class Watcher:
    """Watches while this process folds; `begin` begins a term."""

    def __init__(self, bus: Bus, db: Database, gauges: Gauges, skipping: Skipping) -> None:
        self._bus = bus
        self._db = db
        self._gauges = gauges
        self._skipping = skipping
        self._watched: dict[Key, Watched] | None = None
        self._shortest_ms: int | None = None
        self._shortest_at = float("-inf")
        self._quiet_since_ms = now_ms()

    def begin(self) -> None:
        """Somebody else may have watched in between: what stands is read from the log again."""
        self._watched = None
        self._quiet_since_ms = now_ms()

    async def run(self, stop: asyncio.Event, progress: Callable[[], None] = lambda: None) -> None:
        while not stop.is_set():
            try:
                await self.look()
                progress()
            except (StoreError, BusError, TimeoutError) as error:
                log.debug("welfare_unknown", error=str(error))
            except asyncpg.PostgresError:
                log.exception("welfare_failed")
            await wait_any(LOOK_SECONDS, stop)

    async def look(self) -> None:
        """Reads all signs and tells what turned. What the bus cannot answer now stays as it stands."""
        async with self._db.connection() as connection:
            if self._watched is None:
                self._watched = recall(await _told(connection))
            signs = await self._signs_of_the_store(connection)
        signs += [await self._fold_lag(), *await self._backlogs()]
        watched, events = decide_welfare(self._watched, signs, now_ms())
        if events:
            async with self._db.transaction() as connection:
                await append(connection, STREAM, events, META, None)
            for event in events:
                log.warning(event.type, **event.model_dump(exclude={"at_ms"}))
        self._watched = watched
        self._gauges.troubles.set(sum(each.troubled_ms is not None for each in watched.values()))

    async def _signs_of_the_store(self, connection: Connection) -> list[Sign]:
        outbox = float(await connection.fetchval(_OUTBOX) or 0)
        self._gauges.outbox.set(outbox)
        parked = [row["data"] for row in await connection.fetch(_RECENT, MessageParked.type, RECENT_SECONDS)]
        unread = sum(data.get("count", 1) for data in parked)
        failed = [
            row for row in await connection.fetch(_RECENT, DeliveryFailed.type, RECENT_SECONDS)
            if row["data"].get("moment") != "system"
        ]  # fmt: skip
        flow = await self.flow(connection)
        clock = await connection.fetchrow(_SCHEDULE)
        return [
            _clock(clock),
            Sign("outbox", "", outbox, f"The oldest event that is not on the bus is {outbox:.0f} s old"),
            Sign("unreadable", "", unread, f"{unread} messages of the last 10 minutes could not be read"),
            Sign("deliveries", "", len(failed), f"{len(failed)} deliveries of the last 10 minutes were given up"),
            self._results(flow),
        ]

    def _results(self, flow: Flow) -> Sign:
        """Whether results come. Nobody expects any right after we began to look, or where nothing is to be checked."""
        now = now_ms()
        if flow.shortest_interval_ms is None or flow.is_alive(now):
            self._quiet_since_ms = now
        quiet_ms = now - self._quiet_since_ms
        missing = quiet_ms > flow.allowed_ms()
        words = f"No check has come through for {quiet_ms // 1000} s" if missing else "Checks come through"
        return Sign("no_results", "", float(missing), words)

    async def read_flow(self) -> Flow:
        async with self._db.connection() as connection:
            return await self.flow(connection)

    async def flow(self, connection: Connection) -> Flow:
        if time.monotonic() - self._shortest_at > INTERVALS_SECONDS:
            shortest = await connection.fetchval(_SHORTEST)
            self._shortest_ms = None if shortest is None else int(shortest) * 1000
            self._shortest_at = time.monotonic()
        since = moment(now_ms() - Flow(self._shortest_ms, None).allowed_ms())
        newest = await connection.fetchval(_NEWEST, since)
        return Flow(self._shortest_ms, None if newest is None else ms_of(newest))

    async def _fold_lag(self) -> Sign:
        """How old what waits is: the time of the fold's last batch, when more than that is in the streams."""
        async with self._db.connection() as connection:
            folded_ms = int(await connection.fetchval(_FOLDED) or 0)
            offsets = {row["stream"]: row["last_sequence"] for row in await connection.fetch(_OFFSETS)}
        waiting = 0
        for stream, last in offsets.items():
            info = await stream_info(self._bus, stream)
            waiting += max(0, info.last_sequence - last) if info is not None else 0
        lag = max(0.0, (now_ms() - folded_ms) / 1000) if waiting else 0.0
        self._gauges.behind.set(lag)
        return Sign("fold_lag", "", lag, f"Results count {lag:.0f} s late, {waiting} messages wait")

    async def _backlogs(self) -> list[Sign]:
        async with self._db.connection() as connection:
            regions = [row["name"] for row in await connection.fetch(_REGIONS)]
        signs = []
        slots = self._skipping.read(time.monotonic())
        for region in (*regions, subjects.PUSH_REGION):
            if await stream_info(self._bus, subjects.results_stream(region)) is None:
                await self._make_again(region)
        for region in regions:
            waiting = await consumer_pending(self._bus, subjects.checks_stream(region), subjects.RING_DURABLE)
            if waiting is None:
                await self._make_again(region)
                waiting = 0
            self._gauges.backlog.labels(region).set(waiting)
            words = f"{waiting} chunks of due checks wait for a prober of {region}"
            signs.append(Sign("due_backlog", region, waiting, words))
            signs.append(_skipped(region, slots.get(region, Slots())))
        return signs

    async def _make_again(self, region: str) -> None:
        """Streams that were deleted beneath us: nobody else would notice, and nothing would be checked any more."""
        log.warning("streams_missing", region=region)
        await ensure_region(self._bus, region)


async def _told(connection: Connection) -> list[DomainEvent]:
    """The newest events about ourselves, oldest first."""
    rows = await connection.fetch(_TOLD, RECALLED)
    return [EVENT_TYPES[row["type"]].model_validate(row["data"]) for row in rows if row["type"] in EVENT_TYPES]


def _skipped(region: str, slots: Slots) -> Sign:
    words = (
        f"{slots.skipped} of {slots.answered} checks of the last {WINDOW_SECONDS:.0f} s were left out in {region}, "
        "since more were due than its probers could make: start another one, or check less often"
        if slots.skipped
        else f"No check was left out in {region} in the last {WINDOW_SECONDS:.0f} s"
    )
    return Sign("skipped", region, slots.share, words)


def _clock(said: "asyncpg.Record | None") -> Sign:
    """`said` is the newest event of the schedule."""
    if said is None or said["type"] != SlotsParked.type:
        return Sign("clock", "", 0, "The clocks agree")
    ahead_seconds = said["data"]["ahead_ms"] / 1000
    words = f"The scheduler's clock is {ahead_seconds:.0f} s ahead of the NATS server's: set one of them right"
    return Sign("clock", "", 1, words)
