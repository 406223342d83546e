"""Ten thousand monitors fall within seconds, behind one parent or in one group: few messages, nobody left unnamed."""

import asyncio
import time
from collections.abc import AsyncIterator
from typing import Any

import pytest
from prometheus_client import CollectorRegistry

from farwatch_notifier.app import Notifier
from farwatch_notifier.outbound import Outbound
from farwatch_runtime.clock import now_ms
from farwatch_store import Database
from tests.integration.notifier.world import World
from tests.support.http import HttpServer
from tests.support.storm import add_monitors, fall, rise
from tests.support.waiting import eventually


class Clock:
    ahead_ms = 0

    def __call__(self) -> int:
        return now_ms() + self.ahead_ms


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
async def notifier(database_url: str, world: World, clock: Clock) -> AsyncIterator[Notifier]:
    db = await Database.connect(database_url, role="farwatch_notifier", name="farwatch_notifier")
    notifier = Notifier(db, world.box, Outbound.create(), CollectorRegistry(), "https://watch.example", now=clock)
    stop = asyncio.Event()
    task = asyncio.create_task(notifier.run(stop))
    yield notifier
    stop.set()
    await asyncio.wait_for(task, 30)
    await db.close()


async def count(world: World, query: str, *values: Any) -> int:
    async with world.db.connection() as connection:
        return int(await connection.fetchval(query, *values))


async def until(world: World, expected: int, query: str, seconds: float = 120) -> None:
    async def reached() -> bool:
        return await count(world, query) >= expected

    await eventually(reached, seconds, 0.2)


BEHIND = "select count(distinct thread) from alerting.delivery_items where moment = 'behind'"


async def storm_behind_a_parent(world: World, clock: Clock, sink: HttpServer, monitors: int) -> dict[str, float]:
    await world.webhook(sink.url)
    router = await world.add_monitor("Router")
    children = await add_monitors(world.db, monitors, [router])
    began = time.monotonic()
    half = len(children) // 2
    first = await fall(world.db, children[:half], 10)
    parent_incident = (await fall(world.db, [router], 1, "Router "))[0]
    rest = await fall(world.db, children[half:], 10 + half)
    await until(world, monitors + 1, "select count(*) from alerting.escalations")
    taken_in = time.monotonic() - began
    clock.ahead_ms += 31_000
    held = "select count(*) from alerting.deliveries where state = 'suppressed' and reason like '%stands behind%'"
    await until(world, monitors, held)
    clock.ahead_ms += 16_000
    await until(world, monitors, BEHIND)
    told = time.monotonic() - began
    await eventually(lambda: len(sink.requests) >= 2, 20)
    await rise(world.db, [router], [parent_incident])
    await rise(world.db, children, [*first, *rest])
    await until(world, 0, "select 1")
    await eventually(lambda: sink.requests[-1].json()["type"] == "incident.recovered", 60)
    clock.ahead_ms += 600_000
    await asyncio.sleep(2)
    return {"taken_in_seconds": taken_in, "told_seconds": told}


def check_messages(sink: HttpServer, monitors: int) -> None:
    bodies = [request.json() for request in sink.requests]
    kinds = [body["type"] for body in bodies]
    assert len(kinds) < 10, kinds
    assert kinds.count("incident.down") == 1
    assert sum(body["data"]["count"] for body in bodies if body["type"] == "group.behind") == monitors
    assert all(body["data"]["link"] for body in bodies)


@pytest.mark.timeout(200)
async def test_many_behind_one_parent_are_few_messages(
    notifier: Notifier, world: World, clock: Clock, http_sink: HttpServer
) -> None:
    await storm_behind_a_parent(world, clock, http_sink, 600)
    check_messages(http_sink, 600)


@pytest.mark.faults
@pytest.mark.timeout(900)
async def test_ten_thousand_behind_one_parent_are_few_messages(
    notifier: Notifier, world: World, clock: Clock, http_sink: HttpServer, capsys: pytest.CaptureFixture[str]
) -> None:
    figures = await storm_behind_a_parent(world, clock, http_sink, 10_000)
    check_messages(http_sink, 10_000)
    with capsys.disabled():
        print(f"\n10,000 behind one parent: {len(http_sink.requests)} messages, {figures}")
