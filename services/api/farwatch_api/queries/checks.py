"""Single results, hours of them, and the last few of many monitors for heartbeat bars."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from farwatch_api.envelope import timestamp
from farwatch_api.queries.cursors import decode_cursor, encode_cursor
from farwatch_api.rows import Row
from farwatch_api.views import rounded
from farwatch_store import Connection

# Newest first. One slot can hold several rows (regions, and extra checks), so all of them make the key.
_RAW = """
    select slot, region, kind, outcome, latency_ms, dns_ms, connect_ms, tls_ms, wait_ms, transfer_ms, late_ms,
        status_code, attempts, error_class, error
    from health.check_results
    where monitor_id = $1 and slot >= $2 and ($3::text is null or region = $3)
        and ($5::timestamptz is null or (slot, region, coalesce(kind, '')) < ($5, $6::text, $7::text))
        and ($5::timestamptz is null or slot <= $5)
    order by slot desc, region desc, coalesce(kind, '') desc limit $4
"""

_HOURS = """
    select at, region, up, degraded, down, unknown, latency_count, latency_sum_ms, latency_max_ms
    from health.rollup_hours
    where monitor_id = $1 and at >= $2 and ($3::text is null or region = $3)
        and ($5::timestamptz is null or (at, region) < ($5, $6::text))
    order by at desc, region desc limit $4
"""

# The bound on the slot lets the planner skip the partitions of older days: a bar holds a known stretch of time.
_BARS = """
    select m.id as monitor_id, c.slot, c.region, c.outcome, c.latency_ms, c.error
    from config.monitors m
    cross join lateral (
        select r.slot, r.region, r.outcome, r.latency_ms, r.error from health.check_results r
        where r.monitor_id = m.id and r.kind is null
            and r.slot > $3::timestamptz - make_interval(secs => ($2 + 2) * (m.spec->>'interval_seconds')::float8)
            and r.slot > $3::timestamptz - interval '7 days'
        order by r.slot desc
        limit $2 * greatest(1, (select count(*) from health.monitor_state s where s.monitor_id = m.id))
    ) as c
    where m.id = any($1::bigint[])
    order by m.id, c.region, c.slot
"""


async def raw_checks(
    connection: Connection, monitor_id: int, since: datetime, region: str | None, limit: int, cursor: str | None
) -> tuple[Sequence[Row], str | None]:
    after = decode_cursor("checks", cursor, (int, str, str))
    key = (_from_us(after[0]), after[1], after[2]) if after else (None, None, None)
    rows = await connection.fetch(_RAW, monitor_id, since, region, limit + 1, *key)
    if len(rows) <= limit:
        return rows, None
    last = rows[limit - 1]
    return rows[:limit], encode_cursor("checks", (_to_us(last["slot"]), last["region"], last["kind"] or ""))


async def hourly_checks(
    connection: Connection, monitor_id: int, since: datetime, region: str | None, limit: int, cursor: str | None
) -> tuple[list[dict[str, Any]], str | None]:
    after = decode_cursor("hours", cursor, (int, str))
    key = (_from_us(after[0]), after[1]) if after else (None, None)
    rows = await connection.fetch(_HOURS, monitor_id, since, region, limit + 1, *key)
    items = [_hour(row) for row in rows[:limit]]
    if len(rows) <= limit:
        return items, None
    last = rows[limit - 1]
    return items, encode_cursor("hours", (_to_us(last["at"]), last["region"]))


def _hour(row: Row) -> dict[str, Any]:
    number = row["latency_count"]
    return {
        "at": timestamp(row["at"]),
        "region": row["region"],
        "up": row["up"],
        "degraded": row["degraded"],
        "down": row["down"],
        "unknown": row["unknown"],
        "latency_ms": rounded(row["latency_sum_ms"] / number) if number else None,
        "latency_max_ms": rounded(row["latency_max_ms"]),
    }


async def last_results(
    connection: Connection, monitor_ids: Sequence[int], number: int, now: datetime
) -> dict[int, dict[str, list[Row]]]:
    """The last `number` scheduled results of each monitor and region, oldest first: {monitor: {region: [row]}}."""
    found: dict[int, dict[str, list[Row]]] = {monitor_id: {} for monitor_id in monitor_ids}
    for row in await connection.fetch(_BARS, list(monitor_ids), number, now):
        found[row["monitor_id"]].setdefault(row["region"], []).append(row)
    return {
        monitor_id: {region: rows[-number:] for region, rows in regions.items()}
        for monitor_id, regions in found.items()
    }


def heartbeat(row: Row) -> dict[str, Any]:
    return {
        "slot": timestamp(row["slot"]),
        "outcome": row["outcome"],
        "latency_ms": rounded(row["latency_ms"], 1),
        "error": row["error"],
    }


_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def _to_us(moment: datetime) -> int:
    return (moment - _EPOCH) // timedelta(microseconds=1)


def _from_us(microseconds: int) -> datetime:
    try:
        return _EPOCH + timedelta(microseconds=microseconds)
    except OverflowError:
        return _EPOCH
