"""What the settings pages list."""

from collections.abc import Sequence
from typing import Any

from farwatch_api.rows import Row
from farwatch_store import Connection

# With how the last thing sent through it went: a channel that fails must not look healthy.
_CHANNELS = """
    select c.*, d.state as last_state, d.moment as last_moment, d.error as last_error,
        coalesce(d.delivered_at, d.created_at) as last_at
    from config.channels c left join lateral (
        select state, moment, error, delivered_at, created_at from alerting.deliveries
        where channel_id = c.id and state <> 'suppressed' order by id desc limit 1
    ) as d on true
    where c.deleted_at is null order by lower(c.name), c.id limit 500
"""

_TOKENS = """
    select t.id, t.name, t.prefix, t.scope, t.created_at, t.last_used_at, t.expires_at, u.email
    from auth.tokens t join auth.users u on u.id = t.user_id
    where t.revoked_at is null order by t.id desc limit 500
"""

_WINDOWS = """
    select * from config.maintenance where series_id is null
    order by (ends_at > now() and cancelled_at is null) desc, starts_at desc limit 200
"""


async def list_channels(connection: Connection) -> Sequence[Row]:
    rows: Sequence[Row] = await connection.fetch(_CHANNELS)
    return rows


async def region_names(connection: Connection) -> list[str]:
    rows: list[Any] = await connection.fetch("select name from config.regions where name <> 'push' order by name")
    return [row["name"] for row in rows]


async def list_tokens(connection: Connection) -> Sequence[Row]:
    rows: Sequence[Row] = await connection.fetch(_TOKENS)
    return rows


async def list_windows(connection: Connection) -> Sequence[Row]:
    rows: Sequence[Row] = await connection.fetch(_WINDOWS)
    return rows


async def monitor_names(connection: Connection, limit: int = 1000) -> Sequence[Row]:
    rows: Sequence[Row] = await connection.fetch(
        "select id, name from config.monitors where deleted_at is null order by lower(name), id limit $1", limit
    )
    return rows
