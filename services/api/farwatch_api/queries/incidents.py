"""Incidents with what happened in them and who was told."""

from collections.abc import Sequence

from farwatch_api.queries.cursors import decode_cursor, encode_cursor
from farwatch_api.rows import Row
from farwatch_store import Connection

# Incident ids rise with time, so newest first is by id.
_PAGE = """
    select * from health.incidents
    where ($1::text[] is null or state = any($1)) and ($2::bigint is null or monitor_id = $2)
        and ($3::text is null or severity = $3) and ($4::bigint is null or id < $4)
        and ($6::timestamptz is null or opened_at >= $6 or resolved_at is null)
        and ($7::text is null or id in (
            select substr(i.thread, 10)::bigint from alerting.delivery_items i
            join alerting.deliveries d on d.id = i.delivery_id
            where d.dedup_key = $7 and i.thread like 'incident-%'
        ))
    order by id desc limit $5
"""

_TIMELINE = """
    select seq, at, kind, sentence, actor, data from health.incident_timeline where incident_id = $1 order by seq
"""

_DELIVERIES = """
    select d.id, d.channel_id, coalesce(c.name, '') as channel_name, coalesce(c.type, '') as channel_type, d.moment,
        d.state, d.attempts, d.reason, d.answer, d.error, d.created_at, d.delivered_at, d.next_attempt_at,
        d.policy_id, d.step, p.name as policy_name, d.message->>'title' as title, d.message->>'sentence' as sentence
    from alerting.deliveries d left join config.channels c on c.id = d.channel_id
    left join config.policies p on p.id = d.policy_id
    where d.id in (select delivery_id from alerting.delivery_items where thread = 'incident-' || $1::bigint)
    order by d.id limit 1000
"""

_ATTEMPTS = """
    select a.delivery_id, a.attempt, a.at, a.ok, a.request, a.answer, a.error, a.duration_ms
    from alerting.delivery_attempts a
    where a.delivery_id in (select delivery_id from alerting.delivery_items where thread = 'incident-' || $1::bigint)
    order by a.delivery_id, a.attempt limit 2000
"""


async def list_incidents(
    connection: Connection,
    *,
    states: Sequence[str] = (),
    monitor_id: int | None = None,
    severity: str | None = None,
    since: object = None,
    told_by: str | None = None,
    limit: int = 50,
    cursor: str | None = None,
) -> tuple[Sequence[Row], str | None]:
    """`told_by` is the key of a message: those it told of."""
    after = decode_cursor("incidents", cursor, (int,)) or [None]
    rows = await connection.fetch(
        _PAGE, list(states) or None, monitor_id, severity, after[0], limit + 1, since, told_by
    )
    if len(rows) <= limit:
        return rows, None
    return rows[:limit], encode_cursor("incidents", (rows[limit - 1]["id"],))


async def read_incident(connection: Connection, incident_id: int) -> Row | None:
    row: Row | None = await connection.fetchrow("select * from health.incidents where id = $1", incident_id)
    return row


async def timeline_of(connection: Connection, incident_id: int) -> Sequence[Row]:
    rows: Sequence[Row] = await connection.fetch(_TIMELINE, incident_id)
    return rows


async def deliveries_of(connection: Connection, incident_id: int) -> tuple[Sequence[Row], Sequence[Row]]:
    """Deliveries and every attempt of them."""
    return await connection.fetch(_DELIVERIES, incident_id), await connection.fetch(_ATTEMPTS, incident_id)
