"""Monitors behind one that is looked at every five minutes: it is looked at as soon as one of them is down."""

from typing import Any

import pytest

from tests.integration.crash.running import Running
from tests.support.http import HttpServer
from tests.support.waiting import eventually

CHILDREN = [f"Host {number}" for number in range(1, 5)]
_ASKED = """
    select count(*) as requests from log.events
    where type = 'monitor.confirmation_requested' and (data->>'monitor_id')::bigint = $1
"""


@pytest.mark.timeout(200)
async def test_a_parent_that_is_rarely_looked_at_is_told_and_those_behind_it_are_named_with_it(
    running: Running, http_target: HttpServer
) -> None:
    await running.create("/api/policies", name="ops", parent_wait_seconds=1, steps=[{}])
    own_target = HttpServer()
    await own_target.start()
    router = await add(running, "Router", http_target, 300)
    shop = await add(running, "Shop", own_target, 5, [router])
    children = [await add(running, name, http_target, 5, [router]) for name in CHILDREN]
    await eventually(lambda: all_up(running, [router, shop, *children]), 60)

    await own_target.stop()
    await eventually(lambda: types(running) == ["incident.down"], 60)  # not the 300 s that the router may take
    assert bodies(running)[0]["data"]["title"] == "Shop is down"
    asked = (await running.rows(_ASKED, router))[0]["requests"]
    assert (asked, await running.state(router)) == (1, "up")

    await http_target.stop()
    await eventually(lambda: len(types(running)) == 3, 60)
    assert types(running) == ["incident.down", "incident.down", "group.behind"]
    told, behind = bodies(running)[1:]
    assert told["data"]["title"] == "Router is down"
    assert behind["data"]["title"] == "4 monitors behind Router fail too"
    assert sorted(each["name"] for each in behind["data"]["members"]) == CHILDREN
    assert (await running.rows(_ASKED, router))[0]["requests"] <= asked + 1


async def add(
    running: Running, name: str, target: HttpServer, interval_seconds: int, parents: list[int] | None = None
) -> int:
    return await running.create(
        "/api/monitors",
        name=name,
        type="http",
        url=target.url,
        interval_seconds=interval_seconds,
        retry_interval_seconds=1,
        parents=parents or [],
        channels=[running.channels["webhook"]],
    )


async def all_up(running: Running, monitor_ids: list[int]) -> bool:
    return {await running.state(each) for each in monitor_ids} == {"up"}


def bodies(running: Running) -> list[dict[str, Any]]:
    return [each.json() for each in running.sinks.http.requests if each.path.startswith("/webhook")]


def types(running: Running) -> list[str]:
    return [body["type"] for body in bodies(running)]
