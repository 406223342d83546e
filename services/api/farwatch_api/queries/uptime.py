"""Uptime from the rollups, and the part that is not rolled up yet from the changes of verdict."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from farwatch_api.queries.states import Interval, windows_since
from farwatch_api.queries.time_in_states import Change, Seconds, Stretch, between
from farwatch_api.rows import Row
from farwatch_store import Connection

PERIODS: dict[str, timedelta] = {
    "24h": timedelta(hours=24),
    "7d": timedelta(days=7),
    "30d": timedelta(days=30),
    "90d": timedelta(days=90),
    "365d": timedelta(days=365),
}
_BY_HOURS = ("24h", "7d")

_SUMS = """
    sum(up_seconds)::float8 as up, sum(degraded_seconds)::float8 as degraded, sum(down_seconds)::float8 as down,
    sum(unknown_seconds)::float8 as unknown, sum(maintenance_seconds)::float8 as maintenance
"""

_HOURS = f"""
    select monitor_id, max(at) as last_at, {_SUMS} from health.uptime_hours
    where monitor_id = any($1::bigint[]) and at >= $2 group by monitor_id
"""  # noqa: S608

# The running day is rolled up hour by hour, so its row is never the whole of it.
_DAYS = f"""
    select monitor_id, max(at) as last_at, {_SUMS} from health.uptime_days
    where monitor_id = any($1::bigint[]) and at >= $2 and at < $3 group by monitor_id
"""  # noqa: S608

# The verdict in force at $2 is the last change before it, whenever that was.
CHANGES = """
    select monitor_id, at, verdict from health.verdict_changes where monitor_id = any($1::bigint[]) and at >= $2
    union all
    select wanted.id, before.at, before.verdict
    from unnest($1::bigint[]) as wanted(id) cross join lateral (
        select c.at, c.verdict from health.verdict_changes c
        where c.monitor_id = wanted.id and c.at < $2 order by c.at desc limit 1
    ) as before
    order by 1, 2
"""

_SERIES = """
    select at, up_seconds as up, degraded_seconds as degraded, down_seconds as down, unknown_seconds as unknown,
        maintenance_seconds as maintenance
    from {table} where monitor_id = $1 and at >= $2 and at < $3 order by at
"""


_DARK = "select starts_at, ends_at from health.dark_spans where ends_at > $1 order by starts_at"


def seconds_of(row: Row) -> Seconds:
    return Seconds(row["up"], row["degraded"], row["down"], row["unknown"], row["maintenance"])


def floor_hour(moment: datetime) -> datetime:
    return moment.replace(minute=0, second=0, microsecond=0)


def floor_day(moment: datetime) -> datetime:
    return moment.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)


async def uptime_day(connection: Connection, monitors: Sequence[Row], now: datetime) -> dict[int, Seconds]:
    """The last 24 whole hours and the running one, for many monitors in three statements."""
    found = await _since(connection, monitors, floor_hour(now - PERIODS["24h"]), now)
    return {monitor_id: seconds for monitor_id, (seconds, _) in found.items()}


async def uptime_periods(connection: Connection, monitor: Row, now: datetime) -> dict[str, dict[str, Any]]:
    """Every period of one monitor, with its coverage."""
    answer = {}
    for name, length in PERIODS.items():
        wanted = now - length
        start = floor_hour(wanted) if name in _BY_HOURS else floor_day(wanted)
        seconds, begins = await _one_period(connection, monitor, start, now, by_days=name not in _BY_HOURS)
        answer[name] = describe(seconds, begins, now)
    return answer


def describe(seconds: Seconds, begins: datetime, now: datetime) -> dict[str, Any]:
    percent = seconds.uptime_percent()
    return {
        "uptime_percent": None if percent is None else round(percent, 4),
        "coverage": round(seconds.coverage((now - begins).total_seconds()), 4),
        "up_seconds": round(seconds.up),
        "degraded_seconds": round(seconds.degraded),
        "down_seconds": round(seconds.down),
        "unknown_seconds": round(seconds.unknown),
        "maintenance_seconds": round(seconds.maintenance),
    }


async def _one_period(
    connection: Connection, monitor: Row, start: datetime, now: datetime, *, by_days: bool
) -> tuple[Seconds, datetime]:
    begins = max(start, monitor["created_at"])
    if not by_days:
        return (await _since(connection, [monitor], start, now))[monitor["id"]][0], begins
    rows = await connection.fetch(_DAYS, [monitor["id"]], start, floor_day(now))
    if not rows:
        return (await _since(connection, [monitor], start, now))[monitor["id"]][0], begins
    rest = (await _since(connection, [monitor], rows[0]["last_at"] + timedelta(days=1), now))[monitor["id"]][0]
    return seconds_of(rows[0]) + rest, begins


async def _since(
    connection: Connection, monitors: Sequence[Row], start: datetime, now: datetime
) -> dict[int, tuple[Seconds, datetime]]:
    """Rolled-up hours from `start`, and from the last of them to now the changes of verdict."""
    ids = [monitor["id"] for monitor in monitors]
    hours = {row["monitor_id"]: row for row in await connection.fetch(_HOURS, ids, start)}
    rolled_to = {monitor_id: row["last_at"] + timedelta(hours=1) for monitor_id, row in hours.items()}
    earliest = min((rolled_to.get(monitor_id, start) for monitor_id in ids), default=start)
    changes = group_changes(await connection.fetch(CHANGES, ids, earliest))
    windows = await windows_since(connection, earliest)
    dark = await dark_since(connection, earliest)
    answer = {}
    for monitor in monitors:
        tail_start = rolled_to.get(monitor["id"], start)
        tail = between(
            changes.get(monitor["id"], []), tail_start, now, touching(windows, monitor["id"], monitor["tags"]), dark
        )
        row = hours.get(monitor["id"])
        answer[monitor["id"]] = ((seconds_of(row) + tail) if row else tail, tail_start)
    return answer


async def dark_since(connection: Connection, since: datetime) -> list[Stretch]:
    """When nobody looked at all."""
    return [(row["starts_at"], row["ends_at"]) for row in await connection.fetch(_DARK, since)]


def group_changes(rows: Iterable[Row]) -> dict[int, list[Change]]:
    grouped: dict[int, list[Change]] = {}
    for row in rows:
        grouped.setdefault(row["monitor_id"], []).append((row["at"], row["verdict"]))
    return grouped


def touching(windows: Sequence[Interval], monitor_id: int, tags: list[str]) -> list[tuple[datetime, datetime]]:
    return [(w.starts_at, w.ends_at) for w in windows if w.covers(monitor_id, tags)]


async def uptime_series(connection: Connection, monitor: Row, days: int, now: datetime) -> list[Mapping[str, Any]]:
    """One entry a day (an hour for a single day): what bars are drawn from. The running one is computed."""
    hourly = days <= 2
    table, step = ("health.uptime_hours", timedelta(hours=1)) if hourly else ("health.uptime_days", timedelta(days=1))
    start = floor_hour(now - timedelta(days=days)) if hourly else floor_day(now - timedelta(days=days - 1))
    rows = await connection.fetch(_SERIES.format(table=table), monitor["id"], start, _floor(now, hourly=hourly))
    series = [(row["at"], seconds_of(row)) for row in rows]
    running = series[-1][0] + step if series else max(start, _floor(monitor["created_at"], hourly=hourly))
    changes = group_changes(await connection.fetch(CHANGES, [monitor["id"]], running)).get(monitor["id"], [])
    windows = touching(await windows_since(connection, running), monitor["id"], monitor["tags"])
    dark = await dark_since(connection, running)
    while running <= now:
        series.append((running, between(changes, running, min(running + step, now), windows, dark)))
        running += step
    return [{"at": at, "seconds": seconds, "span_seconds": span(at, step, monitor, now)} for at, seconds in series]


def _floor(moment: datetime, *, hourly: bool) -> datetime:
    return floor_hour(moment) if hourly else floor_day(moment)


def span(at: datetime, step: timedelta, monitor: Row, now: datetime) -> float:
    """Seconds of this entry in which the monitor existed and that have passed."""
    created: datetime = monitor["created_at"]
    return max(0.0, (min(at + step, now) - max(at, created)).total_seconds())
