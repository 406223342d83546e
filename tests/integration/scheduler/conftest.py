"""A store and a bus with one region, monitors to schedule, and a prober that only writes down what it is asked."""

import asyncio
import time
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from prometheus_client import CollectorRegistry

from farwatch_bus import Bus, Message, NoResponders, ensure_events, ensure_leases, ensure_region
from farwatch_events.checks import CheckNowReply, CheckNowRequest, DueCheck, DueChunk
from farwatch_events.events import (
    DomainEvent,
    EventMeta,
    MonitorCreated,
    MonitorPaused,
    RecordedEvent,
    RegionRegistered,
)
from farwatch_events.monitor import dump_monitor, parse_monitor
from farwatch_events.subjects import CHECK_NOW_COMMAND, NOW_DURABLE, RING_DURABLE, checks_stream, event
from farwatch_scheduler.metrics import Metrics
from farwatch_scheduler.ring import phase_ms
from farwatch_scheduler.scheduler import Scheduler
from farwatch_store import Database, Relay, append
from tests.support.waiting import eventually

REGION = "eu"
INTERVAL_MS = 5_000
META = EventMeta(actor="user:1")

_INSERT = """
    insert into config.monitors (name, type, enabled, spec)
    select $2 || n, $1, true, $3 from generate_series(1, $4) as n returning id
"""

_PAUSE = "update config.monitors set enabled = false, config_version = config_version + 1 where id = $1"


class Prober:
    """Takes everything from one region's stream. `asked` are (durable, chunk, check) in the order of arrival."""

    def __init__(self, bus: Bus, region: str) -> None:
        self.asked: list[tuple[str, DueChunk, DueCheck]] = []
        self._tasks = [asyncio.create_task(self._take(bus, region, each)) for each in (RING_DURABLE, NOW_DURABLE)]

    async def _take(self, bus: Bus, region: str, durable: str) -> None:
        puller = bus.puller(checks_stream(region), durable)
        while True:
            for message in await puller.take(100, 0.5):
                await self._note(durable, message)

    async def _note(self, durable: str, message: Message) -> None:
        chunk = DueChunk.from_bytes(message.data)
        self.asked.extend((durable, chunk, check) for check in chunk.checks)
        await message.ack()

    def slots(self, durable: str = RING_DURABLE) -> list[tuple[int, int]]:
        """(monitor, slot) of each check asked for."""
        return [(check.monitor_id, check.slot_ms) for each, _, check in self.asked if each == durable]

    async def stop(self) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)


class World:
    def __init__(self, bus: Bus, db: Database) -> None:
        self.bus = bus
        self.db = db

    async def open_region(self, region: str) -> None:
        await ensure_region(self.bus, region)
        async with self.db.transaction() as connection:
            await connection.execute("insert into config.regions (name) values ($1)", region)
            await self.record(connection, RegionRegistered(at_ms=0, region=region))

    async def add_monitors(self, count: int, **fields: Any) -> list[int]:
        """Rows without events, as if they had been there before."""
        spec = dump_monitor(parse_monitor({"type": "http", "name": "m", "url": "http://127.0.0.1/"} | fields))
        async with self.db.connection() as connection:
            rows = await connection.fetch(_INSERT, spec["type"], spec["name"], spec, count)
        return [row["id"] for row in rows]

    async def create_monitor(self, **fields: Any) -> int:
        """As the api does: the row and its event in one transaction."""
        spec = dump_monitor(parse_monitor({"type": "http", "name": "m", "url": "http://127.0.0.1/"} | fields))
        async with self.db.transaction() as connection:
            monitor_id = int(await connection.fetchval(_INSERT, spec["type"], spec["name"], spec, 1))
            await self.record(connection, MonitorCreated(at_ms=0, monitor_id=monitor_id, config_version=1, spec=spec))
        return monitor_id

    async def pause_monitor(self, monitor_id: int) -> None:
        async with self.db.transaction() as connection:
            await connection.execute(_PAUSE, monitor_id)
            await self.record(connection, MonitorPaused(at_ms=0, monitor_id=monitor_id, config_version=2))

    async def record(self, connection: Any, fact: DomainEvent) -> RecordedEvent:
        return (await append(connection, fact.stream, [fact], META, None))[0]


def now_ms() -> int:
    return time.time_ns() // 1_000_000


async def ask_now(world: World, monitor_id: int, request_id: str = "r-1") -> CheckNowReply:
    request = CheckNowRequest(monitor_id=monitor_id, request_id=request_id)
    return CheckNowReply.from_bytes(await world.bus.request(CHECK_NOW_COMMAND, request.to_bytes(), 5))


async def leading(world: World) -> None:
    async def answers() -> bool:
        try:
            return bool(await world.bus.request(CHECK_NOW_COMMAND, b"{}", 5))
        except NoResponders:
            return False

    await eventually(answers)


def missed_and_doubled(prober: Prober, ids: list[int], since_ms: int, until_ms: int) -> tuple[int, int]:
    asked = Counter(prober.slots(RING_DURABLE))
    missed = 0
    for monitor_id in ids:
        first = since_ms - since_ms % INTERVAL_MS + phase_ms(monitor_id, INTERVAL_MS)
        slots = [slot for slot in range(first, until_ms, INTERVAL_MS) if slot >= since_ms]
        missed += sum((monitor_id, slot) not in asked for slot in slots)
    return missed, sum(count - 1 for count in asked.values())


@asynccontextmanager
async def scheduling(world: World, **options: Any) -> AsyncIterator[Metrics]:
    """A scheduler in this process, stopped in order at the end."""
    stop, metrics = asyncio.Event(), Metrics(CollectorRegistry())
    running = asyncio.create_task(Scheduler(world.bus, world.db, metrics, **options).run(stop))
    try:
        yield metrics
    finally:
        stop.set()
        await asyncio.wait_for(running, 10)


@pytest.fixture
async def world(bus: Bus, database: Database) -> AsyncIterator[World]:
    await ensure_leases(bus)
    await ensure_events(bus)
    world = World(bus, database)
    await world.open_region(REGION)
    publisher = bus.publisher()

    async def publish(recorded: RecordedEvent) -> None:
        await publisher.publish(event(recorded.type), recorded.to_bytes(), msg_id=recorded.id)

    stop = asyncio.Event()
    relaying = asyncio.create_task(Relay(database, publish).run(stop))
    yield world
    stop.set()
    await asyncio.wait_for(relaying, 10)


@pytest.fixture
async def prober(world: World) -> AsyncIterator[Prober]:
    prober = Prober(world.bus, REGION)
    yield prober
    await prober.stop()
