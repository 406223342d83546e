"""Closed hours become rows of health.rollup_hours, hours become days, verdict changes become uptime.

Everything is computed again from its source and replaced, never added to: a crash at any point, or a late result,
costs one more computation and nothing else. Statements take a few hundred monitors each, so that nobody waits.
"""

from collections.abc import Callable, Iterable

from farwatch_events.histogram import BOUNDS_MS
from farwatch_incidents.history import DAY_MS, HOUR_MS, moment
from farwatch_incidents.loading import ms_of
from farwatch_incidents.partitions import present_days
from farwatch_incidents.uptime import Span, Uptime, measure
from farwatch_store import Connection, Database

MONITORS_A_STATEMENT = 300
LATEST_MS = 15 * 60_000
"""An hour is rolled up so long after its end at the latest, whatever watermarks say."""

_CLOCK = "select now_ms from health.shards where shard = '0'"
_WATERMARK = "select min(watermark_ms) from health.regions where state = 'live' and region <> 'push'"
_IDS = "select monitor_id from health.verdicts order by monitor_id"

# Hours whose results are gone are no longer asked for, or a hundred of them would stand in everybody's way.
_PENDING = """
    select at from health.rollup_progress where period = $1 and (dirty or rolled_at is null) and at >= $2
    order by at limit 100
"""
_ROLLED = "select at from health.rollup_progress where period = 'hour' and rolled_at is not null and at >= $1"
# Clean before it is computed: a late result that comes meanwhile makes it dirty again. And not rolled up until it is:
# whoever is killed in between leaves it to be done.
_CLEAN = """
    insert into health.rollup_progress (period, at, dirty) values ($1, $2, false)
    on conflict (period, at) do update set dirty = false, rolled_at = null
"""
_DONE = "update health.rollup_progress set rolled_at = now() where period = $1 and at = $2"
_MARK_DAY = """
    insert into health.rollup_progress (period, at, dirty) values ('day', $1, true)
    on conflict (period, at) do update set dirty = true
"""

_HAS_RESULTS = "select exists (select from health.check_results where slot >= $1 and slot < $2)"

_COLUMNS = """
    (at, monitor_id, region, up, degraded, down, unknown, latency_count, latency_sum_ms, latency_max_ms, histogram,
     phase_ms)
"""
_REPLACE = """
    on conflict (monitor_id, at, region) do update set up = excluded.up, degraded = excluded.degraded,
        down = excluded.down, unknown = excluded.unknown, latency_count = excluded.latency_count,
        latency_sum_ms = excluded.latency_sum_ms, latency_max_ms = excluded.latency_max_ms,
        histogram = excluded.histogram, phase_ms = excluded.phase_ms
"""

# Latency counts results that the target answered. The bucket numbers are farwatch_events.histogram's.
_ROLL_HOUR = f"""
    insert into health.rollup_hours {_COLUMNS}
    with buckets as (
        select monitor_id, region, b, sum(up) as up, sum(degraded) as degraded, sum(down) as down,
            sum(unknown) as unknown, count(b) as latency_count, sum(latency_ms) as latency_sum,
            max(latency_ms) as latency_max, sum(dns_ms) as dns, sum(connect_ms) as connect, sum(tls_ms) as tls,
            sum(wait_ms) as wait, sum(transfer_ms) as transfer
        from (
            select monitor_id, region, (outcome = 'up')::int as up, (outcome = 'degraded')::int as degraded,
                (outcome = 'down')::int as down, (outcome = 'unknown')::int as unknown, answered.latency_ms::float8,
                dns_ms, connect_ms, tls_ms, wait_ms, transfer_ms,
                width_bucket(answered.latency_ms::float8, $5::float8[]) as b
            from health.check_results r
            cross join lateral (
                select case when outcome in ('up', 'degraded') then r.latency_ms end as latency_ms
            ) answered
            where slot >= $1 and slot < $2 and monitor_id = any($3::bigint[])
        ) results
        group by monitor_id, region, b
    )
    select $4, monitor_id, region, sum(up), sum(degraded), sum(down), sum(unknown), sum(latency_count),
        coalesce(sum(latency_sum), 0), max(latency_max),
        coalesce(array_agg(array[b, latency_count::int] order by b) filter (where b is not null), '{{}}'),
        array[coalesce(sum(dns) filter (where b is not null), 0),
            coalesce(sum(connect) filter (where b is not null), 0),
            coalesce(sum(tls) filter (where b is not null), 0),
            coalesce(sum(wait) filter (where b is not null), 0),
            coalesce(sum(transfer) filter (where b is not null), 0)]
    from buckets group by monitor_id, region
    {_REPLACE}
"""  # noqa: S608

_ROLL_DAY = f"""
    insert into health.rollup_days {_COLUMNS}
    with hours as (
        select * from health.rollup_hours where at >= $1 and at < $2 and monitor_id = any($3::bigint[])
    ), counts as (
        select monitor_id, region, h.histogram[i][1] as b, sum(h.histogram[i][2])::int as n
        from hours h, generate_subscripts(h.histogram, 1) as i group by monitor_id, region, b
    ), histograms as (
        select monitor_id, region, array_agg(array[b, n] order by b) as histogram from counts
        group by monitor_id, region
    )
    select $4, monitor_id, region, sum(up), sum(degraded), sum(down), sum(unknown), sum(latency_count),
        sum(latency_sum_ms), max(latency_max_ms), coalesce(max(g.histogram), '{{}}'),
        array[sum(phase_ms[1]), sum(phase_ms[2]), sum(phase_ms[3]), sum(phase_ms[4]), sum(phase_ms[5])]
    from hours left join histograms g using (monitor_id, region)
    group by monitor_id, region
    {_REPLACE}
"""  # noqa: S608

_CHANGES = """
    select m.monitor_id, c.at, c.verdict from unnest($3::bigint[]) as m (monitor_id)
    cross join lateral (
        (select at, verdict from health.verdict_changes
         where monitor_id = m.monitor_id and at <= $1 order by at desc limit 1)
        union all
        (select at, verdict from health.verdict_changes where monitor_id = m.monitor_id and at > $1 and at < $2)
    ) c order by m.monitor_id, c.at
"""

_WINDOWS = """
    select m.id as monitor_id, greatest(w.starts_at, $1) as starts_at,
        least(w.ends_at, w.cancelled_at, $2) as ends_at
    from config.maintenance w join config.monitors m
        on w.all_monitors or m.id = any(w.monitor_ids) or m.tags && w.tags
    where w.starts_at < $2 and least(w.ends_at, w.cancelled_at) > $1 and m.id = any($3::bigint[])
"""

_DARK = "select starts_at, ends_at from health.dark_spans where starts_at < $2 and ends_at > $1"

_UPTIME_HOURS = """
    insert into health.uptime_hours
        (at, monitor_id, up_seconds, degraded_seconds, down_seconds, unknown_seconds, maintenance_seconds)
    select $1, * from unnest($2::bigint[], $3::real[], $4::real[], $5::real[], $6::real[], $7::real[])
    on conflict (monitor_id, at) do update set up_seconds = excluded.up_seconds,
        degraded_seconds = excluded.degraded_seconds, down_seconds = excluded.down_seconds,
        unknown_seconds = excluded.unknown_seconds, maintenance_seconds = excluded.maintenance_seconds
"""

_UPTIME_DAYS = """
    insert into health.uptime_days
        (at, monitor_id, up_seconds, degraded_seconds, down_seconds, unknown_seconds, maintenance_seconds)
    select $4, monitor_id, sum(up_seconds), sum(degraded_seconds), sum(down_seconds), sum(unknown_seconds),
        sum(maintenance_seconds)
    from health.uptime_hours where at >= $1 and at < $2 and monitor_id = any($3::bigint[]) group by monitor_id
    on conflict (monitor_id, at) do update set up_seconds = excluded.up_seconds,
        degraded_seconds = excluded.degraded_seconds, down_seconds = excluded.down_seconds,
        unknown_seconds = excluded.unknown_seconds, maintenance_seconds = excluded.maintenance_seconds
"""


def closed_until(now_ms: int, watermark_ms: int | None) -> int:
    """The end of the last hour that may be rolled up: every region's watermark is past it, or it is long over."""
    reached_ms = max(now_ms - LATEST_MS, min(watermark_ms, now_ms) if watermark_ms else 0)
    return reached_ms // HOUR_MS * HOUR_MS


async def roll_up(db: Database, progress: Callable[[], None] = lambda: None) -> int:
    """Rolls up every hour that closed or went dirty, and the days they lie in; returns how many hours that were.

    `progress` is called after each.
    """
    async with db.connection() as connection:
        now_ms = int(await connection.fetchval(_CLOCK) or 0)
        until_ms = closed_until(now_ms, await connection.fetchval(_WATERMARK))
        hours = await _hours_to_do(connection, until_ms)
        ids = [row["monitor_id"] for row in await connection.fetch(_IDS)]
    for hour_ms in hours:
        await _roll_hour(db, hour_ms, ids)
        progress()
    async with db.connection() as connection:
        days = [ms_of(row["at"]) for row in await connection.fetch(_PENDING, "day", moment(0))]
    for day_ms in days:
        await _roll_day(db, day_ms, ids)
        progress()
    return len(hours)


async def _hours_to_do(connection: Connection, until_ms: int) -> list[int]:
    """In the order of time: dirty ones, and those never done since the oldest result that is kept."""
    days = await present_days(connection)
    if not days:
        return []
    first_ms = min(days) * DAY_MS
    dirty = {ms_of(row["at"]) for row in await connection.fetch(_PENDING, "hour", moment(first_ms))}
    rolled = {ms_of(row["at"]) for row in await connection.fetch(_ROLLED, moment(first_ms))}
    never = set(range(first_ms, until_ms, HOUR_MS)) - rolled
    return sorted(hour for hour in dirty | never if first_ms <= hour < until_ms)


def portions(ids: list[int]) -> Iterable[list[int]]:
    """As many monitors as one statement takes on."""
    return (ids[start : start + MONITORS_A_STATEMENT] for start in range(0, len(ids), MONITORS_A_STATEMENT))


async def _roll_hour(db: Database, hour_ms: int, ids: list[int]) -> None:
    start, end = moment(hour_ms), moment(hour_ms + HOUR_MS)
    async with db.connection() as connection:
        await connection.execute(_CLEAN, "hour", start)
        has_results = await connection.fetchval(_HAS_RESULTS, start, end)
    for portion in portions(ids):
        async with db.connection() as connection:
            if has_results:
                await compute_hour(connection, hour_ms, portion)
            await _measure_hour(connection, hour_ms, portion)
    async with db.transaction() as connection:
        await connection.execute(_MARK_DAY, moment(hour_ms // DAY_MS * DAY_MS))
        await connection.execute(_DONE, "hour", start)


async def compute_hour(connection: Connection, hour_ms: int, ids: list[int]) -> None:
    """From the results that are kept; replaces the rows that are there."""
    start, end = moment(hour_ms), moment(hour_ms + HOUR_MS)
    await connection.execute(_ROLL_HOUR, start, end, ids, start, list(BOUNDS_MS))


async def _measure_hour(connection: Connection, hour_ms: int, ids: list[int]) -> None:
    start, end = moment(hour_ms), moment(hour_ms + HOUR_MS)
    changes: dict[int, list[tuple[int, str]]] = {}
    for row in await connection.fetch(_CHANGES, start, end, ids):
        changes.setdefault(row["monitor_id"], []).append((ms_of(row["at"]), row["verdict"]))
    windows: dict[int, list[Span]] = {}
    for row in await connection.fetch(_WINDOWS, start, end, list(changes)):
        windows.setdefault(row["monitor_id"], []).append((ms_of(row["starts_at"]), ms_of(row["ends_at"])))
    dark = [(ms_of(row["starts_at"]), ms_of(row["ends_at"])) for row in await connection.fetch(_DARK, start, end)]
    measured: dict[int, Uptime] = {
        monitor_id: measure(each, windows.get(monitor_id, ()), hour_ms, hour_ms + HOUR_MS, dark)
        for monitor_id, each in changes.items()
    }
    told = {monitor_id: uptime for monitor_id, uptime in measured.items() if not uptime.is_empty()}
    await connection.execute(
        _UPTIME_HOURS,
        start,
        list(told),
        [uptime.up for uptime in told.values()],
        [uptime.degraded for uptime in told.values()],
        [uptime.down for uptime in told.values()],
        [uptime.unknown for uptime in told.values()],
        [uptime.maintenance for uptime in told.values()],
    )


async def _roll_day(db: Database, day_ms: int, ids: list[int]) -> None:
    start, end = moment(day_ms), moment(day_ms + DAY_MS)
    async with db.connection() as connection:
        await connection.execute(_CLEAN, "day", start)
    for portion in portions(ids):
        async with db.connection() as connection:
            await connection.execute(_ROLL_DAY, start, end, portion, start)
            await connection.execute(_UPTIME_DAYS, start, end, portion, start)
    async with db.connection() as connection:
        await connection.execute(_DONE, "day", start)
