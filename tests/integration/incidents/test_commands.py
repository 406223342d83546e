"""Commands over the bus, and what the log tells of monitors and maintenance."""

import asyncio
from datetime import UTC, datetime, timedelta

from farwatch_bus import stream_info
from farwatch_events import subjects
from farwatch_events.checks import IncidentCommand, RegisterRegionRequest, Reply
from farwatch_events.events import (
    ContentAccepted,
    MaintenanceCancelled,
    MaintenanceScheduled,
    MonitorDeleted,
    MonitorPaused,
    MonitorResumed,
)
from farwatch_events.guard import Page
from farwatch_events.live import LiveCheck, LiveMonitors
from farwatch_events.results import PushCall
from farwatch_incidents.fold import Fold
from farwatch_runtime.clock import now_ms
from tests.integration.incidents.conftest import World, down, folding, up
from tests.support.waiting import eventually


async def ask(world: World, subject: str, command: IncidentCommand | RegisterRegionRequest) -> Reply:
    await eventually(lambda: _answers(world))
    return Reply.from_bytes(await world.bus.request(subject, command.to_bytes(), 10))


async def _answers(world: World) -> bool:
    return bool(await world.one("select epoch from health.shards") > 0)


async def broken(world: World, **fields: object) -> tuple[int, int]:
    """A monitor that is down: its id and its incident's."""
    await world.region("eu")
    monitor_id = await world.monitor(**fields)
    await world.beat("eu")
    await world.say("eu", down(monitor_id, now_ms() // 1000 * 1000))
    incident_id = await eventually(
        lambda: world.one("select id from health.incidents where monitor_id = $1", monitor_id)
    )
    return monitor_id, incident_id


async def test_a_region_is_registered_once_and_read_at_once(world: World, fold: Fold) -> None:
    for _ in range(2):
        reply = await ask(world, subjects.REGISTER_REGION_COMMAND, RegisterRegionRequest(region="ap", prober="p1"))
        assert reply == Reply(ok=True)
    assert await world.types("region-ap") == ["region.registered"]
    assert await stream_info(world.bus, "CHECKS_ap") is not None
    monitor_id = await world.monitor()
    await world.say("ap", up(monitor_id, now_ms()))
    await world.folded(1)


async def test_the_push_region_gets_its_stream_and_is_no_region_of_monitors(world: World, fold: Fold) -> None:
    reply = await ask(world, subjects.REGISTER_REGION_COMMAND, RegisterRegionRequest(region="push", prober="api"))
    assert reply.ok
    assert await stream_info(world.bus, "RESULTS_push") is not None
    assert await world.one("select count(*) from config.regions") == 0


async def test_a_bad_region_is_refused(world: World, fold: Fold) -> None:
    reply = await ask(world, subjects.REGISTER_REGION_COMMAND, RegisterRegionRequest(region="Über", prober="p1"))
    assert (reply.ok, reply.code) == (False, "conflict")


async def test_acknowledge_note_resolve(world: World, fold: Fold) -> None:
    monitor_id, incident_id = await broken(world)
    command = IncidentCommand(incident_id=incident_id, actor="user:7")
    assert (await ask(world, subjects.ACKNOWLEDGE_COMMAND, command)).ok
    again = await ask(world, subjects.ACKNOWLEDGE_COMMAND, command)
    assert (again.ok, again.code) == (False, "conflict")
    note = command.model_copy(update={"text": "Looking at it"})
    assert (await ask(world, subjects.NOTE_COMMAND, note)).ok
    assert (await ask(world, subjects.RESOLVE_COMMAND, command)).ok
    assert (await ask(world, subjects.RESOLVE_COMMAND, command)).code == "conflict"
    assert (await ask(world, subjects.NOTE_COMMAND, note.model_copy(update={"text": "It was DNS"}))).ok
    nobody = await ask(world, subjects.NOTE_COMMAND, note.model_copy(update={"incident_id": 999}))
    assert nobody.code == "not_found"
    lines = await world.rows("select seq, kind, sentence, actor from health.incident_timeline order by seq")
    assert [(line["seq"], line["kind"], line["actor"]) for line in lines] == [
        (1, "vote", None),
        (2, "opened", None),
        (3, "acknowledged", "user:7"),
        (4, "noted", "user:7"),
        (5, "resolved", "user:7"),
        (6, "noted", "user:7"),
    ]
    actors = await world.rows("select meta->>'actor' as actor from log.events where stream like 'incident-%'")
    assert [row["actor"] for row in actors] == ["incidents", *["user:7"] * 4]
    await world.say("eu", down(monitor_id, now_ms()))
    await world.folded(2)
    assert await world.one("select count(*) from health.incidents") == 1


async def test_pause_closes_without_recovery_and_resume_starts_at_pending(world: World, fold: Fold) -> None:
    monitor_id, incident_id = await broken(world)
    pause = "update config.monitors set enabled = false, config_version = 2 where id = $1"
    await world.log(MonitorPaused(at_ms=now_ms(), monitor_id=monitor_id, config_version=2), pause, monitor_id)
    row = await eventually(
        lambda: world.one("select how_resolved from health.incidents where how_resolved is not null")
    )
    assert row == "paused"
    resume = "update config.monitors set enabled = true, config_version = 3 where id = $1"
    await world.log(MonitorResumed(at_ms=now_ms(), monitor_id=monitor_id, config_version=3), resume, monitor_id)
    await world.say("eu", down(monitor_id, now_ms()))
    await world.folded(2)
    assert await world.one("select verdict from health.verdicts") == "pending"
    await world.say("eu", down(monitor_id, now_ms(), config_version=3))
    is_open = "select 1 from health.incidents where id = $1 and state = 'open'"
    await eventually(lambda: world.one(is_open, incident_id + 1), timeout_seconds=15)
    await followed(world)
    assert await world.one(is_open, incident_id + 1), "the log told of the resumption before its first result counted"
    assert await world.one("select count(*) from health.incidents") == 2


async def followed(world: World) -> None:
    """Waits until the fold has dealt with the last resumption that the log tells of."""
    last = await world.one("select max(position) from log.events where type = 'monitor.resumed'")
    behind = "select 1 from log.positions where consumer = 'incidents' and position >= $1"
    await eventually(lambda: world.one(behind, last), timeout_seconds=15)


async def test_delete_closes_and_results_in_flight_are_dropped(world: World, fold: Fold) -> None:
    monitor_id, _ = await broken(world)
    delete = "update config.monitors set deleted_at = now() where id = $1"
    await world.log(MonitorDeleted(at_ms=now_ms(), monitor_id=monitor_id), delete, monitor_id)
    row = await eventually(
        lambda: world.one("select how_resolved from health.incidents where how_resolved is not null")
    )
    assert row == "deleted"
    await world.say("eu", down(monitor_id, now_ms()))
    await eventually(lambda: fold.metrics.dropped.labels("no_monitor")._value.get() == 1)
    assert await world.one("select count(*) from health.verdicts") == 0
    assert await world.one("select count(*) from health.monitor_state") == 0
    assert await world.one("select count(*) from health.check_results") == 1


async def test_maintenance_suppresses_and_tells_at_its_end(world: World, fold: Fold) -> None:
    ends = datetime.now(UTC) + timedelta(seconds=3)
    window = "insert into config.maintenance (name, all_monitors, starts_at, ends_at) values ('m', true, now(), $1)"
    await world.log(MaintenanceScheduled(at_ms=now_ms(), maintenance_id=1, name="m"), window, ends)
    await world.region("eu")
    await world.beat("eu")
    await eventually(lambda: world.one("select 1 from health.regions"))
    _, incident_id = await broken(world)
    assert await world.one("select suppressed from health.incidents") == "maintenance"
    await eventually(lambda: _unsuppressed(world), timeout_seconds=10)
    assert await world.types(f"incident-{incident_id}") == ["incident.opened", "incident.unsuppressed"]


async def _unsuppressed(world: World) -> bool:
    await world.beat("eu")
    return await world.one("select suppressed from health.incidents") is None


async def test_a_silent_region_is_told_once_and_its_votes_are_unknown(world: World, fold: Fold) -> None:
    await world.region("eu")
    monitor_id = await world.monitor()
    await world.beat("eu")
    await world.say("eu", up(monitor_id, now_ms()))
    await world.folded(1)
    await eventually(lambda: _verdict_is(world, "unknown"), timeout_seconds=15)
    assert await world.types("region-eu") == ["region.silenced"]
    assert await world.one("select state from health.regions where region = 'eu'") == "silent"
    await world.beat("eu")
    await eventually(lambda: _verdict_is(world, "up"))
    assert await world.types("region-eu") == ["region.silenced", "region.returned"]
    assert await world.one("select count(*) from health.incidents") == 0


async def _verdict_is(world: World, verdict: str) -> bool:
    return bool(await world.one("select verdict from health.verdicts") == verdict)


async def test_a_push_that_does_not_come_is_missed(world: World, fold: Fold) -> None:
    monitor_id = await world.monitor(type="push", interval_seconds=5, grace_seconds=0)
    await world.beat("push")
    await eventually(lambda: _beaten(world, "select 1 from health.regions"))
    await world.say("push", up(monitor_id, now_ms()))
    await eventually(lambda: _verdict_is(world, "up"))
    await eventually(lambda: _beaten(world, "select 1 from health.incidents where error_class = 'missed'"), 12, 0.5)
    assert "no push came for" in await world.one("select reason from health.incidents")
    await world.say("push", up(monitor_id, now_ms()))
    await eventually(lambda: world.one("select 1 from health.incidents where how_resolved = 'recovered'"))


async def test_a_run_is_measured_and_missed_when_it_does_not_end(world: World, fold: Fold) -> None:
    done = {"subject": "body", "operator": "contains", "value": "done", "severity": "down"}
    monitor_id = await world.monitor(type="push", cron="0 3 1 1 *", run_limit_seconds=4, assertions=[done])
    await world.beat("push")
    await eventually(lambda: _beaten(world, "select 1 from health.regions"))
    at_ms = now_ms() - 60_000
    start = up(monitor_id, at_ms, latency_ms=None, push=PushCall(signal="start"))
    await world.say("push", start)
    await world.say("push", up(monitor_id, at_ms + 1_500, latency_ms=None, push=PushCall(message="done, 7 rows")))
    await eventually(lambda: _verdict_is(world, "up"))
    last = await world.one("select last_check from health.monitor_state where region = 'push'")
    assert (last["latency_ms"], last["message"]) == (1_500.0, "done, 7 rows")
    assert await world.one("select count(*) from health.check_results") == 1, "a start is no result"
    await world.say("push", up(monitor_id, at_ms + 3_000, push=PushCall(message="half")))
    await eventually(lambda: world.one("select 1 from health.incidents where error_class = 'assertion'"))
    await world.say("push", up(monitor_id, at_ms + 4_000, push=PushCall(message="done")))
    await eventually(lambda: _verdict_is(world, "up"))
    await world.say("push", up(monitor_id, at_ms + 5_000, push=PushCall(signal="start")))
    await eventually(lambda: _beaten(world, "select 1 from health.incidents where error_class = 'missed'"), 20, 0.5)
    reason = await world.one("select reason from health.incidents where error_class = 'missed'")
    assert "started but did not finish within 4s" in reason


async def test_a_new_fold_waits_for_the_end_of_a_run_as_the_one_before(world: World) -> None:
    """Whoever forgot the run would wait an hour for the next push."""
    beating = asyncio.create_task(_beat_on(world))
    async with folding(world.bus, world.db):
        monitor_id = await world.monitor(type="push", interval_seconds=3600, run_limit_seconds=6)
        await eventually(lambda: world.one("select 1 from health.regions"))
        await world.say("push", up(monitor_id, now_ms(), latency_ms=None, push=PushCall(signal="start")))
        run = "select 1 from health.monitor_state where (state -> 23 -> 0)::bigint > 0"
        await eventually(lambda: world.one(run))
    async with folding(world.bus, world.db):
        await eventually(lambda: world.one("select 1 from health.incidents where error_class = 'missed'"), 40, 0.2)
    assert "did not finish within 6s" in await world.one("select reason from health.incidents")
    beating.cancel()


async def _beat_on(world: World) -> None:
    await world.region("push")
    while True:
        await world.beat("push")
        await asyncio.sleep(1)


async def _beaten(world: World, query: str) -> bool:
    await world.beat("push")
    return bool(await world.one(query))


async def test_browsers_are_told_after_the_commit(world: World, fold: Fold) -> None:
    told: list[bytes] = []

    async def on_live(message: object) -> None:
        told.append(message.data)  # type: ignore[attr-defined]

    await world.bus.subscribe(subjects.LIVE_FILTER, on_live)
    await world.region("eu")
    monitor_id = await world.monitor()
    await world.say("eu", up(monitor_id, now_ms(), kind="manual", request_id="r1"))
    await eventually(lambda: len(told) == 2)
    (live,) = LiveMonitors.from_bytes(told[0]).monitors
    assert (live.monitor_id, live.region, live.verdict, live.verdict_changed) == (monitor_id, "eu", "up", True)
    assert LiveCheck.from_bytes(told[1]).request_id == "r1"


async def test_a_page_that_is_accepted_is_known_from_then_on(world: World, fold: Fold) -> None:
    good, new = Page(of="a", size_bytes=900, script=("a.example",)), Page(of="a", size_bytes=900, script=("b.example",))
    await world.region("eu")
    monitor_id = await world.monitor()
    await world.beat("eu")
    first = now_ms() // 1000 * 1000 - 60_000
    await world.say("eu", *(up(monitor_id, first + n * 1000, page=good) for n in range(3)))
    await world.say("eu", *(up(monitor_id, first + n * 1000, page=new) for n in range(3, 5)))
    await eventually(lambda: _verdict(world, monitor_id, "degraded"))
    await world.log(ContentAccepted(at_ms=now_ms(), monitor_id=monitor_id), "select $1::bigint", monitor_id)
    query = "select state->22->'script' = '[\"a.example\", \"b.example\"]'::jsonb from health.monitor_state"
    await eventually(lambda: world.one(query))
    await world.say("eu", up(monitor_id, first + 5000, page=new))
    await eventually(lambda: _verdict(world, monitor_id, "up"))


async def _verdict(world: World, monitor_id: int, verdict: str) -> bool:
    return bool(await world.one("select verdict = $2 from health.verdicts where monitor_id = $1", monitor_id, verdict))


async def test_a_weekly_window_counts_whoever_moves_its_row_on(world: World, fold: Fold) -> None:
    await world.region("eu")
    monitor_id = await world.monitor()
    now = datetime.now(UTC)
    weekly = {
        "weekdays": ["mon", "tue", "wed", "thu", "fri", "sat", "sun"], "duration_minutes": 60, "time_zone": "UTC",
        "starts": f"{now - timedelta(minutes=10):%H:%M}",
    }  # fmt: skip
    series = """insert into config.maintenance (name, all_monitors, weekly, starts_at, ends_at)
        values ('nightly', true, $1, now() - interval '3 days', now() - interval '71 hours')"""
    await world.log(MaintenanceScheduled(at_ms=now_ms(), maintenance_id=1, name="nightly"), series, weekly)
    await asyncio.sleep(1.5)
    await world.say("eu", down(monitor_id, now_ms()))
    await eventually(lambda: world.one("select 1 from health.incidents where suppressed = 'maintenance'"))
    await world.log(
        MaintenanceCancelled(at_ms=now_ms(), maintenance_id=1),
        "update config.maintenance set cancelled_at = now() where weekly is not null",
    )
    await eventually(lambda: world.one("select 1 from log.events where type = 'incident.unsuppressed'"))
