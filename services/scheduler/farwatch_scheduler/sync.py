"""Bringing the catalogue in line with PostgreSQL, reading only what changed."""

import asyncio
from collections.abc import Iterable

import structlog

from farwatch_scheduler.catalogue import Catalogue, Row, Unscheduled
from farwatch_scheduler.configuration import read_monitors, read_versions
from farwatch_store import Database

PAGE = 500

log = structlog.get_logger("farwatch_scheduler")


async def synchronise(db: Database, catalogue: Catalogue) -> int:
    """Returns how many monitors changed. A catalogue that is kept this way makes a takeover quick."""
    async with db.connection() as connection:
        outdated = catalogue.outdated(await read_versions(connection))
        for start in range(0, len(outdated), PAGE):
            page = outdated[start : start + PAGE]
            rows = await read_monitors(connection, page)
            for monitor_id in set(page) - {row.monitor_id for row in rows}:
                catalogue.remove(monitor_id)
            apply_rows(catalogue, rows)
            await asyncio.sleep(0)
    return len(outdated)


def apply_rows(catalogue: Catalogue, rows: Iterable[Row]) -> None:
    for row in rows:
        decision = catalogue.apply(row)
        if isinstance(decision, Unscheduled) and decision.wrong:
            log.error("monitor_not_scheduled", monitor_id=row.monitor_id, why=decision.why)
