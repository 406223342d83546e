"""A fold over real NATS and PostgreSQL, and a stand-in for the rest: who writes monitors and who says results."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from prometheus_client import CollectorRegistry

from farwatch_bus import Bus, Publisher, ensure_events, ensure_leases, ensure_region
from farwatch_cli.embedded.nats import NatsServer
from farwatch_events.events import DomainEvent, EventMeta, MonitorCreated
from farwatch_events.monitor import dump_monitor, parse_monitor
from farwatch_events.results import CheckResult, ErrorClass, Heartbeat, ResultBatch, Try
from farwatch_events.subjects import result as result_subject
from farwatch_incidents.app import run_fold
from farwatch_incidents.fold import Fold
from farwatch_incidents.jobs import make_partitions
from farwatch_incidents.metrics import Metrics
from farwatch_runtime.clock import now_ms
from farwatch_store import Database, append
from tests.support.servers import NatsProcess, server_folder
from tests.support.waiting import eventually


class World:
    """Talks to the fold as the api and the probers do."""

    def __init__(self, bus: Bus, db: Database) -> None:
        self.bus = bus
        self.db = db
        self.publisher: Publisher = bus.publisher()

    async def region(self, name: str) -> None:
        await ensure_region(self.bus, name)
        await self.db.pool.execute("insert into config.regions (name) values ($1) on conflict do nothing", name)

    async def monitor(self, **fields: Any) -> int:
        http = {"url": "http://example.test/"} if fields.get("type", "http") == "http" else {}
        spec = parse_monitor({"type": "http", "name": "site", "retries": 0, **http, **fields})
        async with self.db.transaction() as connection:
            monitor_id: int = await connection.fetchval(
                "insert into config.monitors (name, type, spec, tags) values ($1, $2, $3, $4) returning id",
                spec.name,
                spec.type,
                dump_monitor(spec),
                spec.tags,
            )
            event = MonitorCreated(at_ms=now_ms(), monitor_id=monitor_id, config_version=1, spec=dump_monitor(spec))
            await append(connection, event.stream, [event], EventMeta(actor="user:1"), None)
        return monitor_id

    async def log(self, event: DomainEvent, *statement: Any) -> None:
        async with self.db.transaction() as connection:
            if statement:
                await connection.execute(*statement)
            await append(connection, event.stream, [event], EventMeta(actor="user:1"), None)

    async def say(self, region: str, *results: CheckResult, healthy: bool = True) -> None:
        batch = ResultBatch(type="results", region=region, prober="p", healthy=healthy, results=list(results))
        await self.publisher.publish(result_subject(region), batch.to_bytes())

    async def beat(self, region: str, **fields: Any) -> None:
        beat = Heartbeat(type="heartbeat", region=region, prober="p", sent_ms=now_ms(), software="1.0", **fields)
        await self.publisher.publish(result_subject(region), beat.to_bytes())

    async def rows(self, query: str, *arguments: Any) -> list[dict[str, Any]]:
        return [dict(row) for row in await self.db.pool.fetch(query, *arguments)]

    async def folded(self, number: int) -> None:
        """Waits until so many results are stored."""
        await eventually(lambda: self._stored(number), timeout_seconds=15)

    async def _stored(self, number: int) -> bool:
        return bool(await self.one("select count(*) from health.check_results") >= number)

    async def one(self, query: str, *arguments: Any) -> Any:
        return await self.db.pool.fetchval(query, *arguments)

    async def types(self, monitor_or_incident: str) -> list[str]:
        rows = await self.rows("select type from log.events where stream = $1 order by position", monitor_or_incident)
        return [row["type"] for row in rows]


def up(monitor_id: int, slot_ms: int, **fields: Any) -> CheckResult:
    return CheckResult(
        **{
            "monitor_id": monitor_id,
            "config_version": 1,
            "slot_ms": slot_ms,
            "outcome": "up",
            "started_ms": slot_ms + 5,
            "finished_ms": slot_ms + 50,
            "latency_ms": 45.0,
            "status_code": 200,
            **fields,
        }
    )


def down(monitor_id: int, slot_ms: int, tries: int = 1, **fields: Any) -> CheckResult:
    refused = {"error_class": ErrorClass.CONNECT_REFUSED, "error": "connection refused"}
    each = [Try(started_ms=slot_ms + n, **refused) for n in range(tries)]
    return up(
        monitor_id,
        slot_ms,
        **{"outcome": "down", "latency_ms": None, "status_code": None, "attempts": tries, "tries": each}
        | refused
        | fields,
    )


@pytest.fixture
def nats_server() -> Iterator[NatsProcess]:
    """As the common one, with room for the streams of three regions."""
    with server_folder("nats") as folder:
        server = NatsProcess(folder)
        server.server = NatsServer(folder, regions=("eu", "us", "ap"), open_access=True)
        server.start()
        try:
            yield server
        finally:
            server.stop()


@pytest.fixture
async def world(bus: Bus, database: Database) -> World:
    await ensure_leases(bus)
    await ensure_events(bus)
    await make_partitions(database)
    return World(bus, database)


@asynccontextmanager
async def folding(bus: Bus, database: Database) -> AsyncIterator[Fold]:
    """A fold in this process, with its commands. Its failure fails the test."""
    fold, over = Fold(bus, database, Metrics(CollectorRegistry())), asyncio.Event()
    task = asyncio.create_task(run_fold(bus, fold, over))
    try:
        yield fold
    finally:
        over.set()
        await asyncio.wait_for(task, 10)


@pytest.fixture
async def fold(world: World) -> AsyncIterator[Fold]:
    async with folding(world.bus, world.db) as running:
        yield running
