"""Deliveries in PostgreSQL: what is due, and what came of it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from farwatch_events.events import DeliveryFailed, EventMeta
from farwatch_notifier.text import lines
from farwatch_store import Connection, Database, append

# What services answer is cut and cleaned: a NUL would be refused, the attempt not recorded, the message repeated.
REQUEST_CHARS = 8192
ANSWER_CHARS = 4200
ERROR_CHARS = 1000

# From channel to channel in the index, not over all that is pending: it is asked for with every event, also while a
# channel that hangs has a hundred thousand behind it.
_DUE_CHANNELS = """
    with recursive backlog (channel_id) as (
        (select channel_id from alerting.deliveries where state = 'pending' order by channel_id limit 1)
        union all
        select (
            select d.channel_id from alerting.deliveries d
            where d.state = 'pending' and d.channel_id > b.channel_id order by d.channel_id limit 1
        )
        from backlog b where b.channel_id is not null
    )
    select b.channel_id from backlog b
    where b.channel_id is not null
      and not exists (
          select from alerting.channel_holds h
          where h.channel_id = b.channel_id and h.until > to_timestamp($1::double precision / 1000)
      )
      and exists (
          select from alerting.deliveries d
          where d.channel_id = b.channel_id and d.state = 'pending'
            and d.next_attempt_at <= to_timestamp($1::double precision / 1000)
      )
"""

# The first of each thread only: a later message of a thread waits until the earlier ones are done. One pass over what
# is pending: as an anti-join it was quadratic for a planner that had no statistics of a backlog yet.
_TAKE = """
    with firsts as materialized (
        select distinct on (thread) id, next_attempt_at from alerting.deliveries
        where channel_id = $1 and state = 'pending' order by thread, id
    ), turn as materialized (
        select id from firsts
        where next_attempt_at <= to_timestamp($2::double precision / 1000)
          and not exists (
              select from alerting.channel_holds h
              where h.channel_id = $1 and h.until > to_timestamp($2::double precision / 1000)
          )
        order by id limit $3
    )
    select d.id, d.channel_id, d.moment, d.dedup_key, d.thread, d.attempts, d.message,
           extract(epoch from d.give_up_at) * 1000 as give_up_ms, extract(epoch from d.created_at) * 1000 as created_ms,
           exists (
               select from alerting.deliveries n
               where n.channel_id = d.channel_id and n.thread = d.thread and n.state = 'pending' and n.id > d.id
           ) as superseded
    from turn join alerting.deliveries d on d.id = turn.id
    order by d.id
"""

_CHANNEL = (
    "select id, name, type, enabled, config, deleted_at is not null as deleted from config.channels where id = $1"
)

# Attempt and state in one statement. Guarded by the number of attempts: whoever comes second changes nothing.
_MARK = """
    with marked as (
        update alerting.deliveries
        set state = $2, attempts = $3, answer = $4, error = $5,
            next_attempt_at = coalesce(to_timestamp($6::double precision / 1000), next_attempt_at),
            delivered_at = case when $2 = 'delivered' then to_timestamp($7::double precision / 1000) end
        where id = $1 and state = 'pending' and attempts = $3 - 1
        returning id
    )
    insert into alerting.delivery_attempts (delivery_id, attempt, at, ok, request, answer, error, duration_ms)
    select id, $3, to_timestamp($7::double precision / 1000), $2 = 'delivered', $8, $4, $5, $9 from marked
    on conflict do nothing
    returning delivery_id
"""

# The same for many that did not fail for good, without a transaction around it.
_MARK_MANY = """
    with given as (
        select * from unnest($1::bigint[], $2::text[], $3::int[], $4::text[], $5::text[], $6::double precision[],
                             $7::double precision[], $8::text[], $9::real[])
            as g (id, state, attempt, answer, error, next_ms, at_ms, request, duration_ms)
    ), marked as (
        update alerting.deliveries d
        set state = g.state, attempts = g.attempt, answer = g.answer, error = g.error,
            next_attempt_at = coalesce(to_timestamp(g.next_ms / 1000), d.next_attempt_at),
            delivered_at = case when g.state = 'delivered' then to_timestamp(g.at_ms / 1000) end
        from given g
        where d.id = g.id and d.state = 'pending' and d.attempts = g.attempt - 1
        returning d.id
    )
    insert into alerting.delivery_attempts (delivery_id, attempt, at, ok, request, answer, error, duration_ms)
    select g.id, g.attempt, to_timestamp(g.at_ms / 1000), g.state = 'delivered', g.request, g.answer, g.error,
           g.duration_ms
    from given g join marked m on m.id = g.id
    on conflict do nothing
"""

_DROP = "update alerting.deliveries set state = 'suppressed', reason = $2 where id = $1 and state = 'pending'"

_EXPIRE = "update alerting.deliveries set state = 'failed', error = $2 where id = $1 and state = 'pending' returning id"

_HOLD_CHANNEL = """
    insert into alerting.channel_holds as h (channel_id, until)
    values ($1, to_timestamp($2::double precision / 1000))
    on conflict (channel_id) do update set until = greatest(h.until, excluded.until)
"""

_PENDING = "select count(*) from alerting.deliveries where state = 'pending'"


@dataclass(frozen=True, slots=True)
class Due:
    """A delivery whose turn has come; `attempts` were made already."""

    id: int
    channel_id: int
    moment: str
    dedup_key: str
    thread: str
    attempts: int
    message: Mapping[str, Any]
    give_up_ms: int
    created_ms: int
    superseded: bool = False
    """A later message of the same thread waits behind it."""


@dataclass(frozen=True, slots=True)
class ChannelRow:
    """A channel as stored: secrets in `config` are encrypted."""

    id: int
    name: str
    type: str
    enabled: bool
    deleted: bool
    config: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Attempt:
    """How one attempt ended. `next_ms` is set when it will be tried again."""

    state: str
    at_ms: int
    duration_ms: float
    request: str
    answer: str
    error: str | None = None
    next_ms: int | None = None


async def due_channels(db: Database, now_ms: int) -> list[int]:
    async with db.connection() as connection:
        return [row["channel_id"] for row in await connection.fetch(_DUE_CHANNELS, now_ms)]


async def take_due(db: Database, channel_id: int, now_ms: int, limit: int) -> list[Due]:
    """At most `limit` deliveries, no two of one thread."""
    async with db.connection() as connection:
        rows = await connection.fetch(_TAKE, channel_id, now_ms, limit)
    return [_due(dict(row)) for row in rows]


def _due(row: dict[str, Any]) -> Due:
    return Due(**{**row, "give_up_ms": int(row["give_up_ms"]), "created_ms": int(row["created_ms"])})


async def read_channel(db: Database, channel_id: int) -> ChannelRow | None:
    async with db.connection() as connection:
        row = await connection.fetchrow(_CHANNEL, channel_id)
    return None if row is None else ChannelRow(**dict(row))


async def mark(db: Database, due: Due, attempt: Attempt) -> bool:
    """Records an attempt. False when the delivery was dealt with by somebody else meanwhile."""
    async with db.transaction() as connection:
        marked = await connection.fetchval(_MARK, *_mark_row(due, attempt))
        if marked is not None and attempt.state == "failed":
            await _report_failure(connection, due, attempt.error or "", attempt.at_ms)
    return marked is not None


async def mark_many(connection: Connection, marks: Sequence[tuple[Due, Attempt]]) -> None:
    """Records attempts that did not end in failure for good."""
    rows = [_mark_row(due, attempt) for due, attempt in marks]
    await connection.execute(_MARK_MANY, *([*column] for column in zip(*rows, strict=True)))


def _mark_row(due: Due, attempt: Attempt) -> tuple[Any, ...]:
    return (
        due.id,
        attempt.state,
        due.attempts + 1,
        lines(attempt.answer, ANSWER_CHARS),
        None if attempt.error is None else lines(attempt.error, ERROR_CHARS),
        attempt.next_ms,
        attempt.at_ms,
        lines(attempt.request, REQUEST_CHARS),
        attempt.duration_ms,
    )


async def expire(db: Database, due: Due, error: str, now_ms: int) -> None:
    """Ends a delivery whose time was over before it could be tried."""
    async with db.transaction() as connection:
        if await connection.fetchval(_EXPIRE, due.id, error) is not None:
            await _report_failure(connection, due, error, now_ms)


async def drop(db: Database, due: Due, reason: str) -> None:
    async with db.connection() as connection:
        await connection.execute(_DROP, due.id, reason)


async def hold_channel(db: Database, channel_id: int, until_ms: int) -> None:
    async with db.connection() as connection:
        await connection.execute(_HOLD_CHANNEL, channel_id, until_ms)


async def count_pending(db: Database) -> int:
    async with db.connection() as connection:
        return int(await connection.fetchval(_PENDING))


async def _report_failure(connection: Connection, due: Due, error: str, at_ms: int) -> None:
    event = DeliveryFailed(at_ms=at_ms, channel_id=due.channel_id, delivery_id=due.id, moment=due.moment, error=error)
    meta = EventMeta(actor="notifier", cause=due.dedup_key)
    await append(connection, event.stream, [event], meta, None)
