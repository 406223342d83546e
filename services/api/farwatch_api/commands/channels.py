"""Changing channels."""

from collections.abc import Mapping
from typing import Any

from pydantic import Field, ValidationError

from farwatch_api.auth.identity import Identity
from farwatch_api.bodies import validate
from farwatch_api.deps import Deps
from farwatch_api.errors import NotFound
from farwatch_api.problems import Invalid, Problem, explain, problem
from farwatch_api.rows import Row
from farwatch_events.channels import (
    CHANNEL_TYPES,
    DEFAULT_MOMENTS,
    Moment,
    channel_model,
    dump_channel,
    keep_masked_channel,
    map_channel_secrets,
    parse_channel,
    secret_fields,
)
from farwatch_events.events import ChannelCreated, ChannelDeleted, ChannelUpdated
from farwatch_events.monitor import Name, Strict
from farwatch_events.requests import ENCRYPTED_PREFIX
from farwatch_runtime.secrets import SecretBox, SecretError
from farwatch_store import Connection, append

_INSERT = """
    insert into config.channels (name, type, enabled, config, moments) values ($1, $2, $3, $4, $5) returning id
"""
_LOCK = "select * from config.channels where id = $1 and deleted_at is null for update"
_UPDATE = """
    update config.channels set name = $2, enabled = $3, config = $4, moments = $5, updated_at = now() where id = $1
"""

# The secrets go with it: nothing is sent through a deleted channel again.
_DELETE = "update config.channels set deleted_at = now(), enabled = false, config = '{}' where id = $1"

READ_ONLY = frozenset({"id", "resting_until", "created_at", "updated_at"})


class ChannelBody(Strict):
    """A channel as people write it; `config` is checked by its type's own model."""

    name: Name
    type: str
    enabled: bool = True
    config: dict[str, Any]
    moments: list[Moment] = Field(default_factory=lambda: list(DEFAULT_MOMENTS), max_length=16)


def parse_body(
    data: Mapping[str, Any], box: SecretBox, stored: Mapping[str, Any] | None = None
) -> tuple[ChannelBody, dict[str, Any]]:
    """The channel and its configuration as it is stored, secrets encrypted. Raises Invalid."""
    body = validate(ChannelBody, {name: value for name, value in data.items() if name not in READ_ONLY})
    if body.type not in CHANNEL_TYPES:
        raise Invalid.at("type", f"must be one of {', '.join(CHANNEL_TYPES)}")
    if problems := encrypted_by_hand(body.type, body.config, stored or {}):
        raise Invalid(problems)
    merged = keep_masked_channel(body.type, body.config, stored or {})
    try:
        config = dump_channel(parse_channel(body.type, merged))
    except ValidationError as error:
        found = explain(error.errors(), channel_model(body.type).model_fields)
        raise Invalid([problem(f"config.{p['field']}".rstrip("."), p["message"]) for p in found]) from None
    return body, map_channel_secrets(body.type, config, lambda v: v if box.is_encrypted(v) else box.encrypt(v))


def encrypted_by_hand(channel_type: str, config: Mapping[str, Any], stored: Mapping[str, Any]) -> list[Problem]:
    """The encrypted form comes from us alone."""
    given, known = _secret_places(channel_type, config), _secret_places(channel_type, stored)
    return [
        problem(f"config.{name}", f"must not start with {ENCRYPTED_PREFIX}")
        for name, value in given.items()
        if isinstance(value, str) and value.startswith(ENCRYPTED_PREFIX) and value != known.get(name)
    ]


def _secret_places(channel_type: str, config: Mapping[str, Any]) -> dict[str, Any]:
    """What stands where a secret may stand, by field path."""
    headers = config.get("headers")
    places = {name: config.get(name) for name in secret_fields(channel_type)}
    return places | ({f"headers.{name}": v for name, v in headers.items()} if isinstance(headers, Mapping) else {})


async def create_channel(deps: Deps, identity: Identity, data: Mapping[str, Any]) -> int:
    body, config = parse_body(data, deps.box)
    async with deps.write() as connection:
        moments: list[str] = list(dict.fromkeys(body.moments))
        channel_id = int(await connection.fetchval(_INSERT, body.name, body.type, body.enabled, config, moments))
        event = ChannelCreated(at_ms=deps.now_ms(), channel_id=channel_id, name=body.name, channel_type=body.type)
        await append(connection, event.stream, [event], identity.meta, 0)
    return channel_id


async def update_channel(
    deps: Deps, identity: Identity, channel_id: int, data: Mapping[str, Any], *, partly: bool
) -> None:
    """PATCH (`partly`) merges fields, and `config` field by field; PUT replaces. Raises Invalid or NotFound."""
    async with deps.write() as connection:
        row = await lock_channel(connection, channel_id)
        merged = merge_partly(row, data) if partly else {"type": row["type"], **data}
        body, config = parse_body(merged, deps.box, row["config"])
        if body.type != row["type"]:
            raise Invalid.at("type", "of a channel cannot be changed: create a new one")
        moments: list[str] = list(dict.fromkeys(body.moments))
        changed = changed_fields(row, body, config, moments, deps.box)
        if not changed:
            return
        await connection.execute(_UPDATE, channel_id, body.name, body.enabled, config, moments)
        event = ChannelUpdated(at_ms=deps.now_ms(), channel_id=channel_id, changed=changed)
        await append(connection, event.stream, [event], identity.meta, None)


def merge_partly(row: Row, data: Mapping[str, Any]) -> dict[str, Any]:
    merged = {name: row[name] for name in ("name", "type", "enabled", "config", "moments")} | dict(data)
    if isinstance(data.get("config"), Mapping):
        merged["config"] = {**row["config"], **data["config"]}
    return merged


def changed_fields(
    row: Row, body: ChannelBody, config: Mapping[str, Any], moments: list[str], box: SecretBox
) -> list[str]:
    """Names of what differs; secrets by what they say, never their values."""
    opened = [map_channel_secrets(body.type, each, lambda value: _open(value, box)) for each in (row["config"], config)]
    changed = [f"config.{name}" for name in {*opened[0], *opened[1]} if opened[0].get(name) != opened[1].get(name)]
    changed += [name for name in ("name", "enabled") if row[name] != getattr(body, name)]
    return sorted(changed + (["moments"] if list(row["moments"]) != moments else []))


def _open(value: str, box: SecretBox) -> str:
    try:
        return box.decrypt(value) if box.is_encrypted(value) else value
    except SecretError:
        return value


async def delete_channel(deps: Deps, identity: Identity, channel_id: int) -> None:
    async with deps.write() as connection:
        row = await lock_channel(connection, channel_id)
        await connection.execute(_DELETE, channel_id)
        event = ChannelDeleted(at_ms=deps.now_ms(), channel_id=channel_id, name=row["name"])
        await append(connection, event.stream, [event], identity.meta, None)


async def lock_channel(connection: Connection, channel_id: int) -> Row:
    row: Row | None = await connection.fetchrow(_LOCK, channel_id)
    if row is None:
        raise NotFound("channel")
    return row
