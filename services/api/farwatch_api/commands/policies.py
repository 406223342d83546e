"""Changing alert policies and silences."""

from collections.abc import Mapping
from typing import Any

from farwatch_api.auth.identity import Identity
from farwatch_api.bodies import validate
from farwatch_api.commands.monitors import require_channels
from farwatch_api.deps import Deps
from farwatch_api.errors import Conflict, NotFound
from farwatch_api.problems import Invalid
from farwatch_api.rows import Row
from farwatch_events.events import (
    EventMeta,
    PolicyCreated,
    PolicyDeleted,
    PolicyUpdated,
    SilenceCancelled,
    SilenceChanged,
    SilenceStarted,
)
from farwatch_events.policies import Policy, Silence, dump_policy
from farwatch_store import Connection, append

READ_ONLY = frozenset({"id", "created_at", "updated_at"})
SILENCE_READ_ONLY = frozenset({"id", "state", "created_by", "created_at", "cancelled_at"})

_INSERT = "insert into config.policies (name, enabled, position, spec) values ($1, $2, $3, $4) returning id"
_LOCK = "select id, name, spec from config.policies where id = $1 and deleted_at is null for update"
_UPDATE = """
    update config.policies set name = $2, enabled = $3, position = $4, spec = $5, updated_at = now() where id = $1
"""
_DELETE = "update config.policies set deleted_at = now(), enabled = false where id = $1"

_SILENCE = """
    insert into config.silences (match, reason, created_by, starts_at, ends_at)
    values ($1, $2, $3, coalesce($4, now()), $5) returning id
"""
_LOCK_SILENCE = "select * from config.silences where id = $1 for update"
_UPDATE_SILENCE = "update config.silences set match = $2, reason = $3, starts_at = $4, ends_at = $5 where id = $1"


async def create_policy(deps: Deps, identity: Identity, data: Mapping[str, Any]) -> int:
    policy = parse(data)
    async with deps.write() as connection:
        await require_named(connection, policy)
        spec = dump_policy(policy)
        policy_id = int(await connection.fetchval(_INSERT, policy.name, policy.enabled, policy.position, spec))
        event = PolicyCreated(at_ms=deps.now_ms(), policy_id=policy_id, name=policy.name, spec=spec)
        await append(connection, event.stream, [event], identity.meta, 0)
    return policy_id


async def update_policy(
    deps: Deps, identity: Identity, policy_id: int, data: Mapping[str, Any], *, partly: bool
) -> None:
    """PATCH (`partly`) replaces the fields written, PUT all. Raises Invalid or NotFound."""
    async with deps.write() as connection:
        row = await lock_policy(connection, policy_id)
        policy = parse({**row["spec"], **data} if partly else data)
        spec = dump_policy(policy)
        changed = sorted(name for name in spec if spec[name] != row["spec"].get(name))
        if not changed:
            return
        await require_named(connection, policy)
        await connection.execute(_UPDATE, policy_id, policy.name, policy.enabled, policy.position, spec)
        event = PolicyUpdated(at_ms=deps.now_ms(), policy_id=policy_id, changed=changed, spec=spec)
        await append(connection, event.stream, [event], identity.meta, None)


async def delete_policy(deps: Deps, identity: Identity, policy_id: int) -> None:
    async with deps.write() as connection:
        row = await lock_policy(connection, policy_id)
        await connection.execute(_DELETE, policy_id)
        event = PolicyDeleted(at_ms=deps.now_ms(), policy_id=policy_id, name=row["name"])
        await append(connection, event.stream, [event], identity.meta, None)


def parse(data: Mapping[str, Any]) -> Policy:
    return validate(Policy, {name: value for name, value in data.items() if name not in READ_ONLY})


async def require_named(connection: Connection, policy: Policy) -> None:
    """Raises Invalid naming a channel that does not exist."""
    try:
        await require_channels(connection, policy.channel_ids())
    except Invalid as error:
        raise Invalid.at("steps", error.problems[0]["message"]) from None


async def lock_policy(connection: Connection, policy_id: int) -> Row:
    row: Row | None = await connection.fetchrow(_LOCK, policy_id)
    if row is None:
        raise NotFound("policy")
    return row


async def silence(deps: Deps, who: EventMeta, data: Mapping[str, Any]) -> int:
    body = validate(Silence, {name: value for name, value in data.items() if name not in SILENCE_READ_ONLY})
    if body.ends_at <= deps.now():
        raise Invalid.at("ends_at", "must be in the future")
    async with deps.write() as connection:
        match = body.match.model_dump(mode="json")
        values = (match, body.reason, who.actor, body.starts_at, body.ends_at)
        silence_id = int(await connection.fetchval(_SILENCE, *values))
        ends_ms = int(body.ends_at.timestamp() * 1000)
        event = SilenceStarted(
            at_ms=deps.now_ms(), silence_id=silence_id, match=match, reason=body.reason, ends_ms=ends_ms
        )
        await append(connection, event.stream, [event], who, 0)
    return silence_id


async def change_silence(deps: Deps, identity: Identity, silence_id: int, data: Mapping[str, Any]) -> None:
    async with deps.write() as connection:
        row = await lock_silence(connection, silence_id)
        before = {name: row[name] for name in ("match", "reason", "starts_at", "ends_at")}
        written = {name: value for name, value in data.items() if name not in SILENCE_READ_ONLY}
        body = validate(Silence, {**before, **written})
        after = {**body.model_dump(), "match": body.match.model_dump(mode="json")}
        changed = [name for name, value in before.items() if value != after[name]]
        if changed:
            values = (after["match"], body.reason, body.starts_at or row["starts_at"], body.ends_at)
            await connection.execute(_UPDATE_SILENCE, silence_id, *values)
            event = SilenceChanged(at_ms=deps.now_ms(), silence_id=silence_id, changed=changed)
            await append(connection, event.stream, [event], identity.meta, None)


async def cancel_silence(deps: Deps, identity: Identity, silence_id: int) -> None:
    async with deps.write() as connection:
        await lock_silence(connection, silence_id)
        await connection.execute("update config.silences set cancelled_at = now() where id = $1", silence_id)
        event = SilenceCancelled(at_ms=deps.now_ms(), silence_id=silence_id)
        await append(connection, event.stream, [event], identity.meta, None)


async def lock_silence(connection: Connection, silence_id: int) -> Row:
    row: Row | None = await connection.fetchrow(_LOCK_SILENCE, silence_id)
    if row is None:
        raise NotFound("silence")
    if row["cancelled_at"] is not None:
        raise Conflict("This silence was ended.")
    return row
