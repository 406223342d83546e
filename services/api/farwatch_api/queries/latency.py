"""Latency over time: percentiles and phases, from raw results while they are kept, else from the rollups."""

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from typing import Any

from farwatch_api.envelope import timestamp
from farwatch_api.rows import Row
from farwatch_api.views import PHASES, rounded
from farwatch_events.histogram import merge, percentile
from farwatch_store import Connection

RAW_HOURS_MAX = 24
HOURLY_HOURS_MAX = 24 * 30
POINTS_WANTED = 240
_STEPS = (10, 20, 30, 60, 120, 300, 600, 900, 1800, 3600)

# Manual and confirmation checks are extra; unknown outcomes have no latency of the target.
_RAW = """
    select date_bin(make_interval(secs => $4), slot, '2000-01-01') as at, region,
        count(*) filter (where outcome = 'up') as up, count(*) filter (where outcome = 'degraded') as degraded,
        count(*) filter (where outcome = 'down') as down, count(*) filter (where outcome = 'unknown') as unknown,
        percentile_cont(array[0.5, 0.95, 0.99]) within group (order by latency_ms)
            filter (where outcome in ('up', 'degraded')) as percentiles,
        avg(latency_ms) filter (where outcome in ('up', 'degraded')) as mean,
        max(latency_ms) filter (where outcome in ('up', 'degraded')) as highest,
        avg(dns_ms) as dns_ms, avg(connect_ms) as connect_ms, avg(tls_ms) as tls_ms, avg(wait_ms) as wait_ms,
        avg(transfer_ms) as transfer_ms
    from health.check_results
    where monitor_id = $1 and slot >= $2 and slot <= $3 and kind is null and ($5::text is null or region = $5)
    group by 1, 2 order by 1, 2
"""

_ROLLED = """
    select at, region, up, degraded, down, unknown, latency_count, latency_sum_ms, latency_max_ms, histogram, phase_ms
    from {table}
    where monitor_id = $1 and at >= $2 and at <= $3 and ($4::text is null or region = $4) order by at, region
"""


def raw_step_seconds(hours: float, interval_seconds: int) -> int:
    """Width of a point: about 240 points, never narrower than the interval."""
    wanted = max(hours * 3600 / POINTS_WANTED, interval_seconds)
    return next((step for step in _STEPS if step >= wanted), _STEPS[-1])


async def latency_series(
    connection: Connection,
    monitor_id: int,
    interval_seconds: int,
    start: datetime,
    end: datetime,
    region: str | None,
    raw_kept: timedelta,
    now: datetime,
) -> dict[str, Any]:
    """Points per region and over all of them; `resolution` says what they were made from."""
    hours = (end - start).total_seconds() / 3600
    if hours <= RAW_HOURS_MAX and start >= now - raw_kept - timedelta(minutes=1):
        step = raw_step_seconds(hours, interval_seconds)
        rows = await connection.fetch(_RAW, monitor_id, start, end, float(step), region)
        return _answer("raw", step, [_raw_point(row) for row in rows])
    daily = hours > HOURLY_HOURS_MAX
    table = "health.rollup_days" if daily else "health.rollup_hours"
    rows = await connection.fetch(_ROLLED.format(table=table), monitor_id, start, end, region)
    return _answer("day" if daily else "hour", 86400 if daily else 3600, _rolled_points(rows))


def _answer(resolution: str, step_seconds: int, points: list[dict[str, Any]]) -> dict[str, Any]:
    regions = sorted({point["region"] for point in points if point["region"] is not None})
    return {"resolution": resolution, "step_seconds": step_seconds, "regions": regions, "points": points}


def _raw_point(row: Row) -> dict[str, Any]:
    p50, p95, p99 = row["percentiles"] or (None, None, None)
    return {
        "at": timestamp(row["at"]),
        "region": row["region"],
        "p50": rounded(p50),
        "p95": rounded(p95),
        "p99": rounded(p99),
        "mean": rounded(row["mean"]),
        "max": rounded(row["highest"]),
        **_counts([row]),
        "phases": {name: rounded(row[name]) for name in PHASES},
    }


def _rolled_points(rows: Sequence[Row]) -> list[dict[str, Any]]:
    """A point a region, and one of all regions together (`region` null) where there are several."""
    by_time: dict[datetime, list[Row]] = {}
    for row in rows:
        by_time.setdefault(row["at"], []).append(row)
    points = []
    for at, group in by_time.items():
        points += [_rolled_point(at, row["region"], [row]) for row in group]
        if len(group) > 1:
            points.append(_rolled_point(at, None, group))
    return points


def _rolled_point(at: datetime, region: str | None, rows: Sequence[Row]) -> dict[str, Any]:
    histogram = merge(row["histogram"] for row in rows)
    number = sum(row["latency_count"] for row in rows)
    total = sum(row["latency_sum_ms"] for row in rows)
    return {
        "at": timestamp(at),
        "region": region,
        "p50": rounded(percentile(histogram, 0.5)),
        "p95": rounded(percentile(histogram, 0.95)),
        "p99": rounded(percentile(histogram, 0.99)),
        "mean": rounded(total / number) if number else None,
        "max": rounded(max((row["latency_max_ms"] for row in rows if row["latency_max_ms"] is not None), default=None)),
        **_counts(rows),
        "phases": _mean_phases(rows, number),
    }


def _counts(rows: Iterable[Row]) -> dict[str, int]:
    rows = list(rows)
    return {name: sum(row[name] for row in rows) for name in ("up", "degraded", "down", "unknown")}


def _mean_phases(rows: Sequence[Row], number: int) -> dict[str, float | None]:
    sums = [0.0] * len(PHASES)
    for row in rows:
        for index, value in enumerate(row["phase_ms"][: len(PHASES)]):
            sums[index] += value or 0.0
    return {name: rounded(total / number) if number else None for name, total in zip(PHASES, sums, strict=True)}
