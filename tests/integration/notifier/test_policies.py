"""Policies over a real store and real sinks, by a clock that can be put forward."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from functools import partial
from typing import Any

import pytest
from prometheus_client import CollectorRegistry

from farwatch_events.events import DrillAcknowledged, DrillEnded, DrillStarted, EventMeta, IncidentAcknowledged
from farwatch_notifier.app import Notifier
from farwatch_notifier.outbound import Outbound
from farwatch_runtime.clock import now_ms
from farwatch_store import Database, append
from tests.integration.notifier.world import World
from tests.support.http import HttpServer, Response
from tests.support.waiting import eventually


class Clock:
    def __init__(self) -> None:
        self.ahead_ms = 0

    def __call__(self) -> int:
        return now_ms() + self.ahead_ms

    def forward(self, seconds: float) -> None:
        self.ahead_ms += int(seconds * 1000)


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
async def notifier(database_url: str, world: World, clock: Clock) -> AsyncIterator[Notifier]:
    db = await Database.connect(database_url, role="farwatch_notifier", name="farwatch_notifier")
    outbound = Outbound.create()
    notifier = Notifier(db, world.box, outbound, CollectorRegistry(), "https://watch.example", now=clock)
    stop = asyncio.Event()
    task = asyncio.create_task(notifier.run(stop))
    yield notifier
    stop.set()
    await asyncio.wait_for(task, 15)
    await outbound.close()
    await db.close()


async def add_policy(world: World, **fields: Any) -> int:
    spec = {"name": "ops", **fields}
    async with world.db.connection() as connection:
        query = "insert into config.policies (name, spec) values ($1, $2) returning id"
        return int(await connection.fetchval(query, spec["name"], spec))


async def set_parents(world: World, monitor_id: int, *parents: int) -> None:
    async with world.db.connection() as connection:
        query = "update config.monitors set spec = spec || jsonb_build_object('parents', $2::bigint[]) where id = $1"
        await connection.execute(query, monitor_id, list(parents))


def received(sink: HttpServer) -> list[tuple[str, str]]:
    return [(body["type"], body["data"]["title"]) for body in (request.json() for request in sink.requests)]


def types(sink: HttpServer) -> list[str]:
    return [kind for kind, _ in received(sink)]


async def suppressed(world: World) -> list[str]:
    return [row["reason"] for row in await world.deliveries() if row["state"] == "suppressed"]


async def acknowledge(world: World, incident_id: int, monitor_id: int, at_ms: int) -> None:
    event = IncidentAcknowledged(at_ms=at_ms, incident_id=incident_id, monitor_id=monitor_id, actor="user:1")
    async with world.db.transaction() as connection:
        query = """
            update health.incidents set state = 'acknowledged', acknowledged_by = 'user:1',
                acknowledged_at = to_timestamp($2::double precision / 1000) where id = $1
        """
        await connection.execute(query, incident_id, at_ms)
        await append(connection, event.stream, [event], EventMeta(actor="user:1"), None)


async def test_escalates_repeats_and_stops_when_acknowledged(
    notifier: Notifier, world: World, clock: Clock, http_sink: HttpServer, second_sink: HttpServer
) -> None:
    first, second = await world.webhook(http_sink.url), await world.webhook(second_sink.url)
    steps = [{"target": {"channels": [first]}}, {"after_seconds": 300, "target": {"channels": [second]}}]
    await add_policy(world, steps=steps, repeat_seconds=600)
    monitor_id = await world.add_monitor()
    incident_id = await world.open_incident(monitor_id)
    await eventually(lambda: types(http_sink) == ["incident.down"])
    assert second_sink.requests == []
    clock.forward(301)
    await eventually(lambda: types(second_sink) == ["incident.down"])
    clock.forward(601)
    await eventually(lambda: types(http_sink) == ["incident.down", "incident.reminder"])
    await acknowledge(world, incident_id, monitor_id, clock())
    await asyncio.sleep(0.3)
    clock.forward(36_000)
    await asyncio.sleep(1.5)
    assert len(second_sink.requests) == 1
    await world.resolve_incident(incident_id, monitor_id)
    await eventually(lambda: types(http_sink)[-1] == types(second_sink)[-1] == "incident.recovered")
    reasons = [row["reason"] for row in await world.deliveries(second)]
    assert reasons[0] == "incident 1 is open; the policy names this channel; policy “ops”, step 2"


async def test_a_silence_holds_until_its_end_and_the_recovery_is_owed(
    notifier: Notifier, world: World, clock: Clock, http_sink: HttpServer
) -> None:
    await world.webhook(http_sink.url)
    async with world.db.connection() as connection:
        query = """
            insert into config.silences (match, reason, created_by, starts_at, ends_at)
            values ('{}', 'moving', 'user:1', now() - interval '1 minute', now() + interval '1 hour')
        """
        await connection.execute(query)
    monitor_id = await world.add_monitor()
    incident_id = await world.open_incident(monitor_id)
    (row,) = await world.settled(1)
    assert row["reason"].startswith("silence 1 until ")
    assert row["reason"].endswith(": moving")
    clock.forward(3601)
    await eventually(lambda: types(http_sink) == ["incident.down"])
    await world.resolve_incident(incident_id, monitor_id)
    await eventually(lambda: types(http_sink) == ["incident.down", "incident.recovered"])


async def test_over_before_its_first_alert_tells_nobody_but_says_so(
    notifier: Notifier, world: World, clock: Clock, http_sink: HttpServer
) -> None:
    await world.webhook(http_sink.url)
    await add_policy(world, delay_seconds=120)
    monitor_id = await world.add_monitor()
    incident_id = await world.open_incident(monitor_id)
    await asyncio.sleep(0.5)
    await world.resolve_incident(incident_id, monitor_id)
    clock.forward(300)
    await world.settled(1)
    await asyncio.sleep(1)
    assert http_sink.requests == []
    assert await suppressed(world) == ["the channel was not told of the incident"]


async def test_forty_behind_a_dead_host_are_one_message_and_none_is_told_alone(
    notifier: Notifier, world: World, clock: Clock, http_sink: HttpServer
) -> None:
    channel_id = await world.webhook(http_sink.url)
    router = await world.add_monitor("Router")
    children = [await world.add_monitor(f"host-{number}") for number in range(40)]
    for child in children:
        await set_parents(world, child, router)
    for number, child in enumerate(children):
        await world.open_incident(child, f"host-{number}")
    parent_incident = await world.open_incident(router, "Router")
    await eventually(lambda: types(http_sink) == ["incident.down"])
    clock.forward(31)
    await eventually(lambda: world.deliveries(channel_id), 5)

    async def held() -> bool:
        return len(await suppressed(world)) == 40

    await eventually(held, 10)
    clock.forward(16)
    await eventually(lambda: len(http_sink.requests) == 2, 10)
    body = http_sink.requests[1].json()
    assert (body["type"], body["data"]["count"], len(body["data"]["members"])) == ("group.behind", 40, 40)
    assert body["data"]["title"] == "40 monitors behind Router fail too"
    assert "host-7" in body["data"]["text"]

    await world.resolve_incident(parent_incident, router)
    for number, child in enumerate(children[1:], 2):
        await world.resolve_incident(number, child)
    await eventually(lambda: len(http_sink.requests) == 3)
    clock.forward(600)
    await eventually(lambda: len(http_sink.requests) == 4, 10)
    assert types(http_sink) == ["incident.down", "group.behind", "incident.recovered", "incident.down"]
    assert received(http_sink)[-1][1] == "host-0 is down"


async def test_a_group_is_one_message_for_its_falls_and_one_for_its_recoveries(
    notifier: Notifier, world: World, clock: Clock, http_sink: HttpServer
) -> None:
    await world.webhook(http_sink.url)
    await add_policy(world, grouping={"wait_seconds": 10, "interval_seconds": 60})
    monitors = [await world.add_monitor(f"m{number}") for number in range(12)]
    incidents = [await world.open_incident(each, f"m{n}") for n, each in enumerate(monitors)]
    await asyncio.sleep(0.5)
    await world.resolve_incident(incidents[0], monitors[0])
    await asyncio.sleep(0.5)
    assert http_sink.requests == []
    clock.forward(11)
    await eventually(lambda: types(http_sink) == ["group.down"], 10)
    body = http_sink.requests[0].json()["data"]
    assert (body["count"], body["title"]) == (11, "11 monitors have trouble")
    assert "it was over before its group was told" in await suppressed(world)
    for incident_id, monitor_id in zip(incidents[1:], monitors[1:], strict=True):
        await world.resolve_incident(incident_id, monitor_id)
    await asyncio.sleep(1)
    clock.forward(61)
    await eventually(lambda: types(http_sink) == ["group.down", "group.recovered"], 10)
    assert http_sink.requests[1].json()["data"]["count"] == 11


async def test_the_reminder_of_a_group_goes_on_for_those_that_nobody_acknowledged(
    notifier: Notifier, world: World, clock: Clock, http_sink: HttpServer
) -> None:
    await world.webhook(http_sink.url)
    await add_policy(world, reminder_seconds=3600, grouping={"wait_seconds": 10, "interval_seconds": 60})
    monitors = [await world.add_monitor(name) for name in "abc"]
    incidents = [await world.open_incident(each, name) for each, name in zip(monitors, "abc", strict=True)]

    async def next_message(count: int, seconds: float) -> list[str]:
        """Whom the message names that is told after this time and the group's wait."""
        clock.forward(seconds)
        await eventually(partial(somebody_waits, world), 20)
        clock.forward(11)
        await eventually(lambda: len(http_sink.requests) == count, 20)
        return sorted(member["name"] for member in http_sink.requests[-1].json()["data"]["members"])

    assert await next_message(1, 0) == ["a", "b", "c"]
    await acknowledge(world, incidents[1], monitors[1], clock())
    await eventually(partial(are_running, world, 2), 20)
    assert await next_message(2, 3601) == ["a", "c"]
    for number in (0, 2):
        await acknowledge(world, incidents[number], monitors[number], clock())
    await eventually(partial(are_running, world, 0), 20)
    clock.forward(36_000)
    for incident_id, monitor_id in zip(incidents, monitors, strict=True):
        await world.resolve_incident(incident_id, monitor_id)
    assert len(await next_message(3, 0)) == 3, "the recovery is owed for all of them"
    assert types(http_sink) == ["group.down", "group.down", "group.recovered"]


async def somebody_waits(world: World) -> bool:
    """Whether somebody waits in a group, and nobody is on the way there."""
    query = """
        select exists (select from alerting.group_items)
           and (select position from log.positions where consumer = 'notifier') >= (select position from log.head)
    """
    async with world.db.connection() as connection:
        return bool(await connection.fetchval(query))


async def are_running(world: World, expected: int) -> bool:
    async with world.db.connection() as connection:
        query = "select count(*) from alerting.escalations where due_at is not null"
        return bool(await connection.fetchval(query) == expected)


async def test_reminders_come_to_those_who_were_told(
    notifier: Notifier, world: World, clock: Clock, http_sink: HttpServer
) -> None:
    await world.webhook(http_sink.url)
    await add_policy(world, reminder_seconds=3600)
    await world.open_incident(await world.add_monitor())
    await eventually(lambda: types(http_sink) == ["incident.down"])
    for count in (1, 2):
        clock.forward(3601)
        await eventually(lambda count=count: types(http_sink).count("incident.reminder") == count)  # type: ignore[misc]
    assert received(http_sink)[-1][1] == "Shop is still down"


async def test_a_drill_goes_the_whole_way_and_is_marked(
    notifier: Notifier, world: World, clock: Clock, http_sink: HttpServer
) -> None:
    await world.webhook(http_sink.url)
    monitor_id = await world.add_monitor()
    async with world.db.connection() as connection:
        query = """
            insert into config.drills (monitor_id, monitor_name, started_by, expires_at)
            values ($1, 'Shop', 'user:1', now() + interval '1 hour')
        """
        await connection.execute(query, monitor_id)
    drill: dict[str, Any] = {"drill_id": 1, "monitor_id": monitor_id}
    start = DrillStarted(at_ms=clock(), **drill, monitor_name="Shop", severity="down", actor="user:1")
    await world.append(start, EventMeta(actor="user:1", actor_name="Ada"))
    await eventually(lambda: received(http_sink) == [("incident.down", "[Drill] Shop is down")])
    assert http_sink.requests[0].json()["data"]["reason"].startswith("A fire drill, started by Ada: ")
    assert (await world.deliveries())[0]["reason"].startswith("fire drill 1, started by Ada; ")
    await world.append(DrillAcknowledged(at_ms=clock(), **drill, actor="user:2", seconds=3))
    ended = DrillEnded(at_ms=clock(), **drill, monitor_name="Shop", duration_seconds=3, reason="acknowledged")
    await world.append(ended)
    await eventually(lambda: received(http_sink)[-1] == ("incident.recovered", "[Drill] Shop has recovered"))
    assert http_sink.requests[0].json()["data"]["drill"] is True


async def test_what_a_channel_never_takes_goes_to_the_fallback_and_so_does_its_recovery(
    notifier: Notifier, world: World, http_sink: HttpServer, second_sink: HttpServer
) -> None:
    http_sink.response = Response(400, b"no such hook")
    broken, spare = await world.webhook(http_sink.url), await world.webhook(second_sink.url)
    await add_policy(world, steps=[{"target": {"channels": [broken]}}], fallback_channel=spare)
    monitor_id = await world.add_monitor()
    incident_id = await world.open_incident(monitor_id)
    await eventually(lambda: types(second_sink) == ["incident.down"])
    reason = second_sink.requests[0].json()["data"]["reason"]
    assert reason.startswith("Sent here because channel “webhook channel” did not take it (the service answered 400")
    await world.resolve_incident(incident_id, monitor_id)
    await eventually(lambda: types(second_sink) == ["incident.down", "incident.recovered"])


async def test_a_message_that_waited_gives_way_to_the_latest_state(
    notifier: Notifier, world: World, clock: Clock, http_sink: HttpServer
) -> None:
    http_sink.response = Response(503, headers={"Retry-After": "3600"})
    await world.webhook(http_sink.url)
    monitor_id = await world.add_monitor()
    incident_id = await world.open_incident(monitor_id)
    await eventually(lambda: len(http_sink.requests) == 1)
    await world.resolve_incident(incident_id, monitor_id)
    await asyncio.sleep(0.5)
    http_sink.response = Response(200)
    clock.forward(4000)
    await eventually(lambda: types(http_sink) == ["incident.down", "incident.recovered"], 10)
    rows = await world.settled(2)
    assert [row["state"] for row in rows] == ["suppressed", "delivered"]
    assert rows[0]["reason"].startswith("a later message of the same trouble stands for it")


async def test_a_channel_that_fails_again_and_again_is_left_alone_for_a_while(
    notifier: Notifier, world: World, clock: Clock, http_sink: HttpServer
) -> None:
    http_sink.response = Response(500)
    channel_id = await world.webhook(http_sink.url)
    for number in range(12):
        await world.open_incident(await world.add_monitor(f"m{number}"), f"m{number}")

    async def held() -> bool:
        async with world.db.connection() as connection:
            query = "select count(*) from alerting.channel_holds where channel_id = $1"
            return bool(await connection.fetchval(query, channel_id))

    await eventually(held, 10)
    assert len(http_sink.requests) == 5
    http_sink.response = Response(200)
    clock.forward(16)
    rows = await world.settled(12, 20)
    assert {row["state"] for row in rows} == {"delivered"}


async def test_the_links_in_a_message_are_not_in_its_trail(
    notifier: Notifier, world: World, http_sink: HttpServer
) -> None:
    await world.webhook(http_sink.url)
    await world.open_incident(await world.add_monitor())
    (row,) = await world.settled(1)
    link = http_sink.requests[0].json()["data"]["acknowledge_link"]
    assert link.startswith("https://watch.example/alert/")
    (attempt,) = await world.attempts(row["id"])
    assert "/alert/********" in attempt["request"]
    assert link not in attempt["request"]


async def test_a_service_that_is_gone_for_an_hour_gets_everything_afterwards(
    notifier: Notifier, world: World, clock: Clock, http_sink: HttpServer
) -> None:
    await world.webhook(http_sink.url)
    await http_sink.stop()
    for number in range(6):
        await world.open_incident(await world.add_monitor(f"m{number}"), f"m{number}")

    async def tries() -> int:
        return sum(row["attempts"] for row in await world.deliveries())

    for _ in range(6):
        before = await tries()
        await asyncio.sleep(0.3)
        clock.forward(600)
        await eventually(lambda before=before: _more(tries, before), 10)  # type: ignore[misc]
    await http_sink.start()
    clock.forward(900)
    rows = await world.settled(6, 30)
    assert {row["state"] for row in rows} == {"delivered"}
    assert len(http_sink.requests) == 6, "nothing is repeated"


async def _more(tries: Callable[[], Awaitable[int]], before: int) -> bool:
    return await tries() > before


async def test_while_one_channel_hangs_the_others_are_told_at_once(
    notifier: Notifier, world: World, http_sink: HttpServer, second_sink: HttpServer
) -> None:
    http_sink.response = Response(200, delay_seconds=60)
    await world.webhook(http_sink.url, timeout=60)
    quick = await world.webhook(second_sink.url)
    for number in range(30):
        await world.open_incident(await world.add_monitor(f"m{number}"), f"m{number}")
        await asyncio.sleep(0.1)
    await eventually(lambda: len(second_sink.requests) == 30, 30)
    rows = [row for row in await world.deliveries(quick) if row["delivered_at"] is not None]
    delays = sorted((row["delivered_at"] - row["created_at"]).total_seconds() for row in rows)
    assert len(http_sink.requests) == 1
    await http_sink.stop()
    assert delays[int(len(delays) * 0.99) - 1] < 2


_LOOKED = """
    insert into health.monitor_state (monitor_id, region, vote, vote_slot, state, last_check)
    values ($1, $2, 'up', to_timestamp($3::double precision / 1000), '[]', '{"ok": true, "outcome": "up"}')
    on conflict (monitor_id, region) do update set vote_slot = excluded.vote_slot
"""
_LIVING = """
    with known as (insert into config.regions (name) values ($1) on conflict do nothing)
    insert into health.regions (region, state, since) values ($1, 'live', now())
    on conflict (region) do update set state = 'live'
"""


async def look_at(world: World, monitor_id: int, region: str, slot_ms: int) -> None:
    async with world.db.transaction() as connection:
        await connection.execute(_LIVING, region)
        await connection.execute(_LOOKED, monitor_id, region, slot_ms)


@pytest.mark.parametrize("looked_at_last", [True, False])
async def test_an_alert_waits_for_its_parent_to_be_checked_but_not_for_ever(
    notifier: Notifier, world: World, clock: Clock, http_sink: HttpServer, looked_at_last: bool
) -> None:
    await world.webhook(http_sink.url)
    router, child = await world.add_monitor("Router"), await world.add_monitor("Shop")
    await set_parents(world, child, router)
    async with world.db.connection() as connection:
        slow = (
            """update config.monitors set spec = spec || '{"interval_seconds": 900, "regions": ["eu"]}' where id = $1"""
        )
        await connection.execute(slow, router)
    failed_ms = now_ms()
    await look_at(world, router, "eu", failed_ms - 60_000)
    await look_at(world, router, "us", failed_ms + 1)  # where it is not checked from any more
    await world.open_incident(child, failed_ms=failed_ms)
    await escalations(world, 1)
    clock.forward(31)
    await eventually(lambda: suppressed(world), 10)
    assert await suppressed(world) == ["waits for Router to be checked"]
    assert http_sink.requests == []
    if looked_at_last:
        await look_at(world, router, "eu", failed_ms + 1)
        clock.forward(16)
    else:
        clock.forward(270)
    await eventually(lambda: types(http_sink) == ["incident.down"], 10)
    assert await suppressed(world) == ["waits for Router to be checked"]


async def escalations(world: World, count: int) -> None:
    async def begun() -> bool:
        async with world.db.connection() as connection:
            return bool(await connection.fetchval("select count(*) >= $1 from alerting.escalations", count))

    await eventually(begun, 10)
