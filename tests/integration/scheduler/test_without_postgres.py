"""PostgreSQL killed under a leading scheduler: checks go on, and the configuration catches up."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from farwatch_bus import Bus, ensure_events, ensure_leases
from farwatch_events.subjects import NOW_DURABLE
from farwatch_store import Database
from farwatch_store.migrate import migrate
from tests.integration.scheduler.conftest import (
    REGION,
    Prober,
    World,
    ask_now,
    leading,
    missed_and_doubled,
    now_ms,
    scheduling,
)
from tests.support.servers import PostgresProcess
from tests.support.waiting import eventually


@pytest.fixture
async def own_world(bus: Bus, own_postgres: PostgresProcess) -> AsyncIterator[World]:
    await migrate(own_postgres.url())
    database = await Database.connect(own_postgres.url())
    await ensure_leases(bus)
    await ensure_events(bus)
    world = World(bus, database)
    await world.open_region(REGION)
    yield world
    await database.close()


async def test_checks_go_on_without_postgres(own_world: World, own_postgres: PostgresProcess) -> None:
    ids = await own_world.add_monitors(100, interval_seconds=5)
    prober = Prober(own_world.bus, REGION)
    async with scheduling(own_world):
        await leading(own_world)
        await eventually(lambda: prober.asked, timeout_seconds=3)
        since_ms = now_ms()
        own_postgres.kill()
        await asyncio.sleep(3)
        reply = await ask_now(own_world, ids[0])
        assert (reply.regions, reply.error) == ([REGION], None)
        await asyncio.to_thread(own_postgres.start)
        created = await own_world.create_monitor(interval_seconds=5)
        await eventually(lambda: created in {each for each, _ in prober.slots(NOW_DURABLE)}, timeout_seconds=5)
        await asyncio.sleep(2)
        assert missed_and_doubled(prober, ids, since_ms, now_ms() - 500) == (0, 0)
        assert {chunk.epoch for _, chunk, _ in prober.asked} == {1}
    await prober.stop()
