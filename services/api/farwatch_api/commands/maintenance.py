"""Maintenance windows, one-off."""

from collections.abc import Mapping
from typing import Annotated, Any, Self

from pydantic import AwareDatetime, Field, model_validator

from farwatch_api.auth.identity import Identity
from farwatch_api.bodies import validate
from farwatch_api.deps import Deps
from farwatch_api.errors import Conflict, NotFound
from farwatch_api.rows import Row
from farwatch_events.events import MaintenanceCancelled, MaintenanceChanged, MaintenanceScheduled
from farwatch_events.monitor import Name, Strict, Tag
from farwatch_store import Connection, append

_INSERT = """
    insert into config.maintenance (name, all_monitors, monitor_ids, tags, starts_at, ends_at)
    values ($1, $2, $3, $4, $5, $6) returning id
"""
_LOCK = "select * from config.maintenance where id = $1 for update"
_UPDATE = """
    update config.maintenance
    set name = $2, all_monitors = $3, monitor_ids = $4, tags = $5, starts_at = $6, ends_at = $7
    where id = $1
"""
FIELDS = ("name", "all_monitors", "monitor_ids", "tags", "starts_at", "ends_at")
READ_ONLY = frozenset({"id", "state", "created_at", "cancelled_at"})
MonitorId = Annotated[int, Field(ge=1)]


class MaintenanceBody(Strict):
    """A window concerns the monitors listed, those with one of the tags, or all."""

    name: Name
    all_monitors: bool = False
    monitor_ids: list[MonitorId] = Field(default_factory=list, max_length=10_000)
    tags: list[Tag] = Field(default_factory=list, max_length=100)
    starts_at: AwareDatetime
    ends_at: AwareDatetime

    @model_validator(mode="after")
    def _sensible(self) -> Self:
        if self.ends_at <= self.starts_at:
            raise ValueError("ends_at must be after starts_at")
        if not (self.all_monitors or self.monitor_ids or self.tags):
            raise ValueError("monitor_ids must name a monitor, or give tags, or set all_monitors")
        return self

    def values(self) -> tuple[Any, ...]:
        return tuple(getattr(self, name) for name in FIELDS)


def parse(data: Mapping[str, Any]) -> MaintenanceBody:
    return validate(MaintenanceBody, {name: value for name, value in data.items() if name not in READ_ONLY})


async def schedule(deps: Deps, identity: Identity, data: Mapping[str, Any]) -> int:
    body = parse(data)
    async with deps.write() as connection:
        window_id = int(await connection.fetchval(_INSERT, *body.values()))
        event = MaintenanceScheduled(at_ms=deps.now_ms(), maintenance_id=window_id, name=body.name)
        await append(connection, event.stream, [event], identity.meta, 0)
    return window_id


async def change(deps: Deps, identity: Identity, window_id: int, data: Mapping[str, Any], *, partly: bool) -> None:
    async with deps.write() as connection:
        row = await lock(connection, window_id)
        body = parse({name: row[name] for name in FIELDS} | dict(data) if partly else data)
        changed = [name for name in FIELDS if row[name] != getattr(body, name)]
        if not changed:
            return
        await connection.execute(_UPDATE, window_id, *body.values())
        event = MaintenanceChanged(at_ms=deps.now_ms(), maintenance_id=window_id, changed=changed)
        await append(connection, event.stream, [event], identity.meta, None)


async def cancel(deps: Deps, identity: Identity, window_id: int) -> None:
    """Also ends a window that has begun."""
    async with deps.write() as connection:
        await lock(connection, window_id)
        await connection.execute("update config.maintenance set cancelled_at = now() where id = $1", window_id)
        event = MaintenanceCancelled(at_ms=deps.now_ms(), maintenance_id=window_id)
        await append(connection, event.stream, [event], identity.meta, None)


async def lock(connection: Connection, window_id: int) -> Row:
    row: Row | None = await connection.fetchrow(_LOCK, window_id)
    if row is None:
        raise NotFound("maintenance window")
    if row["cancelled_at"] is not None:
        raise Conflict("This window was cancelled.")
    return row
