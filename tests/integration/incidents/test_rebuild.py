"""What the tables say follows from the log, and can be made from it again."""

import asyncio
import sys

import pytest

from farwatch_events import subjects
from farwatch_events.checks import IncidentCommand, Reply
from farwatch_events.events import MonitorDeleted, MonitorPaused
from farwatch_incidents.history import HOUR_MS, moment
from farwatch_incidents.rebuild import rebuild
from farwatch_incidents.rollups import roll_up
from farwatch_runtime.clock import now_ms
from tests.integration.incidents.conftest import World, down, folding, up
from tests.support.waiting import eventually


async def order(world: World, verb: str, incident_id: int, text: str = "") -> None:
    command = IncidentCommand(incident_id=incident_id, actor="user:1", text=text)
    reply = Reply.from_bytes(await world.bus.request(verb, command.to_bytes(), 10))
    assert reply.ok, reply


async def live(world: World) -> None:
    """A life with everything in it that an incident can meet."""
    for region in ("eu", "us"):
        await world.region(region)
        await world.beat(region)
    monitors = [await world.monitor(name=f"site \0{number}"[:5]) for number in range(6)]
    start = now_ms() - 300_000
    told = {"error": "odd \0 text", "address": "192.0.2.1"}
    for number, outcome in enumerate([up, down, down, up, down]):
        for region in ("eu", "us"):
            slot = start + number * 60_000
            await world.say(region, *(outcome(each, slot, **(told if outcome is down else {})) for each in monitors))
        # the streams of two regions are read side by side: a region must not be rounds ahead of the other
        await world.folded(12 * (number + 1))
    await eventually(lambda: _counts(world, 12))
    await order(world, subjects.ACKNOWLEDGE_COMMAND, 7)
    await order(world, subjects.NOTE_COMMAND, 7, "looking\0")
    await order(world, subjects.NOTE_COMMAND, 1, "after the fact")
    await order(world, subjects.RESOLVE_COMMAND, 8, "known")
    pause = "update config.monitors set enabled = false where id = $1"
    await world.log(MonitorPaused(at_ms=now_ms(), monitor_id=monitors[2], config_version=1), pause, monitors[2])
    delete = "update config.monitors set deleted_at = now() where id = $1"
    await world.log(MonitorDeleted(at_ms=now_ms(), monitor_id=monitors[3]), delete, monitors[3])
    await eventually(lambda: _resolved(world, 9))


async def _counts(world: World, incidents: int) -> bool:
    return bool(await world.one("select count(*) from health.incidents") == incidents)


async def _resolved(world: World, number: int) -> bool:
    return bool(await world.one("select count(*) from health.incidents where state = 'resolved'") >= number)


async def _taken_over(world: World, epoch: int) -> bool:
    return bool(await world.one("select epoch from health.shards") > epoch)


@pytest.mark.timeout(180)
async def test_the_log_says_what_the_tables_say_and_mends_them(world: World, database_url: str) -> None:
    async with folding(world.bus, world.db):
        await live(world)
        outcome = await rebuild(world.db, write=False)
        assert [str(each) for each in outcome.differences] == []
        assert (outcome.incidents, outcome.verdicts) == (12, 5)
        assert outcome.events > 40
    hour_ms = (now_ms() - 300_000) // HOUR_MS * HOUR_MS
    await world.db.pool.execute("update health.shards set now_ms = now_ms + $1", 2 * HOUR_MS)
    assert await roll_up(world.db) > 0
    assert not (await rebuild(world.db, write=False)).differences

    pool = world.db.pool
    await pool.execute("delete from health.incident_timeline where incident_id = 7 and kind = 'noted'")
    await pool.execute("update health.incidents set reason = 'nothing happened' where id = 2")
    await pool.execute("delete from health.incidents where id = 3")
    await pool.execute("update health.verdicts set verdict = 'up' where monitor_id = 1")
    # how many there are depends on whose results were folded first: of those in one millisecond the last is left
    gone = await pool.execute("delete from health.verdict_changes where monitor_id = 1")
    await pool.execute(
        "update health.rollup_hours set down = down + 1 where monitor_id = 1 and at = $1", moment(hour_ms)
    )
    spoiled = await rebuild(world.db, write=False)
    what = [each.what.split(" since")[0] for each in spoiled.differences]
    assert what[:4] == ["incident 2", "incident 3", "timeline of incident 7", "verdict of monitor 1"]
    assert what.count("verdict of monitor 1") == 1 + int(gone.removeprefix("DELETE ")) > 1
    assert {each for each in what if each.startswith("hour")} == {
        f"hour {moment(hour_ms):%Y-%m-%d %H:%M} of monitor 1 in {region}" for region in ("eu", "us")
    }
    assert len((await rebuild(world.db, write=True)).differences) == len(spoiled.differences)
    assert not (await rebuild(world.db, write=False)).differences
    epoch = await world.one("select epoch from health.shards")
    async with folding(world.bus, world.db):
        await eventually(lambda: _taken_over(world, epoch), timeout_seconds=15)
        still_open = await world.one("select min(id) from health.incidents where state <> 'resolved'")
        await order(world, subjects.RESOLVE_COMMAND, still_open, "after the mend")
        assert await _resolved(world, 10)
    assert not (await rebuild(world.db, write=False)).differences

    await pool.execute("update health.incidents set severity = 'degraded' where id = 1")
    assert await command(database_url) == (1, True)
    assert await command(database_url, "--write") == (0, True)
    assert not (await rebuild(world.db, write=False)).differences


async def command(database_url: str, *arguments: str) -> tuple[int | None, bool]:
    """Its exit code, and whether it named the incident that differs."""
    environ = {"PATH": "/usr/bin:/bin", "FARWATCH_DATABASE_URL": database_url}
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "farwatch_incidents.rebuild", *arguments, env=environ, stdout=asyncio.subprocess.PIPE
    )
    told, _ = await asyncio.wait_for(process.communicate(), 50)
    return process.returncode, b"incident 1\n    stored:" in told and b"1 difference" in told
