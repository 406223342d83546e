"""Changing monitors. Returns ids and versions; what people see is read afterwards."""

from collections.abc import Mapping
from typing import Any

from farwatch_api.auth.identity import Identity
from farwatch_api.auth.tokens import new_secret
from farwatch_api.commands.specs import changed_fields, encrypted_dump, parse_spec, patched, shown, writable
from farwatch_api.deps import Deps
from farwatch_api.errors import NotFound
from farwatch_api.problems import Invalid
from farwatch_api.rows import Row
from farwatch_events.events import (
    ContentAccepted,
    DomainEvent,
    MonitorCreated,
    MonitorDeleted,
    MonitorPaused,
    MonitorResumed,
    MonitorUpdated,
)
from farwatch_store import Connection, append

_INSERT = """
    insert into config.monitors (name, type, enabled, spec, tags, push_token)
    values ($1, $2, $3, $4, $5, $6) returning id
"""

# The lock orders changes of one monitor, so its events stand in the log in the order of their versions.
_LOCK = """
    select id, name, type, enabled, spec, config_version from config.monitors
    where id = $1 and deleted_at is null for update
"""

_STORED = "select spec from config.monitors where id = $1 and deleted_at is null"

_UPDATE = """
    update config.monitors set name = $2, enabled = $3, spec = $4, tags = $5, config_version = $6, updated_at = now()
    where id = $1
"""

# The row stays: ids are never reused, and history keeps its name.
_DELETE = """
    update config.monitors set deleted_at = now(), updated_at = now(), enabled = false, push_token = null,
        config_version = config_version + 1
    where id = $1
"""


async def create_monitor(deps: Deps, identity: Identity, data: Mapping[str, Any], clone_of: int | None = None) -> int:
    """Masks stand for the secrets of the monitor that is cloned. Raises Invalid, or NotFound without that monitor."""
    spec = parse_spec(writable(data), await _read_stored(deps, clone_of))
    stored = encrypted_dump(spec, deps.box)
    push_token = new_secret() if spec.type == "push" else None
    async with deps.write() as connection:
        await require_channels(connection, spec.channels)
        await require_parents(connection, spec.parents, None)
        monitor_id = int(
            await connection.fetchval(_INSERT, spec.name, spec.type, spec.enabled, stored, spec.tags, push_token)
        )
        events: list[DomainEvent] = [
            MonitorCreated(at_ms=deps.now_ms(), monitor_id=monitor_id, config_version=1, spec=shown(stored))
        ]
        await append(connection, events[0].stream, events, identity.meta, 0)
    return monitor_id


async def _read_stored(deps: Deps, monitor_id: int | None) -> dict[str, Any] | None:
    if monitor_id is None:
        return None
    async with deps.read() as connection:
        row = await connection.fetchrow(_STORED, monitor_id)
    if row is None:
        raise NotFound("monitor")
    return dict(row["spec"])


async def replace_monitor(deps: Deps, identity: Identity, monitor_id: int, data: Mapping[str, Any]) -> None:
    """PUT: every field not written goes back to its default. Raises Invalid or NotFound."""
    async with deps.write() as connection:
        row = await lock_monitor(connection, monitor_id)
        await _store(deps, identity, connection, row, {"type": row["type"], **writable(data)})


async def patch_monitor(deps: Deps, identity: Identity, monitor_id: int, data: Mapping[str, Any]) -> None:
    """PATCH: only the fields written change. Raises Invalid or NotFound."""
    async with deps.write() as connection:
        row = await lock_monitor(connection, monitor_id)
        await _store(deps, identity, connection, row, patched(row["spec"], writable(data)))


async def set_enabled(deps: Deps, identity: Identity, monitor_id: int, *, enabled: bool) -> bool:
    """Pause or resume; False when it already was that way."""
    async with deps.write() as connection:
        row = await lock_monitor(connection, monitor_id)
        if row["enabled"] == enabled:
            return False
        await _store(deps, identity, connection, row, {**row["spec"], "enabled": enabled})
        return True


async def delete_monitor(deps: Deps, identity: Identity, monitor_id: int) -> None:
    async with deps.write() as connection:
        row = await lock_monitor(connection, monitor_id)
        await connection.execute(_DELETE, monitor_id)
        event = MonitorDeleted(at_ms=deps.now_ms(), monitor_id=monitor_id, name=row["name"])
        await append(connection, event.stream, [event], identity.meta, None)


async def accept_content(deps: Deps, identity: Identity, monitor_id: int) -> None:
    """What the content guard found to be new belongs to the page. Raises NotFound, or Invalid without a guard."""
    async with deps.write() as connection:
        row = await lock_monitor(connection, monitor_id)
        if not row["spec"].get("content_guard"):
            raise Invalid.at("content_guard", "of this monitor is off: there is nothing to accept")
        event = ContentAccepted(at_ms=deps.now_ms(), monitor_id=monitor_id)
        await append(connection, event.stream, [event], identity.meta, None)


async def lock_monitor(connection: Connection, monitor_id: int) -> Row:
    row: Row | None = await connection.fetchrow(_LOCK, monitor_id)
    if row is None:
        raise NotFound("monitor")
    return row


async def _store(deps: Deps, identity: Identity, connection: Connection, row: Row, data: Mapping[str, Any]) -> None:
    before = row["spec"]
    if data.get("type") != row["type"]:
        raise Invalid.at("type", "of a monitor cannot be changed: create a new one")
    spec = parse_spec(data, before)
    stored = encrypted_dump(spec, deps.box)
    changed = changed_fields(before, stored, deps.box)
    if not changed:
        return
    added = sorted(set(spec.channels) - set(before.get("channels", [])))
    await require_channels(connection, added)
    if "parents" in changed:
        await require_parents(connection, spec.parents, row["id"])
    version = row["config_version"] + 1
    await connection.execute(_UPDATE, row["id"], spec.name, spec.enabled, stored, spec.tags, version)
    events = _events_of(row["id"], version, changed, spec.enabled, shown(stored), deps.now_ms())
    await append(connection, events[0].stream, events, identity.meta, None)


def _events_of(
    monitor_id: int, version: int, changed: list[str], enabled: bool, spec: dict[str, Any], now_ms: int
) -> list[DomainEvent]:
    """Pausing and resuming are facts of their own; other fields that changed along with them are another."""
    events: list[DomainEvent] = []
    others = [name for name in changed if name != "enabled"]
    if others:
        events.append(
            MonitorUpdated(at_ms=now_ms, monitor_id=monitor_id, config_version=version, changed=others, spec=spec)
        )
    if "enabled" in changed:
        kind = MonitorResumed if enabled else MonitorPaused
        events.append(kind(at_ms=now_ms, monitor_id=monitor_id, config_version=version))
    return events


async def require_channels(connection: Connection, channels: list[int]) -> None:
    """Raises Invalid naming the first channel that does not exist."""
    if not channels:
        return
    rows = await connection.fetch(
        "select id from config.channels where id = any($1::bigint[]) and deleted_at is null", channels
    )
    found = {row["id"] for row in rows}
    missing = [channel for channel in channels if channel not in found]
    if missing:
        raise Invalid.at("channels", f"names channel {missing[0]}, which does not exist")


# Whether one of the given monitors stands, at whatever distance, behind the second parameter.
_STANDS_BEHIND = """
    with recursive above (id) as (
        select unnest($1::bigint[])
        union
        select p.value::bigint from above a join config.monitors m on m.id = a.id
        cross join lateral jsonb_array_elements_text(m.spec->'parents') p
        where jsonb_typeof(m.spec->'parents') = 'array'
    )
    select exists (select from above where id = $2)
"""


async def require_parents(connection: Connection, parents: list[int], monitor_id: int | None) -> None:
    """Raises Invalid for a parent that does not exist, or that stands behind the monitor itself."""
    if not parents:
        return
    query = "select id from config.monitors where id = any($1::bigint[]) and deleted_at is null"
    found = {row["id"] for row in await connection.fetch(query, parents)}
    missing = [parent for parent in parents if parent not in found]
    if missing:
        raise Invalid.at("parents", f"names monitor {missing[0]}, which does not exist")
    if monitor_id is not None and await connection.fetchval(_STANDS_BEHIND, parents, monitor_id):
        raise Invalid.at("parents", "must not stand behind this monitor themselves")
