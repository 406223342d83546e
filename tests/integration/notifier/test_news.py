"""News that is no incident, from the log to a receiver."""

from farwatch_events.events import (
    DrillStarted,
    EventMeta,
    FlappingEnded,
    FlappingStarted,
    IncidentAcknowledged,
    SystemRecovered,
    SystemTroubled,
)
from farwatch_notifier import gather
from farwatch_notifier.app import Notifier
from farwatch_runtime.clock import now_ms
from tests.integration.notifier.world import World
from tests.support.http import HttpServer


async def test_trouble_of_farwatch_and_a_monitor_that_flaps_are_told_and_so_are_their_ends(
    notifier: Notifier, world: World, http_sink: HttpServer
) -> None:
    await world.webhook(http_sink.url)
    monitor_id = await world.add_monitor()
    await world.append(SystemTroubled(at_ms=now_ms(), problem="fold_lag", subject="eu", reason="12 s"))
    await world.append(FlappingStarted(at_ms=now_ms(), monitor_id=monitor_id, percent=40, reason="Flapping: 40%"))
    await world.settled(2)
    await world.append(SystemRecovered(at_ms=now_ms(), problem="fold_lag", subject="eu", reason="1 s", seconds=40))
    await world.append(FlappingEnded(at_ms=now_ms(), monitor_id=monitor_id, percent=10, reason="Steady: 10%"))
    rows = await world.settled(4)
    assert {row["thread"] for row in rows} == {"system-fold_lag-eu", f"flapping-{monitor_id}"}
    assert sorted(request.json()["type"] for request in http_sink.requests) == [
        "monitor.flapping", "monitor.steady", "system.recovered", "system.troubled",
    ]  # fmt: skip


async def test_who_wants_it_hears_that_somebody_acknowledged(
    notifier: Notifier, world: World, http_sink: HttpServer
) -> None:
    await world.add_channel("webhook", {"url": http_sink.url}, moments=("down", "up", "acknowledged"))
    monitor_id = await world.add_monitor()
    incident_id = await world.open_incident(monitor_id)
    await world.settled(1)
    event = IncidentAcknowledged(at_ms=now_ms(), incident_id=incident_id, monitor_id=monitor_id, actor="user:4")
    await world.append(event, EventMeta(actor="user:4", actor_name="Ada"))
    told = (await world.settled(2))[1]
    assert told["reason"].startswith("acknowledged by Ada; ")
    body = http_sink.requests[1].json()
    assert body["type"] == "incident.acknowledged"
    assert body["data"]["text"].startswith("Acknowledged by Ada. Shop is down since")
    assert body["data"]["acknowledge_link"] is None


async def test_what_is_decided_later_knows_who_acknowledged_by_name(world: World) -> None:
    monitor_id = await world.add_monitor()
    incident_id = await world.open_incident(monitor_id)
    event = IncidentAcknowledged(at_ms=now_ms(), incident_id=incident_id, monitor_id=monitor_id, actor="user:4")
    await world.append(event, EventMeta(actor="user:4", actor_name="Ada"))
    acknowledge = "update health.incidents set acknowledged_at = now(), acknowledged_by = 'user:4' where id = $1"
    drill = """
        insert into config.drills (monitor_id, monitor_name, started_by, expires_at, acknowledged_at, acknowledged_by)
        values ($1, 'Shop', 'user:4', now(), now(), 'token:9') returning id
    """
    async with world.db.connection() as connection:
        await connection.execute(acknowledge, incident_id)
        drill_id = await connection.fetchval(drill, monitor_id)
    started = DrillStarted(
        at_ms=1, drill_id=drill_id, monitor_id=monitor_id, monitor_name="Shop", severity="down", actor="user:4"
    )
    await world.append(started, EventMeta(actor="user:4", actor_name="Ada"))
    async with world.db.connection() as connection:
        incidents = await gather.load_incidents(connection, [incident_id], [], 0)
        drills = await gather.load_drills(connection, [drill_id])
    assert incidents[incident_id].acknowledged_by == "Ada"
    assert drills[0].reason.startswith("A fire drill, started by Ada: ")
    assert drills[0].acknowledged_by == "API token 9", "the log says no more"
