"""Regions and their probers, the overview, and the log."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from farwatch_api.queries.cursors import decode_cursor, encode_cursor
from farwatch_api.rows import Row
from farwatch_api.views import moment, rounded
from farwatch_events.subjects import PUSH_REGION
from farwatch_store import Connection

# Every region somebody configured or heard from; `push` is our own ear and no place.
_REGIONS = """
    select c.name as region, c.enabled, c.created_at, coalesce(h.state, 'silent') as state, h.reason, h.since,
        h.last_heartbeat_at, h.watermark_ms
    from config.regions c left join health.regions h on h.region = c.name
    where c.name <> $1 order by c.name
"""

_PROBERS = """
    select region, prober, software, healthy, reason, in_flight, capacity, checks_per_second, loop_lag_ms, started_at,
        last_seen_at
    from health.probers where region <> $1 and last_seen_at > now() - interval '1 hour' order by region, prober
"""

_OPEN_INCIDENTS = """
    select severity, count(*) as number from health.incidents where state <> 'resolved' group by severity
"""


async def list_regions(connection: Connection) -> list[dict[str, Any]]:
    probers: dict[str, list[dict[str, Any]]] = {}
    for row in await connection.fetch(_PROBERS, PUSH_REGION):
        probers.setdefault(row["region"], []).append(_prober(row))
    return [_region(row, probers.get(row["region"], [])) for row in await connection.fetch(_REGIONS, PUSH_REGION)]


def _region(row: Row, probers: list[dict[str, Any]]) -> dict[str, Any]:
    return {
        "region": row["region"],
        "enabled": row["enabled"],
        "state": row["state"],
        "reason": row["reason"],
        "since": moment(row["since"]),
        "last_seen_at": moment(row["last_heartbeat_at"]),
        "created_at": moment(row["created_at"]),
        "probers": probers,
    }


def _prober(row: Row) -> dict[str, Any]:
    return {
        "prober": row["prober"],
        "version": row["software"],
        "healthy": row["healthy"],
        "reason": row["reason"],
        "in_flight": row["in_flight"],
        "capacity": row["capacity"],
        "checks_per_second": rounded(row["checks_per_second"]),
        "loop_lag_ms": rounded(row["loop_lag_ms"]),
        "started_at": moment(row["started_at"]),
        "last_seen_at": moment(row["last_seen_at"]),
    }


async def open_incidents(connection: Connection) -> dict[str, int]:
    found = {row["severity"]: row["number"] for row in await connection.fetch(_OPEN_INCIDENTS)}
    return {"down": found.get("down", 0), "degraded": found.get("degraded", 0)}


# Newest first; the position is the key, and gapless.
_LOG = """
    select position, id, stream, stream_version, type, version, data, meta, recorded_at from log.events
    where ($1::bigint is null or position < $1) and ($2::bigint is null or position > $2)
        and ($3::text[] is null or type = any($3)) and ($4::text is null or stream = $4)
        and ($6::timestamptz is null or recorded_at >= $6)
    order by position desc limit $5
"""


async def list_events(
    connection: Connection,
    *,
    after: int | None,
    types: Sequence[str],
    stream: str | None,
    since: datetime | None,
    limit: int,
    cursor: str | None,
) -> tuple[list[dict[str, Any]], str | None]:
    before = decode_cursor("events", cursor, (int,)) or [None]
    rows = await connection.fetch(_LOG, before[0], after, list(types) or None, stream, limit + 1, since)
    items = [_event(row) for row in rows[:limit]]
    return items, encode_cursor("events", (rows[limit - 1]["position"],)) if len(rows) > limit else None


def _event(row: Row) -> dict[str, Any]:
    return {
        "position": row["position"],
        "id": str(row["id"]),
        "stream": row["stream"],
        "stream_version": row["stream_version"],
        "type": row["type"],
        "version": row["version"],
        "data": row["data"],
        "meta": row["meta"],
        "recorded_at": moment(row["recorded_at"]),
    }
