"""Latency over time: percentiles and phases, from raw results while they are kept, else from the rollups."""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import groupby
from typing import Any, Literal

from farwatch_api.envelope import timestamp
from farwatch_api.rows import Row
from farwatch_api.views import PHASES, rounded
from farwatch_events.histogram import merge, percentile
from farwatch_store import Connection

RAW_HOURS_MAX = 24
HOURLY_HOURS_MAX = 24 * 90
POINTS_MAX = 3000
"""Over all regions: more than a screen has columns, and few enough to send and draw at once."""
RAW_STEPS_MAX = 240
ROLLED_STEPS_MAX = 400
STEPS_MIN = 60
_RAW_SECONDS = (10, 20, 30, 60, 120, 300, 600, 900, 1800, 3600)
_ROLLED_HOURS = (1, 2, 3, 4, 6, 8, 12, 24, 48, 96, 168)

# Manual and confirmation checks are extra; unknown outcomes have no latency of the target. Steps begin in 1970.
_RAW = """
    select date_bin(make_interval(secs => $4), slot, '1970-01-01Z') as at, region,
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
    group by {groups} order by 1, 2 nulls last
"""
_ONE_REGION = "1, 2"
_SEVERAL_REGIONS = "grouping sets ((1, 2), (1)) having grouping(region) = 0 or min(region) < max(region)"
"""Percentiles of all regions together are sorted once more, which a single region need not pay for."""

# Steps are merged here and not by us: a quarter of hours of three regions would hold up everybody else's answers.
_ROLLED = """
    with kept as (
        select floor(extract(epoch from at) / $5::int)::bigint as step, * from {table}
        where monitor_id = $1 and at >= $2 and at <= $3 and ($4::text is null or region = $4)
    ), counts as (
        select step, region, k.histogram[i][1] as bucket, sum(k.histogram[i][2])::int as number
        from kept k cross join lateral generate_subscripts(k.histogram, 1) as i group by 1, 2, 3
    ), histograms as (
        select step, region, array_agg(bucket order by bucket) as buckets,
            array_agg(number order by bucket) as numbers
        from counts group by 1, 2
    ), sums as (
        select step, region, sum(up)::int as up, sum(degraded)::int as degraded, sum(down)::int as down,
            sum(unknown)::int as unknown, sum(latency_count)::int as latency_count,
            sum(latency_sum_ms) as latency_sum_ms, max(latency_max_ms) as latency_max_ms,
            array[sum(phase_ms[1]), sum(phase_ms[2]), sum(phase_ms[3]), sum(phase_ms[4]), sum(phase_ms[5])] as phase_ms
        from kept group by 1, 2
    )
    select * from sums left join histograms using (step, region) order by step, region
"""

_REGIONS = "select count(*) from health.monitor_state where monitor_id = $1"


@dataclass(frozen=True, slots=True)
class Kept:
    """How far back single results and hours go."""

    raw: timedelta
    hourly: timedelta


@dataclass(frozen=True, slots=True)
class Resolution:
    """What points are made from, and how wide each is."""

    source: Literal["raw", "hour", "day"]
    step_seconds: int


def resolve(length: timedelta, kept: Kept, interval_seconds: int, regions: int) -> Resolution:
    """The finest there is for a stretch of this length up to now, in at most some thousand points.

    A step is never narrower than the interval, so that a step without a point is a gap. Pure.
    """
    hours = length.total_seconds() / 3600
    lines = regions + (regions > 1)
    room = max(STEPS_MIN, POINTS_MAX // max(1, lines))
    slack = timedelta(minutes=1)
    if hours <= RAW_HOURS_MAX and length <= kept.raw + slack:
        wanted = max(length.total_seconds() / min(RAW_STEPS_MAX, room), interval_seconds)
        return Resolution("raw", _at_least(wanted, _RAW_SECONDS))
    wanted = max(hours / min(ROLLED_STEPS_MAX, room), interval_seconds / 3600)
    if hours <= HOURLY_HOURS_MAX and length <= kept.hourly + slack:
        return Resolution("hour", 3600 * _at_least(wanted, _ROLLED_HOURS))
    return Resolution("day", 3600 * _at_least(max(24, wanted), _ROLLED_HOURS))


def _at_least(wanted: float, steps: Sequence[int]) -> int:
    return next((step for step in steps if step >= wanted), math.ceil(wanted))


async def latency_series(
    connection: Connection,
    monitor_id: int,
    interval_seconds: int,
    start: datetime,
    end: datetime,
    region: str | None,
    kept: Kept,
) -> dict[str, Any]:
    """Points per region and, where there are several, over all of them (`region` null); `resolution` says what they
    were made from. A step without a point is a time without a result. `end` is now."""
    regions = 1 if region else int(await connection.fetchval(_REGIONS, monitor_id))
    chosen = resolve(end - start, kept, interval_seconds, regions)
    step = chosen.step_seconds
    if chosen.source == "raw":
        statement = _RAW.format(groups=_ONE_REGION if regions == 1 else _SEVERAL_REGIONS)
        rows = await connection.fetch(statement, monitor_id, start, end, float(step), region)
        return _answer(chosen, [_raw_point(row) for row in rows])
    table = "health.rollup_hours" if chosen.source == "hour" else "health.rollup_days"
    rows = await connection.fetch(_ROLLED.format(table=table), monitor_id, start, end, region, step)
    return _answer(chosen, _rolled_points(rows, step))


def _answer(chosen: Resolution, points: list[dict[str, Any]]) -> dict[str, Any]:
    regions = sorted({point["region"] for point in points if point["region"] is not None})
    return {
        "resolution": chosen.source,
        "step_seconds": chosen.step_seconds,
        "regions": regions,
        "points": points,
    }


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


def _rolled_points(rows: Sequence[Row], step_seconds: int) -> list[dict[str, Any]]:
    """A point a region and step, and one of all regions together (`region` null) where there are several."""
    points = []
    for number, group in groupby(rows, key=lambda row: int(row["step"])):
        regions = list(group)
        at = datetime.fromtimestamp(number * step_seconds, UTC)
        points += [_rolled_point(at, row["region"], [row]) for row in regions]
        if len(regions) > 1:
            points.append(_rolled_point(at, None, regions))
    return points


def _rolled_point(at: datetime, region: str | None, rows: Sequence[Row]) -> dict[str, Any]:
    histogram = merge(list(zip(row["buckets"] or (), row["numbers"] or (), strict=True)) for row in rows)
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
