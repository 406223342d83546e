"""Nothing is lost and nothing counts twice, whatever dies."""

import asyncio
import os
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path

import asyncpg
import pytest
from prometheus_client import CollectorRegistry

from farwatch_bus import Bus, delete_stream, ensure_events, ensure_leases, ensure_region, stream_info
from farwatch_events.subjects import results_stream
from farwatch_incidents.fold import Fold
from farwatch_incidents.jobs import make_partitions
from farwatch_incidents.metrics import Metrics
from farwatch_incidents.writer import LostOwnership
from farwatch_runtime.clock import now_ms
from farwatch_store import Database
from farwatch_store.migrate import migrate
from tests.integration.incidents.conftest import World, down, folding, up
from tests.support.servers import NatsProcess, PostgresProcess
from tests.support.waiting import eventually

EVERY_MS = 5_000


@contextmanager
def service(nats_url: str, database_url: str, folder: Path) -> Iterator[subprocess.Popen[bytes]]:
    """`python -m farwatch_incidents`, killed at the end."""
    environ = {key: value for key, value in os.environ.items() if not key.startswith("FARWATCH_")}
    environ |= {"FARWATCH_NATS_URL": nats_url, "FARWATCH_DATABASE_URL": database_url, "FARWATCH_HEALTH_PORT": "-1"}
    with (folder / "incidents.log").open("ab") as log:
        process = subprocess.Popen([sys.executable, "-m", "farwatch_incidents"], env=environ, stdout=log, stderr=log)
        try:
            yield process
        finally:
            process.kill()
            process.wait()


async def assert_all_once(world: World, results: int) -> None:
    await world.folded(results)
    assert await world.one("select count(*) from health.check_results") == results
    doubled = """select count(*) from (select 1 from health.check_results
        group by monitor_id, region, slot, coalesce(kind, '') having count(*) > 1) d"""
    assert await world.one(doubled) == 0


async def test_killed_in_the_stream_nothing_is_lost_or_doubled(
    world: World, nats_server: NatsProcess, database_url: str, tmp_path: Path
) -> None:
    await world.region("eu")
    monitors = [await world.monitor(interval_seconds=5) for _ in range(20)]
    await world.beat("eu")
    start = now_ms() // EVERY_MS * EVERY_MS - 400 * EVERY_MS
    rounds = 300

    async def speak() -> None:
        for number in range(rounds):
            slot = start + number * EVERY_MS
            is_down = number % 30 >= 25
            await world.say("eu", *((down if is_down else up)(each, slot) for each in monitors))
            await asyncio.sleep(0.02)

    speaking = asyncio.create_task(speak())
    for term in range(1, 4):
        with service(nats_server.url, database_url, tmp_path) as process:
            await eventually(lambda term=term: _epoch_is(world, term), timeout_seconds=20)  # type: ignore[misc]
            await asyncio.sleep(0.5)
            assert process.poll() is None, (tmp_path / "incidents.log").read_text()
    await speaking
    with service(nats_server.url, database_url, tmp_path):
        await eventually(lambda: _epoch_is(world, 4), timeout_seconds=20)
        await assert_all_once(world, rounds * len(monitors))
    for monitor_id in monitors:
        incidents = await world.rows("select id from health.incidents where monitor_id = $1", monitor_id)
        assert len(incidents) == rounds // 30
    opened = await world.one("select count(*) from log.events where type = 'incident.opened'")
    assert opened == len(monitors) * rounds // 30
    assert await world.one("select count(*) from log.events where type = 'incident.resolved'") == opened - len(monitors)


async def test_what_is_delivered_twice_counts_once(world: World, fold: Fold) -> None:
    await world.region("eu")
    monitor_id = await world.monitor()
    await world.beat("eu")
    slot = now_ms() // EVERY_MS * EVERY_MS
    results = [up(monitor_id, slot - 2 * EVERY_MS), down(monitor_id, slot - EVERY_MS), up(monitor_id, slot)]
    for _ in range(3):
        await world.say("eu", *results)
        for result in results:
            await world.say("eu", result)
    await world.folded(3)
    await eventually(lambda: _offset_is(world, "eu", 13))
    await assert_all_once(world, 3)
    assert await world.one("select count(*) from health.incidents") == 1
    await eventually(lambda: fold.metrics.dropped.labels("known")._value.get() == 15)


async def _offset_is(world: World, region: str, sequence: int) -> bool:
    last = await world.one("select last_sequence from health.offsets where stream = $1", results_stream(region))
    return bool(last == sequence)


async def test_of_two_folds_the_first_gives_up(world: World) -> None:
    await world.region("eu")
    monitor_id = await world.monitor()
    first = Fold(world.bus, world.db, Metrics(CollectorRegistry()))
    running = asyncio.create_task(first.run(asyncio.Event()))
    await world.beat("eu")
    await eventually(lambda: world.one("select 1 from health.regions where region = 'eu'"))
    async with folding(world.bus, world.db):
        await eventually(lambda: _epoch_is(world, 2))
        slot = now_ms() // EVERY_MS * EVERY_MS
        await world.say("eu", up(monitor_id, slot))
        with pytest.raises(LostOwnership):
            await asyncio.wait_for(running, 10)
        await world.say("eu", up(monitor_id, slot + EVERY_MS))
        await assert_all_once(world, 2)


async def _epoch_is(world: World, epoch: int) -> bool:
    return bool(await world.one("select epoch from health.shards") == epoch)


async def test_a_stream_made_again_is_read_from_its_beginning(world: World, fold: Fold) -> None:
    await world.region("eu")
    monitor_id = await world.monitor()
    slot = now_ms() // EVERY_MS * EVERY_MS
    for number in range(5):
        await world.say("eu", up(monitor_id, slot - (9 - number) * EVERY_MS))
    await world.folded(5)
    await delete_stream(world.bus, results_stream("eu"))
    await ensure_region(world.bus, "eu")
    await world.say("eu", up(monitor_id, slot - 3 * EVERY_MS), up(monitor_id, slot - 9 * EVERY_MS))
    await world.say("eu", up(monitor_id, slot - 2 * EVERY_MS))
    await assert_all_once(world, 7)


async def test_a_stream_lost_while_the_fold_was_away_is_read_from_its_beginning(world: World) -> None:
    await world.region("eu")
    monitor_id = await world.monitor()
    slot = now_ms() // EVERY_MS * EVERY_MS
    async with folding(world.bus, world.db):
        for number in range(5):
            await world.say("eu", up(monitor_id, slot - (9 - number) * EVERY_MS))
        await world.folded(5)
    await delete_stream(world.bus, results_stream("eu"))
    async with folding(world.bus, world.db):
        await eventually(lambda: stream_info(world.bus, results_stream("eu")))
        await world.say("eu", up(monitor_id, slot))
        await assert_all_once(world, 6)


async def test_nats_killed_and_back(world: World, fold: Fold, nats_server: NatsProcess) -> None:
    await world.region("eu")
    monitor_id = await world.monitor()
    await world.beat("eu")
    slot = now_ms() // EVERY_MS * EVERY_MS
    await world.say("eu", up(monitor_id, slot - 2 * EVERY_MS))
    await world.folded(1)
    nats_server.kill()
    await asyncio.sleep(1)
    nats_server.start()
    await world.say("eu", down(monitor_id, slot - EVERY_MS))
    await world.beat("eu")
    await world.say("eu", up(monitor_id, slot))
    await assert_all_once(world, 3)
    silenced = await world.one("select count(*) from log.events where type = 'region.silenced'")
    assert silenced == 0


@asynccontextmanager
async def own_database(server: PostgresProcess) -> AsyncIterator[Database]:
    await migrate(server.url())
    database = await Database.connect(server.url())
    try:
        yield database
    finally:
        await database.close()


async def test_postgresql_killed_and_back(bus: Bus, own_postgres: PostgresProcess) -> None:
    await ensure_leases(bus)
    await ensure_events(bus)
    async with own_database(own_postgres) as database:
        await make_partitions(database)
        world = World(bus, database)
        await world.region("eu")
        monitor_id = await world.monitor()
        slot = now_ms() // EVERY_MS * EVERY_MS - 40 * EVERY_MS
        async with folding(bus, database):
            for number in range(30):
                await world.say("eu", up(monitor_id, slot + number * EVERY_MS))
                if number == 10:
                    await asyncio.to_thread(own_postgres.kill)
                if number == 20:
                    await asyncio.to_thread(own_postgres.start)
            await asyncio.sleep(1)
            await eventually(lambda: _stored_at_all(world, 30), timeout_seconds=20)
            await assert_all_once(world, 30)


async def _stored_at_all(world: World, number: int) -> bool:
    try:
        return bool(await world.one("select count(*) from health.check_results") == number)
    except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError):
        return False
