"""Fire drills: a made-up outage through the real routes, apart from incidents so that it counts nowhere."""

from collections.abc import Mapping
from datetime import timedelta
from typing import Any, Literal

from pydantic import Field

from farwatch_api.auth.identity import Identity
from farwatch_api.bodies import validate
from farwatch_api.deps import Deps
from farwatch_api.errors import Conflict, NotFound
from farwatch_api.problems import Invalid
from farwatch_api.rows import Row
from farwatch_events.actors import say_actor
from farwatch_events.events import DomainEvent, DrillAcknowledged, DrillEnded, DrillStarted, EventMeta
from farwatch_events.monitor import MonitorId, Strict
from farwatch_store import Connection, append

_INSERT = """
    insert into config.drills (monitor_id, monitor_name, severity, started_by, started_at, expires_at)
    values ($1, $2, $3, $4, $5, $6) on conflict do nothing returning id
"""
_LOCK = "select * from config.drills where id = $1 for update"
_ACKNOWLEDGE = "update config.drills set acknowledged_at = $2, acknowledged_by = $3, ended_at = $2 where id = $1"
_END = "update config.drills set ended_at = $2 where id = $1"
_EXPIRED = "select id from config.drills where ended_at is null and expires_at <= $1 order by id limit 100"


class DrillBody(Strict):
    """`minutes` after which it ends by itself when nobody acknowledges."""

    monitor_id: MonitorId
    severity: Literal["down", "degraded"] = "down"
    minutes: int = Field(default=30, ge=1, le=1440)


async def start_drill(deps: Deps, identity: Identity, data: Mapping[str, Any]) -> int:
    body = validate(DrillBody, dict(data))
    now = deps.now()
    async with deps.write() as connection:
        query = "select name from config.monitors where id = $1 and deleted_at is null"
        name = await connection.fetchval(query, body.monitor_id)
        if name is None:
            raise Invalid.at("monitor_id", "names a monitor that does not exist")
        until = now + timedelta(minutes=body.minutes)
        values = (body.monitor_id, name, body.severity, identity.actor, now, until)
        drill_id = await connection.fetchval(_INSERT, *values)
        if drill_id is None:
            raise Conflict("A drill of this monitor is running.")
        event = DrillStarted(
            at_ms=int(now.timestamp() * 1000),
            drill_id=drill_id,
            monitor_id=body.monitor_id,
            monitor_name=name,
            severity=body.severity,
            actor=identity.actor,
        )
        await append(connection, event.stream, [event], identity.meta, 0)
    return int(drill_id)


async def acknowledge_drill(deps: Deps, who: EventMeta, drill_id: int) -> None:
    """Which also ends it. Raises NotFound, or Conflict when it is over."""
    now = deps.now()
    async with deps.write() as connection:
        row = await lock_drill(connection, drill_id)
        await connection.execute(_ACKNOWLEDGE, drill_id, now, who.actor)
        seconds = (now - row["started_at"]).total_seconds()
        at_ms, monitor_id = int(now.timestamp() * 1000), row["monitor_id"]
        reason = f"acknowledged by {say_actor(who.actor, who.actor_name)} after {seconds:.0f} s"
        events: list[DomainEvent] = [
            DrillAcknowledged(at_ms=at_ms, drill_id=drill_id, monitor_id=monitor_id, actor=who.actor, seconds=seconds),
            _ended(row, at_ms, reason, seconds),
        ]
        await append(connection, events[0].stream, events, who, None)


async def end_drill(deps: Deps, who: EventMeta, drill_id: int, reason: str) -> None:
    now = deps.now()
    async with deps.write() as connection:
        row = await lock_drill(connection, drill_id)
        await connection.execute(_END, drill_id, now)
        event = _ended(row, int(now.timestamp() * 1000), reason, None)
        await append(connection, event.stream, [event], who, None)


async def end_expired(deps: Deps) -> None:
    async with deps.read() as connection:
        expired = [row["id"] for row in await connection.fetch(_EXPIRED, deps.now())]
    for drill_id in expired:
        try:
            await end_drill(deps, EventMeta(actor="api"), drill_id, "nobody acknowledged it in time")
        except Conflict:
            continue


def _ended(row: Row, at_ms: int, reason: str, seconds: float | None) -> DrillEnded:
    started_ms = int(row["started_at"].timestamp() * 1000)
    return DrillEnded(
        at_ms=at_ms,
        drill_id=row["id"],
        monitor_id=row["monitor_id"],
        monitor_name=row["monitor_name"],
        duration_seconds=max(0, at_ms - started_ms) // 1000,
        reason=reason,
        seconds=seconds,
    )


async def lock_drill(connection: Connection, drill_id: int) -> Row:
    row: Row | None = await connection.fetchrow(_LOCK, drill_id)
    if row is None:
        raise NotFound("drill")
    if row["ended_at"] is not None:
        raise Conflict("This drill is over.")
    return row
