"""Farwatch watches itself: on real servers, with what really lags."""

import asyncio
from collections.abc import AsyncIterator

import httpx
import pytest
from prometheus_client import CollectorRegistry
from pydantic import SecretStr

from farwatch_bus import consumer_pending, delete_stream, stream_info
from farwatch_events import subjects
from farwatch_events.events import DeliveryFailed, EpochStarted, EventMeta, SlotsParked, SlotsReleased
from farwatch_incidents.canary import Canary
from farwatch_incidents.fold import Fold
from farwatch_incidents.skipping import Skipping
from farwatch_incidents.watching import Gauges, Watcher
from farwatch_incidents.welfare import LIMITS, Limit
from farwatch_runtime.clock import now_ms
from farwatch_store import Database, append
from tests.integration.incidents.conftest import World, up
from tests.support.http import HttpServer

AT_ONCE = Limit(trouble=0.5, well=0.5, for_ms=0, over_after_ms=0)


@pytest.fixture
def skipping() -> Skipping:
    return Skipping()


@pytest.fixture
async def watcher(
    world: World, database_url: str, skipping: Skipping, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[Watcher]:
    """With the rights of the service; what it finds is trouble at once."""
    for problem in ("fold_lag", "due_backlog", "outbox", "clock", "skipped"):
        monkeypatch.setitem(LIMITS, problem, AT_ONCE)
    under_role = await Database.connect(database_url, "farwatch_incidents")
    yield Watcher(world.bus, under_role, Gauges(CollectorRegistry()), skipping)
    await under_role.close()


async def troubles(world: World) -> list[tuple[str, str, str]]:
    rows = await world.rows("select type, data from log.events where stream = 'system' order by position")
    return [(row["type"].partition(".")[2], row["data"]["problem"], row["data"]["subject"]) for row in rows]


async def relayed(world: World) -> None:
    await world.db.pool.execute(
        "insert into log.positions (consumer, position) select 'relay', position from log.head"
        " on conflict (consumer) do update set position = excluded.position"
    )


async def test_what_waits_is_trouble_until_it_waits_no_more(world: World, watcher: Watcher) -> None:
    await world.region("eu")
    await watcher.look()
    assert await troubles(world) == []
    for _ in range(3):
        await world.publisher.publish(subjects.due_ring("eu"), b"{}")
    await watcher.look()
    assert await troubles(world) == [("troubled", "due_backlog", "eu")]
    puller = world.bus.puller(subjects.checks_stream("eu"), subjects.RING_DURABLE)
    taken = await puller.take(10, 2)
    assert len(taken) == 3
    await watcher.look()
    assert (await troubles(world))[-1] == ("recovered", "due_backlog", "eu")
    await asyncio.gather(*(message.ack() for message in taken))
    await puller.close()


async def test_a_region_whose_probers_leave_checks_out(world: World, watcher: Watcher, skipping: Skipping) -> None:
    await world.region("eu")
    skipping.count({"eu": 10}, {"eu": 9})
    await watcher.look()
    assert await troubles(world) == []
    skipping.count({"eu": 10, "gone": 10}, {"eu": 6, "gone": 10})
    await watcher.look()
    assert await troubles(world) == [("troubled", "skipped", "eu")]
    skipping.count({"eu": 100}, {})
    await watcher.look()
    assert (await troubles(world))[-1] == ("recovered", "skipped", "eu")


async def test_deleted_streams_are_made_again(world: World, watcher: Watcher) -> None:
    await world.region("eu")
    stream, results = subjects.checks_stream("eu"), subjects.results_stream("eu")
    await delete_stream(world.bus, results)
    await watcher.look()
    assert await stream_info(world.bus, results)
    await delete_stream(world.bus, stream)
    await watcher.look()
    assert await consumer_pending(world.bus, stream, subjects.RING_DURABLE) == 0
    assert await consumer_pending(world.bus, stream, subjects.NOW_DURABLE) == 0


async def test_an_outbox_that_nobody_empties(world: World, watcher: Watcher) -> None:
    await relayed(world)
    await world.monitor()
    await world.db.pool.execute("update log.events set recorded_at = now() - interval '1 minute'")
    await watcher.look()
    assert ("troubled", "outbox", "") in await troubles(world)
    await relayed(world)
    await watcher.look()
    assert ("recovered", "outbox", "") in await troubles(world)


async def test_messages_given_up_but_not_those_about_ourselves(world: World, watcher: Watcher) -> None:
    async def fail(moment: str) -> None:
        event = DeliveryFailed(at_ms=now_ms(), channel_id=1, delivery_id=1, moment=moment, error="404")
        async with world.db.transaction() as connection:
            await append(connection, event.stream, [event], EventMeta(actor="notifier"), None)
        await relayed(world)

    await fail("system")
    await watcher.look()
    assert await troubles(world) == []
    await fail("down")
    await watcher.look()
    assert await troubles(world) == [("troubled", "deliveries", "")]


async def test_slots_held_back_for_a_wrong_clock_are_one_trouble_with_one_end(world: World, watcher: Watcher) -> None:
    async def say(event: SlotsParked | SlotsReleased | EpochStarted) -> None:
        async with world.db.transaction() as connection:
            await append(connection, event.stream, [event], EventMeta(actor="scheduler"), None)

    async def told() -> list[str]:
        return [turned for turned, problem, _ in await troubles(world) if problem == "clock"]

    await watcher.look()
    for _ in range(3):
        await say(SlotsParked(at_ms=now_ms(), ahead_ms=120_000))
        await watcher.look()
    assert await told() == ["troubled"]
    query = "select data->>'reason' as reason from log.events where data->>'problem' = 'clock'"
    (row,) = await world.rows(query)
    assert row["reason"].startswith("The scheduler's clock is 120 s ahead of the NATS server's")
    await say(SlotsReleased(at_ms=now_ms(), ahead_ms=10))
    await watcher.look()
    assert await told() == ["troubled", "recovered"]
    # A scheduler that begins anew and is not held back says nothing else.
    await say(SlotsParked(at_ms=now_ms(), ahead_ms=120_000))
    await watcher.look()
    await say(EpochStarted(at_ms=now_ms(), epoch=2, holder="h", reason="r"))
    await watcher.look()
    assert await told() == ["troubled", "recovered"] * 2


async def test_a_fold_that_stands_still(world: World, watcher: Watcher, fold: Fold) -> None:
    await world.region("eu")
    monitor_id = await world.monitor(regions=["eu"])
    await world.say("eu", up(monitor_id, now_ms()))
    await world.folded(1)
    await world.db.pool.execute("update health.offsets set last_sequence = last_sequence - 1")
    await world.db.pool.execute("update health.shards set now_ms = now_ms - 60000")
    await watcher.look()
    assert ("troubled", "fold_lag", "") in await troubles(world)
    # Whoever watches next knows of it and tells of its end only.
    watcher.begin()
    await world.db.pool.execute("update health.offsets set last_sequence = last_sequence + 1")
    await relayed(world)
    await watcher.look()
    assert [each for each in await troubles(world) if each[1] == "fold_lag"] == [
        ("troubled", "fold_lag", ""),
        ("recovered", "fold_lag", ""),
    ]


async def test_the_switch_is_told_once_a_real_result_is_folded(
    world: World, watcher: Watcher, fold: Fold, http_sink: HttpServer
) -> None:
    registry = CollectorRegistry()
    canary = Canary(SecretStr(f"{http_sink.url}ping/secret"), watcher.read_flow, registry)

    def count(outcome: str) -> float:
        return registry.get_sample_value("farwatch_canary_pushes_total", {"outcome": outcome}) or 0

    async with httpx.AsyncClient(timeout=5, trust_env=False) as client:
        assert not await canary.push(client)
        await world.region("eu")
        monitor_id = await world.monitor(regions=["eu"])
        watcher._shortest_at = float("-inf")
        slot = now_ms()
        await world.say("eu", up(monitor_id, slot, kind="manual"))
        await world.say("eu", up(monitor_id, slot - 1, outcome="unknown", error_class="skipped"))
        await world.folded(2)
        assert not await canary.push(client)
        await world.say("eu", up(monitor_id, slot + 1))
        await world.folded(3)
        assert await canary.push(client)
        assert (count("withheld"), count("sent"), count("failed")) == (2, 1, 0)
        assert [request.path for request in http_sink.requests] == ["/ping/secret"]
        await http_sink.stop()
        assert not await canary.push(client)
        assert count("failed") == 1
