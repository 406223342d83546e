"""The service as it runs: leases, relay, standby."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from farwatch_bus import Bus
from farwatch_events.events import RecordedEvent
from farwatch_events.subjects import EVENTS_STREAM, FOLD_LEASE, LEASES_BUCKET
from farwatch_incidents.__main__ import work
from farwatch_incidents.settings import IncidentsSettings
from farwatch_runtime.clock import now_ms
from farwatch_runtime.service import Service
from farwatch_store import Database
from tests.integration.incidents.conftest import World, down, up
from tests.support.servers import NatsProcess
from tests.support.waiting import eventually


@asynccontextmanager
async def running(name: str, nats_url: str, database_url: str) -> AsyncIterator[Service]:
    """A replica with connections of its own."""
    service = Service(name)
    database, bus = await Database.connect(database_url), await Bus.connect(nats_url, name=name)
    settings = IncidentsSettings.load({"FARWATCH_NATS_URL": nats_url, "FARWATCH_DATABASE_URL": database_url})
    task = asyncio.create_task(work(service, settings, bus, database, holder=name))
    try:
        yield service
    finally:
        service.request_stop()
        await asyncio.wait_for(task, 15)
        await bus.close()
        await database.close()


async def epoch_is(world: World, epoch: int) -> bool:
    return bool(await world.one("select epoch from health.shards") == epoch)


async def test_a_lost_lease_ends_the_term_and_the_next_one_goes_on(
    world: World, nats_server: NatsProcess, database_url: str
) -> None:
    await world.region("eu")
    monitor_id = await world.monitor()
    async with running("one", nats_server.url, database_url):
        await eventually(lambda: epoch_is(world, 1))
        for term in range(2, 5):
            await world.say("eu", up(monitor_id, now_ms()))
            await world.folded(term - 1)
            await world.bus.api(f"STREAM.PURGE.KV_{LEASES_BUCKET}", {"filter": f"$KV.{LEASES_BUCKET}.{FOLD_LEASE}"})
            await eventually(lambda term=term: epoch_is(world, term), timeout_seconds=15)  # type: ignore[misc]
        await world.say("eu", up(monitor_id, now_ms()))
        await world.folded(4)


async def test_a_second_replica_stands_by_and_takes_over(
    world: World, nats_server: NatsProcess, database_url: str
) -> None:
    await world.region("eu")
    monitor_id = await world.monitor()
    async with running("two", nats_server.url, database_url) as first:
        await eventually(lambda: epoch_is(world, 1))
        async with running("three", nats_server.url, database_url):
            await world.say("eu", up(monitor_id, now_ms()))
            await world.folded(1)
            assert await epoch_is(world, 1)
            first.request_stop()
            await eventually(lambda: epoch_is(world, 2), timeout_seconds=10)
            await world.say("eu", up(monitor_id, now_ms()))
            await world.folded(2)


async def test_events_travel_to_the_bus_in_order(world: World, nats_server: NatsProcess, database_url: str) -> None:
    await world.region("eu")
    monitor_id = await world.monitor()
    await world.beat("eu")
    async with running("one", nats_server.url, database_url):
        await world.say("eu", down(monitor_id, now_ms()))
        await world.folded(1)
        reader = world.bus.reader(EVENTS_STREAM, 1)
        events: list[RecordedEvent] = []
        while len(events) < 4:
            events += [RecordedEvent.model_validate_json(each.data) for each in await reader.batch(10, 5)]
    assert [event.position for event in events] == [1, 2, 3, 4]
    assert [event.type for event in events] == [
        "monitor.created",
        "monitor.vote_changed",
        "monitor.verdict_changed",
        "incident.opened",
    ]
