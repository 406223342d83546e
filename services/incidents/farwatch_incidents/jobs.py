"""What is done beside the fold: partitions ahead, rollups, retention. Each on connections of its own."""

import asyncio
import time
from collections.abc import Callable

import asyncpg
import structlog

from farwatch_incidents.partitions import day_of, ensure_days
from farwatch_incidents.retention import Keep, drop_old_days, retain
from farwatch_incidents.rollups import roll_up
from farwatch_runtime.clock import now_ms
from farwatch_store import Database, StoreUnavailable
from farwatch_store.waiting import wait_any

ROUND_SECONDS = 30.0
DROP_SECONDS = 600.0
"""A partition that somebody was reading is tried again after so long; the rest is done once a day."""

log = structlog.get_logger("farwatch_incidents")


async def make_partitions(db: Database) -> None:
    """Today's and tomorrow's."""
    today = day_of(now_ms())
    async with db.connection() as connection:
        await ensure_days(connection, (today, today + 1))


async def run_jobs(db: Database, keep: Keep, stop: asyncio.Event, progress: Callable[[], None]) -> None:
    """Until `stop`. A database that is away is waited for; what was begun is begun again."""
    jobs = Jobs(db, keep, progress)
    while not stop.is_set():
        try:
            await jobs.round()
            progress()
        except StoreUnavailable as error:
            log.warning("jobs_wait", error=str(error))
        except asyncpg.PostgresError:
            log.exception("jobs_failed")  # the next round may fare better; /healthz tells when none does
        await wait_any(ROUND_SECONDS, stop)


class Jobs:
    def __init__(self, db: Database, keep: Keep, progress: Callable[[], None]) -> None:
        self._db = db
        self._keep = keep
        self._progress = progress
        self._retained_day = -1
        self._tried = float("-inf")

    async def round(self) -> None:
        await make_partitions(self._db)
        hours = await roll_up(self._db, self._progress)
        if hours:
            log.info("rolled_up", hours=hours)
        today = day_of(now_ms())
        if today != self._retained_day:
            await retain(self._db, self._keep, now_ms(), self._progress)
            self._retained_day = today
        elif time.monotonic() - self._tried > DROP_SECONDS:
            await drop_old_days(self._db, today - self._keep.raw_days)
            self._tried = time.monotonic()
