"""What is older than its time is removed, in small steps."""

from dataclasses import dataclass

import asyncpg
import structlog

from farwatch_incidents.history import DAY_MS, moment
from farwatch_incidents.partitions import day_of, drop_day, present_days
from farwatch_store import Database

ROWS_A_STATEMENT = 5_000

_DELETE = """
    delete from {table} where ctid = any(array(select ctid from {table} where at < $1 limit {rows}))
"""

# The last change before the limit stays: it is the verdict that was in force when the kept time began.
_DELETE_CHANGES = """
    delete from health.verdict_changes where ctid = any(array(
        select c.ctid from health.verdict_changes c where c.at < $1 and exists (
            select from health.verdict_changes later
            where later.monitor_id = c.monitor_id and later.at > c.at and later.at < $1)
        limit 5000))
"""

log = structlog.get_logger("farwatch_incidents")


@dataclass(frozen=True, slots=True)
class Keep:
    raw_days: int = 7
    hourly_days: int = 90
    daily_days: int = 400


async def retain(db: Database, keep: Keep, now_ms: int) -> int:
    """Removes what is too old; returns how many partitions of raw results were dropped."""
    dropped = await _drop_partitions(db, day_of(now_ms) - keep.raw_days)
    hourly, daily = moment(now_ms - keep.hourly_days * DAY_MS), moment(now_ms - keep.daily_days * DAY_MS)
    for table, before in (
        ("health.rollup_hours", hourly),
        ("health.uptime_hours", hourly),
        ("health.rollup_progress", hourly),
        ("health.rollup_days", daily),
        ("health.uptime_days", daily),
    ):
        await _delete_in_steps(db, _DELETE.format(table=table, rows=ROWS_A_STATEMENT), before)
    await _delete_in_steps(db, _DELETE_CHANGES, daily)
    return dropped


async def _drop_partitions(db: Database, first_kept_day: int) -> int:
    async with db.connection() as connection:
        old = sorted(day for day in await present_days(connection) if day < first_kept_day)
        for day in old:
            try:
                await drop_day(connection, day)
            except asyncpg.LockNotAvailableError:
                log.info("partition_in_use", day=day)
                return 0
    return len(old)


async def _delete_in_steps(db: Database, statement: str, before: object) -> None:
    while True:
        async with db.connection() as connection:
            answer = await connection.execute(statement, before)
        if int(answer.rpartition(" ")[2]) < ROWS_A_STATEMENT:
            return
