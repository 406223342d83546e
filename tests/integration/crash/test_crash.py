"""kill -9 of every process, one after another, while checks run and a target goes down at each crash.

Expected, each time: the path works again within 10 s; the outage is one incident and one delivery to each channel for
its beginning and its end; no slot is checked twice and none is left out.
"""

import os
import signal
import time
from collections import Counter
from contextlib import AsyncExitStack
from dataclasses import dataclass

import pytest

from tests.integration.crash.running import AWAY, CHANNELS, INTERVAL_SECONDS, Running, until
from tests.support.http import HttpServer
from tests.support.slots import Stretch, count_slots
from tests.support.waiting import eventually

VICTIMS = {
    "scheduler": "farwatch_scheduler",
    "prober": "farwatch_prober",
    "incidents": "farwatch_incidents",
    "notifier": "farwatch_notifier",
    "api": "farwatch_api",
    "nats": "nats-server",
    "postgres": "bin/postgres",
}
RECOVERY_SECONDS = 10.0


@dataclass
class Outage:
    """A monitor of its own for each crash."""

    victim: str
    name: str
    target: HttpServer
    monitor_id: int


@pytest.mark.timeout(180)
async def test_no_crash_loses_or_doubles_anything(running: Running) -> None:
    async with AsyncExitStack() as targets:
        steady = await _started(targets)
        steady_id = await running.add_monitor("steady", steady)
        outages = []
        for victim in VICTIMS:
            target = await _started(targets)
            name = f"{victim.title()}Site"
            outages.append(Outage(victim, name, target, await running.add_monitor(name, target)))
        monitor_ids = [steady_id, *(each.monitor_id for each in outages)]
        await running.until_up(monitor_ids)
        began_ms = now_ms() // 1000 * 1000 + 1000
        recoveries = {each.victim: await _crash(running, each) for each in outages}
        print("recovered after", {victim: f"{seconds:.1f} s" for victim, seconds in recoveries.items()})
        await until(lambda: _all_resolved(running, outages), 20)
        ended_ms = now_ms() // 1000 * 1000
        await _verify_incidents(running, outages, steady_id)
        await _verify_deliveries(running, outages)
        await _verify_slots(running, monitor_ids, Stretch(began_ms, ended_ms, INTERVAL_SECONDS * 1000))
    assert {victim: seconds for victim, seconds in recoveries.items() if seconds > RECOVERY_SECONDS} == {}


async def _started(targets: AsyncExitStack) -> HttpServer:
    target = HttpServer()
    await target.start()
    targets.push_async_callback(target.stop)
    return target


def now_ms() -> int:
    return time.time_ns() // 1_000_000


async def _crash(running: Running, outage: Outage) -> float:
    """Kills the victim and its target at once.

    Returns the seconds until every service was ready and a check that was due since then was stored.
    """
    killed_ms = now_ms()
    os.kill(running.up.child(VICTIMS[outage.victim]), signal.SIGKILL)
    await outage.target.stop()

    async def path_works() -> bool:
        if not await running.answers():
            return False
        try:
            rows = await running.rows(
                "select 1 from health.check_results where monitor_id <> $1 and outcome = 'up'"
                " and slot > timestamptz 'epoch' + $2::bigint * interval '1 millisecond' limit 1",
                outage.monitor_id,
                killed_ms,
            )
        except AWAY:
            return False
        return bool(rows)

    seconds = await until(path_works, 30)
    await until(lambda: set(running.sinks.channels_told(outage.name)) == set(CHANNELS), 30)
    await outage.target.start()
    return seconds


async def _all_resolved(running: Running, outages: list[Outage]) -> bool:
    for outage in outages:
        if {each["state"] for each in await running.incidents(outage.monitor_id)} != {"resolved"}:
            return False
    return True


async def _verify_incidents(running: Running, outages: list[Outage], steady_id: int) -> None:
    assert await running.incidents(steady_id) == []
    for outage in outages:
        incidents = await running.incidents(outage.monitor_id)
        assert len(incidents) == 1, (outage.victim, incidents)
        assert incidents[0]["severity"] == "down"
        kinds = [row["type"] for row in await running.rows(
            "select type from log.events where type in ('incident.opened', 'incident.resolved')"
            " and (data->>'monitor_id')::bigint = $1 order by position", outage.monitor_id)]  # fmt: skip
        assert kinds == ["incident.opened", "incident.resolved"], outage.victim


async def _verify_deliveries(running: Running, outages: list[Outage]) -> None:
    """One row each, delivered; what the sinks received twice has the key of its first time."""

    async def none_pending() -> bool:
        return not await running.rows("select 1 from alerting.deliveries where state = 'pending'")

    await eventually(none_pending, 10)
    rows = await running.rows("select monitor_id, channel_id, moment, state from alerting.deliveries")
    expected = {
        (outage.monitor_id, channel_id, moment, "delivered"): 1
        for outage in outages
        for channel_id in running.channels.values()
        for moment in ("down", "up")
    }
    assert Counter(tuple(row.values()) for row in rows) == expected
    for outage in outages:
        keys = {(each.channel, each.key) for each in running.sinks.told(outage.name)}
        assert Counter(channel for channel, _ in keys) == dict.fromkeys(CHANNELS, 2), outage.victim


async def _verify_slots(running: Running, monitor_ids: list[int], stretch: Stretch) -> None:
    db = await running.database()
    try:

        async def all_answered() -> bool:
            async with db.connection() as connection:
                count = await count_slots(connection, monitor_ids, ["local"], stretch)
            assert (count.doubled, count.missed) == (0, 0), count
            return True

        await eventually(all_answered, 15, 0.5)
    finally:
        await db.close()
    doubled = await running.rows(
        "select monitor_id, region, slot, kind from health.check_results group by 1, 2, 3, 4 having count(*) > 1"
    )
    assert doubled == []
