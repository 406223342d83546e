"""What is done beside the fold: partitions ahead, rollups, retention. Each on connections of its own."""

import asyncio
import time
from collections.abc import Callable

import structlog

from farwatch_incidents.partitions import day_of, ensure_days
from farwatch_incidents.retention import Keep, retain
from farwatch_incidents.rollups import roll_up
from farwatch_runtime.clock import now_ms
from farwatch_store import Database, StoreUnavailable

ROUND_SECONDS = 30.0
RETAIN_SECONDS = 600.0

log = structlog.get_logger("farwatch_incidents")


async def make_partitions(db: Database) -> None:
    """Today's and tomorrow's."""
    today = day_of(now_ms())
    async with db.connection() as connection:
        await ensure_days(connection, (today, today + 1))


async def run_jobs(db: Database, keep: Keep, stop: asyncio.Event, progress: Callable[[], None]) -> None:
    """Until `stop`. A database that is away is waited for; what was begun is begun again."""
    retained = float("-inf")
    while not stop.is_set():
        try:
            await make_partitions(db)
            hours = await roll_up(db)
            if hours:
                log.info("rolled_up", hours=hours)
            if time.monotonic() - retained > RETAIN_SECONDS:
                dropped = await retain(db, keep, now_ms())
                retained = time.monotonic()
                log.debug("retained", partitions_dropped=dropped)
            progress()
        except StoreUnavailable as error:
            log.warning("jobs_wait", error=str(error))
        await wait_for_stop(stop, ROUND_SECONDS)


async def wait_for_stop(stop: asyncio.Event, seconds: float) -> None:
    try:
        await asyncio.wait_for(stop.wait(), seconds)
    except TimeoutError:
        return
