"""Uptime of many monitors by day: what bars are drawn from."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from functools import lru_cache

from farwatch_api.queries.states import Interval, windows_since
from farwatch_api.queries.time_in_states import Change, Seconds, Stretch, between
from farwatch_api.queries.uptime import CHANGES, dark_since, floor_day, group_changes, span, touching
from farwatch_api.rows import Row
from farwatch_store import Connection

DayFigures = tuple[float | None, float, int]
"""Percent up, share of the day that somebody looked, seconds down."""

_MONITORS = "select id, tags, created_at from config.monitors where id = any($1::bigint[]) and deleted_at is null"

# A row a monitor: thousands of narrow ones would take the driver longer than the database. Days are numbers, which
# are read ten times as fast as moments.
_ROLLED = """
    select monitor_id, array_agg(at::date - $2::timestamptz::date) as days, array_agg(up_seconds) as up,
        array_agg(degraded_seconds) as degraded, array_agg(down_seconds) as down,
        array_agg(unknown_seconds) as unknown, array_agg(maintenance_seconds) as maintenance
    from health.uptime_days
    where monitor_id = any($1::bigint[]) and at >= $2 and at < $3 group by monitor_id
"""

_DAY = timedelta(days=1)
_DAY_SECONDS = 86400.0
_NOTHING: DayFigures = (None, 0.0, 0)


@lru_cache(maxsize=4096)
def figures(
    up: float, degraded: float, down: float, unknown: float, maintenance: float, length_seconds: float
) -> DayFigures:
    """Of a day that was so long for its monitor. Most days are like others, so they are worked out once."""
    seconds = Seconds(up, degraded, down, unknown, maintenance)
    percent = seconds.uptime_percent()
    coverage = round(seconds.coverage(length_seconds), 4)
    return (percent if percent is None or percent == 100.0 else round(percent, 4)), coverage, round(down)


async def uptime_bars(
    connection: Connection, monitor_ids: Sequence[int], days: int, now: datetime
) -> tuple[list[datetime], dict[int, list[DayFigures]]]:
    """The days, oldest first, and for each monitor that exists its figures of each of them: what lies before it was
    made and after now left out. What is not rolled up yet is computed from the changes of verdict."""
    first = floor_day(now) - timedelta(days=days - 1)
    dates = [first + number * _DAY for number in range(days)]
    monitors = {row["id"]: row for row in await connection.fetch(_MONITORS, list(monitor_ids))}
    rolled = {row["monitor_id"]: row for row in await connection.fetch(_ROLLED, list(monitors), first, dates[-1])}
    open_from = {monitor_id: _open_from(rolled.get(monitor_id), row, dates) for monitor_id, row in monitors.items()}
    earliest = dates[min(open_from.values(), default=days - 1)]
    changes = group_changes(await connection.fetch(CHANGES, list(monitors), earliest))
    windows, dark = await windows_since(connection, earliest), await dark_since(connection, earliest)
    bars = {}
    for monitor_id, monitor in monitors.items():
        bar = _rolled(rolled.get(monitor_id), monitor, dates, now)
        since = open_from[monitor_id]
        bar[since:] = _open(changes.get(monitor_id, []), monitor, dates[since:], windows, dark, now)
        bars[monitor_id] = bar
    return dates, bars


def _open_from(rolled: Row | None, monitor: Row, dates: Sequence[datetime]) -> int:
    """The number of the first day to compute from changes: after the last that is rolled up, else the monitor's."""
    if rolled is not None:
        return int(max(rolled["days"])) + 1
    return max(0, (floor_day(monitor["created_at"]) - dates[0]).days)


def _rolled(rolled: Row | None, monitor: Row, dates: Sequence[datetime], now: datetime) -> list[DayFigures]:
    """Nothing for days without a row. The day on which a monitor was made, and what came before, were shorter."""
    bar = [_NOTHING] * len(dates)
    if rolled is None:
        return bar
    columns = [rolled[name] for name in ("up", "degraded", "down", "unknown", "maintenance")]
    made = (floor_day(monitor["created_at"]) - dates[0]).days
    for number, day in zip(rolled["days"], zip(*columns, strict=True), strict=True):
        length = _DAY_SECONDS if number > made else span(dates[number], _DAY, monitor, now)
        bar[number] = figures(*day, length)
    return bar


def _open(
    changes: Sequence[Change],
    monitor: Row,
    dates: Sequence[datetime],
    windows: Sequence[Interval],
    dark: Sequence[Stretch],
    now: datetime,
) -> list[DayFigures]:
    planned = touching(windows, monitor["id"], monitor["tags"])
    bar = []
    for at in dates:
        seconds = between(changes, at, min(at + _DAY, now), planned, dark)
        length = span(at, _DAY, monitor, now)
        bar.append(figures(seconds.up, seconds.degraded, seconds.down, seconds.unknown, seconds.maintenance, length))
    return bar
