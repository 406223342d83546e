"""What is older than its time is removed, in small steps that hold nobody up."""

from collections.abc import Callable
from dataclasses import dataclass

import asyncpg
import structlog

from farwatch_incidents.history import DAY_MS, moment
from farwatch_incidents.partitions import day_of, drop_day, stored_days
from farwatch_incidents.rollups import portions
from farwatch_store import Database

PROBER_DAYS = 7
"""A prober that was not heard of for so long is forgotten: each start has a name of its own."""

# By monitor, along the primary key: an index on the time alone would cost more than it saves.
_DELETE = "delete from health.{table} where monitor_id = any($1::bigint[]) and at < $2"

# The last change before the limit stays: it is the verdict that was in force when the kept time began.
_DELETE_CHANGES = """
    delete from health.verdict_changes c using (
        select m.id, (select max(at) from health.verdict_changes v where v.monitor_id = m.id and v.at < $2) as last
        from unnest($1::bigint[]) as m (id)
    ) kept where c.monitor_id = kept.id and c.at < kept.last
"""

_DELETE_PROGRESS = "delete from health.rollup_progress where at < $1"
_DELETE_DARK = "delete from health.dark_spans where ends_at < $1"
_DELETE_PROBERS = "delete from health.probers where last_seen_at < $1"

# Deleted monitors too: their history grows old like any other.
_EVERY_ID = "select id from config.monitors order by id"

log = structlog.get_logger("farwatch_incidents")


@dataclass(frozen=True, slots=True)
class Keep:
    raw_days: int = 7
    hourly_days: int = 90
    daily_days: int = 400


async def retain(db: Database, keep: Keep, now_ms: int, progress: Callable[[], None] = lambda: None) -> int:
    """Removes what is too old, whole days of it; returns how many partitions of raw results were dropped."""
    today = day_of(now_ms)
    dropped = await drop_old_days(db, today - keep.raw_days)
    hourly, daily = moment((today - keep.hourly_days) * DAY_MS), moment((today - keep.daily_days) * DAY_MS)
    async with db.connection() as connection:
        await connection.execute(_DELETE_PROGRESS, hourly)
        await connection.execute(_DELETE_DARK, daily)
        await connection.execute(_DELETE_PROBERS, moment(now_ms - PROBER_DAYS * DAY_MS))
        ids = [row["id"] for row in await connection.fetch(_EVERY_ID)]
    statements = (
        (_DELETE.format(table="rollup_hours"), hourly),
        (_DELETE.format(table="uptime_hours"), hourly),
        (_DELETE.format(table="rollup_days"), daily),
        (_DELETE.format(table="uptime_days"), daily),
        (_DELETE_CHANGES, daily),
    )
    for portion in portions(ids):
        for statement, before in statements:
            async with db.connection() as connection:
                await connection.execute(statement, portion, before)
        progress()
    return dropped


async def drop_old_days(db: Database, first_kept_day: int) -> int:
    """Drops the partitions of days before; returns how many. What a long reader holds is left for the next time."""
    async with db.connection() as connection:
        old = {day: standing for day, standing in (await stored_days(connection)).items() if day < first_kept_day}
        for day, standing in sorted(old.items()):
            try:
                await drop_day(connection, day, standing)
            except (asyncpg.LockNotAvailableError, asyncpg.QueryCanceledError):
                log.info("partition_in_use", day=day)
                return 0
    return len(old)
