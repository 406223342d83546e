"""The event log, which is also the outbox: gapless positions, versions per stream."""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import asyncpg

from farwatch_events.events import DomainEvent, EventMeta, RecordedEvent
from farwatch_events.ids import uuid7
from farwatch_store.connection import Connection
from farwatch_store.errors import VersionConflict

CHANNEL = "farwatch_log"
"""NOTIFY channel that says: there are new positions."""

# The row lock on log.head lasts until commit. It serialises appends, which is what makes positions gapless and
# visible in order; so it is taken as late as possible, and the server ends a transaction that then falls silent: a
# process that froze there would hold back everybody's.
_TAKE_POSITIONS = """
    update log.head set position = position + $1
    returning position, set_config('idle_in_transaction_session_timeout', '3s', true)
"""

_STREAM_VERSIONS = """
    select stream, max(stream_version) as version from log.events where stream = any($1::text[]) group by stream
"""

_INSERT = """
    insert into log.events (position, id, stream, stream_version, type, version, data, meta)
    select * from unnest(
        $1::bigint[], $2::uuid[], $3::text[], $4::int[], $5::text[], $6::int[], $7::jsonb[], $8::jsonb[]
    )
    returning position, recorded_at
"""

_COLUMNS = "position, id, stream, stream_version, type, version, data, meta, recorded_at"

_READ = f"select {_COLUMNS} from log.events where position > $1 order by position limit $2"  # noqa: S608

_READ_TYPES = f"""
    select {_COLUMNS} from log.events where position > $1 and type = any($3::text[]) order by position limit $2
"""  # noqa: S608

_READ_STREAM = f"select {_COLUMNS} from log.events where stream = $1 order by stream_version"  # noqa: S608


@dataclass(frozen=True, slots=True)
class Append:
    """Events for one stream. `expected_version` is the stream's version before them, 0 for a new one, None for any."""

    stream: str
    events: Sequence[DomainEvent]
    meta: EventMeta
    expected_version: int | None = None


async def append(
    connection: Connection,
    stream: str,
    events: Sequence[DomainEvent],
    meta: EventMeta,
    expected_version: int | None,
) -> list[RecordedEvent]:
    """Appends in the caller's transaction; call it last in there, since it holds back every other append.

    Raises VersionConflict when the stream is not at `expected_version` (0: has no events; None: do not care).
    """
    return await append_many(connection, [Append(stream, events, meta, expected_version)])


async def append_many(connection: Connection, appends: Sequence[Append]) -> list[RecordedEvent]:
    """As `append` for several streams in four statements, positions in the order given."""
    count = sum(len(each.events) for each in appends)
    if count == 0:
        return []
    last = await connection.fetchval(_TAKE_POSITIONS, count)
    rows = await connection.fetch(_STREAM_VERSIONS, list({each.stream for each in appends}))
    versions = {row["stream"]: row["version"] for row in rows}
    recorded = _number(appends, last - count + 1, versions, time.time_ns() // 1_000_000)
    stored = await connection.fetch(_INSERT, *_columns(recorded))
    await connection.execute(f"notify {CHANNEL}")
    times = {row["position"]: _milliseconds(row["recorded_at"]) for row in stored}
    return [event.model_copy(update={"recorded_at_ms": times[event.position]}) for event in recorded]


def _number(appends: Sequence[Append], position: int, versions: dict[str, int], now_ms: int) -> list[RecordedEvent]:
    recorded = []
    for each in appends:
        version = versions.get(each.stream, 0)
        if each.expected_version is not None and each.expected_version != version:
            raise VersionConflict(each.stream, each.expected_version, version)
        for event in each.events:
            version += 1
            recorded.append(_envelope(event, each, position, version, now_ms))
            position += 1
        versions[each.stream] = version
    return recorded


def _envelope(event: DomainEvent, each: Append, position: int, stream_version: int, now_ms: int) -> RecordedEvent:
    return RecordedEvent(
        position=position,
        id=str(uuid7(now_ms)),
        stream=each.stream,
        stream_version=stream_version,
        type=event.type,
        version=event.version,
        data=event.model_dump(mode="json"),
        meta=each.meta,
        recorded_at_ms=now_ms,
    )


def _columns(recorded: Sequence[RecordedEvent]) -> list[list[Any]]:
    return [
        [event.position for event in recorded],
        [event.id for event in recorded],
        [event.stream for event in recorded],
        [event.stream_version for event in recorded],
        [event.type for event in recorded],
        [event.version for event in recorded],
        [event.data for event in recorded],
        [event.meta.model_dump(mode="json") for event in recorded],
    ]


async def read_log(
    connection: Connection, after_position: int, limit: int, types: Sequence[str] | None = None
) -> list[RecordedEvent]:
    """At most `limit` events after the position, in order; only of `types` when given."""
    if types is None:
        rows = await connection.fetch(_READ, after_position, limit)
    else:
        rows = await connection.fetch(_READ_TYPES, after_position, limit, list(types))
    return [_recorded(row) for row in rows]


async def read_stream(connection: Connection, stream: str) -> list[RecordedEvent]:
    """All events of one stream, oldest first; the last one's `stream_version` is the expected version."""
    return [_recorded(row) for row in await connection.fetch(_READ_STREAM, stream)]


async def last_position(connection: Connection) -> int:
    """Position of the newest event, 0 for an empty log."""
    return int(await connection.fetchval("select position from log.head"))


def _recorded(row: "asyncpg.Record") -> RecordedEvent:
    return RecordedEvent(
        position=row["position"],
        id=str(row["id"]),
        stream=row["stream"],
        stream_version=row["stream_version"],
        type=row["type"],
        version=row["version"],
        data=row["data"],
        meta=EventMeta.model_validate(row["meta"]),
        recorded_at_ms=_milliseconds(row["recorded_at"]),
    )


def _milliseconds(moment: datetime) -> int:
    return round(moment.timestamp() * 1000)
