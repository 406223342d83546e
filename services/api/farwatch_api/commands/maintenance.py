"""Maintenance windows: one-off, and weekly by the clock of a place."""

from collections.abc import Mapping
from datetime import datetime
from typing import Annotated, Any, Self

from pydantic import AwareDatetime, Field, model_validator

from farwatch_api.auth.identity import Identity
from farwatch_api.bodies import validate
from farwatch_api.deps import Deps
from farwatch_api.errors import Conflict, NotFound
from farwatch_api.problems import Invalid
from farwatch_api.rows import Row
from farwatch_events.events import EventMeta, MaintenanceCancelled, MaintenanceChanged, MaintenanceScheduled
from farwatch_events.maintenance import Span, Weekly, next_occurrence
from farwatch_events.monitor import Name, Strict, Tag
from farwatch_store import Connection, append

_INSERT = """
    insert into config.maintenance (name, all_monitors, monitor_ids, tags, weekly, until, starts_at, ends_at)
    values ($1, $2, $3, $4, $5, $6, $7, $8) returning id
"""
_LOCK = "select * from config.maintenance where id = $1 for update"
_UPDATE = """
    update config.maintenance
    set name = $2, all_monitors = $3, monitor_ids = $4, tags = $5, weekly = $6, until = $7, starts_at = $8,
        ends_at = $9
    where id = $1
"""
# What was maintenance stays maintenance in the history, whatever becomes of the series.
_KEEP_OCCURRENCE = """
    insert into config.maintenance (name, all_monitors, monitor_ids, tags, starts_at, ends_at, series_id)
    select name, all_monitors, monitor_ids, tags, $2, $3, id from config.maintenance where id = $1
"""
_IS_OVER = "weekly is not null and cancelled_at is null and ends_at <= $1 and (until is null or until > ends_at)"
_ANY_OVER = f"select exists (select from config.maintenance where {_IS_OVER})"  # noqa: S608
_OVER = f"select * from config.maintenance where {_IS_OVER} order by id limit 500 for update skip locked"  # noqa: S608
FIELDS = ("name", "all_monitors", "monitor_ids", "tags", "weekly", "until", "starts_at", "ends_at")
READ_ONLY = frozenset({"id", "state", "created_at", "cancelled_at"})
MonitorId = Annotated[int, Field(ge=1)]


class MaintenanceBody(Strict):
    """A window concerns the monitors listed, those with one of the tags, or all.

    A weekly one has `weekly`, begins no earlier than `starts_at` and has no occurrence from `until` on; `ends_at` is
    given by its duration.
    """

    name: Name
    all_monitors: bool = False
    monitor_ids: list[MonitorId] = Field(default_factory=list, max_length=10_000)
    tags: list[Tag] = Field(default_factory=list, max_length=100)
    weekly: Weekly | None = None
    until: AwareDatetime | None = None
    starts_at: AwareDatetime | None = None
    ends_at: AwareDatetime | None = None

    @model_validator(mode="after")
    def _sensible(self) -> Self:
        if self.weekly is None:
            if self.starts_at is None or self.ends_at is None:
                raise ValueError("starts_at and ends_at say when it is, or weekly does")
            if self.ends_at <= self.starts_at:
                raise ValueError("ends_at must be after starts_at")
            if self.until is not None:
                raise ValueError("until is for weekly windows")
        if not (self.all_monitors or self.monitor_ids or self.tags):
            raise ValueError("monitor_ids must name a monitor, or give tags, or set all_monitors")
        return self

    def row(self, now: datetime) -> dict[str, Any]:
        """The columns of FIELDS. Raises Invalid when a series has no occurrence."""
        weekly = self.weekly
        row = {name: getattr(self, name) for name in FIELDS} | {"weekly": weekly and weekly.model_dump(mode="json")}
        if weekly is not None:
            span = next_occurrence(weekly, now, not_before=self.starts_at or now, until=self.until)
            if span is None:
                raise Invalid([{"field": "until", "message": "ends the series before its first occurrence"}])
            row["starts_at"], row["ends_at"] = span
        return row


def parse(data: Mapping[str, Any]) -> MaintenanceBody:
    return validate(MaintenanceBody, {name: value for name, value in data.items() if name not in READ_ONLY})


async def schedule(deps: Deps, identity: Identity, data: Mapping[str, Any]) -> int:
    body = parse(data)
    async with deps.write() as connection:
        window_id = int(await connection.fetchval(_INSERT, *body.row(deps.now()).values()))
        event = MaintenanceScheduled(at_ms=deps.now_ms(), maintenance_id=window_id, name=body.name)
        await append(connection, event.stream, [event], identity.meta, 0)
    return window_id


async def change(deps: Deps, identity: Identity, window_id: int, data: Mapping[str, Any], *, partly: bool) -> None:
    async with deps.write() as connection:
        row = await lock(connection, window_id)
        given = {name: row[name] for name in FIELDS} | dict(data) if partly else dict(data)
        after = parse(given).row(deps.now())
        changed = [name for name in FIELDS if row[name] != after[name]]
        if not changed:
            return
        if row["weekly"] is not None and row["starts_at"] < deps.now() and "starts_at" in changed:
            await connection.execute(_KEEP_OCCURRENCE, window_id, row["starts_at"], min(row["ends_at"], deps.now()))
        await connection.execute(_UPDATE, window_id, *after.values())
        event = MaintenanceChanged(at_ms=deps.now_ms(), maintenance_id=window_id, changed=changed)
        await append(connection, event.stream, [event], identity.meta, None)


async def cancel(deps: Deps, identity: Identity, window_id: int) -> None:
    """Also ends a window that has begun."""
    async with deps.write() as connection:
        await lock(connection, window_id)
        await connection.execute("update config.maintenance set cancelled_at = now() where id = $1", window_id)
        event = MaintenanceCancelled(at_ms=deps.now_ms(), maintenance_id=window_id)
        await append(connection, event.stream, [event], identity.meta, None)


async def move_on(deps: Deps) -> int:
    """Weekly windows whose occurrence is over get their next one; returns how many did. The fold counts by the series
    itself and waits for nobody: this is for all who read the table."""
    now, moved = deps.now(), 0
    # a write, even of nothing, would make every figure of the pages be found out anew
    async with deps.read() as connection:
        if not await connection.fetchval(_ANY_OVER, now):
            return 0
    async with deps.write() as connection:
        for row in await connection.fetch(_OVER, now):
            weekly, starts_at, ends_at = Weekly.model_validate(row["weekly"]), row["starts_at"], row["ends_at"]
            span: Span | None = (starts_at, ends_at)
            while span is not None and span[1] <= now:
                starts_at, ends_at = span
                await connection.execute(_KEEP_OCCURRENCE, row["id"], starts_at, ends_at)
                span = next_occurrence(weekly, ends_at, not_before=ends_at, until=row["until"])
            if span is None:
                await connection.execute(
                    "update config.maintenance set starts_at = $2, ends_at = $3, until = $3 where id = $1",
                    row["id"],
                    starts_at,
                    ends_at,
                )
                continue
            await connection.execute(
                "update config.maintenance set starts_at = $2, ends_at = $3 where id = $1", row["id"], *span
            )
            event = MaintenanceChanged(at_ms=deps.now_ms(), maintenance_id=row["id"], changed=["starts_at", "ends_at"])
            await append(connection, event.stream, [event], EventMeta(actor="api"), None)
            moved += 1
    return moved


async def lock(connection: Connection, window_id: int) -> Row:
    row: Row | None = await connection.fetchrow(_LOCK, window_id)
    if row is None:
        raise NotFound("maintenance window")
    if row["cancelled_at"] is not None:
        raise Conflict("This window was cancelled.")
    return row
