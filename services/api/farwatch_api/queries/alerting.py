"""What the rules of alerting are made from, as the notifier reads it; and what became of alerts."""

from collections.abc import Sequence
from datetime import datetime

from farwatch_api.rows import Row
from farwatch_events.matching import NumberedPolicy, NumberedSilence
from farwatch_events.policies import Match, parse_policy
from farwatch_events.recipients import ChannelFacts
from farwatch_store import Connection

_DELIVERIES = """
    select distinct d.id, d.channel_id, coalesce(c.name, '') as channel_name, coalesce(c.type, '') as channel_type,
        d.moment, d.state, d.attempts, d.reason, d.answer, d.error, d.created_at, d.delivered_at, d.next_attempt_at
    from alerting.delivery_items i join alerting.deliveries d on d.id = i.delivery_id
    left join config.channels c on c.id = d.channel_id
    where i.thread = $1 order by d.id limit 500
"""
_WAITING = "select policy_id, state, due_at, waits_for from alerting.escalations where thread = $1 order by policy_id"
_INCIDENT_AT = """
    select * from health.incidents
    where monitor_id = $1 and opened_at <= $2 and (resolved_at is null or resolved_at > $2) order by id desc limit 1
"""
_VERDICT_AT = """
    select verdict, reason, at from health.verdict_changes where monitor_id = $1 and at <= $2 order by at desc limit 1
"""
# Everything that stands above, ten steps at most: the uppermost that is down, as the notifier finds it.
_PARENT_DOWN = """
    with recursive above (parent_id, depth) as (
        select p, 1 from unnest($1::bigint[]) p
        union
        select p.value::bigint, a.depth + 1
        from above a join config.monitors m on m.id = a.parent_id and m.deleted_at is null
        cross join lateral jsonb_array_elements_text(m.spec->'parents') p
        where a.depth < 10 and jsonb_typeof(m.spec->'parents') = 'array'
    )
    select i.monitor_name from above a join health.incidents i on i.monitor_id = a.parent_id
    where i.state <> 'resolved' and i.severity = 'down' and a.parent_id <> $2
    order by a.depth desc, i.id limit 1
"""


async def load_policies(connection: Connection) -> list[NumberedPolicy]:
    rows = await connection.fetch("select id, spec from config.policies where deleted_at is null order by position, id")
    return [NumberedPolicy(row["id"], parse_policy(row["spec"])) for row in rows]


async def load_silences(connection: Connection) -> list[NumberedSilence]:
    rows = await connection.fetch("select * from config.silences where cancelled_at is null and ends_at > now()")
    return [
        NumberedSilence(
            row["id"],
            Match.model_validate(row["match"]),
            row["reason"],
            int(row["starts_at"].timestamp() * 1000),
            int(row["ends_at"].timestamp() * 1000),
        )
        for row in rows
    ]


async def load_channels(connection: Connection) -> list[ChannelFacts]:
    rows = await connection.fetch(
        "select id, name, enabled, moments from config.channels where deleted_at is null order by id"
    )
    return [ChannelFacts(row["id"], row["name"], row["enabled"], frozenset(row["moments"])) for row in rows]


async def deliveries_of(connection: Connection, thread: str) -> Sequence[Row]:
    rows: Sequence[Row] = await connection.fetch(_DELIVERIES, thread)
    return rows


async def waiting_of(connection: Connection, thread: str) -> Sequence[Row]:
    rows: Sequence[Row] = await connection.fetch(_WAITING, thread)
    return rows


async def incident_at(connection: Connection, monitor_id: int, at: datetime) -> Row | None:
    row: Row | None = await connection.fetchrow(_INCIDENT_AT, monitor_id, at)
    return row


async def verdict_at(connection: Connection, monitor_id: int, at: datetime) -> Row | None:
    row: Row | None = await connection.fetchrow(_VERDICT_AT, monitor_id, at)
    return row


async def parent_down(connection: Connection, monitor_id: int, parents: Sequence[int]) -> str | None:
    """The name of one that is down now among what the monitor stands behind, directly or not."""
    name: str | None = await connection.fetchval(_PARENT_DOWN, list(parents), monitor_id) if parents else None
    return name
