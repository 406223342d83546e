"""Bringing the catalogue in line with PostgreSQL, reading only what changed."""

import asyncio
from collections.abc import Callable, Iterable, Sequence

import structlog

from farwatch_scheduler.catalogue import Catalogue, Unscheduled
from farwatch_scheduler.configuration import read_ids, read_monitors, read_versions
from farwatch_scheduler.monitors import Row
from farwatch_store import Connection, Database

VERSIONS = 10_000
PAGE = 500
"""Rows that are taken in at once: some 5 ms, in which nothing else runs."""

log = structlog.get_logger("farwatch_scheduler")


async def synchronise(db: Database, catalogue: Catalogue, progress: Callable[[], None] = lambda: None) -> int:
    """Returns how many monitors changed. A catalogue that is kept this way makes a takeover quick.

    `progress` is called with every page: a million monitors take longer than a process may seem to hang.
    """
    changed = seen = after_id = 0
    async with db.connection() as connection:
        while versions := await read_versions(connection, after_id, VERSIONS):
            after_id = versions[-1][0]
            outdated = catalogue.outdated(versions)
            await _read_again(connection, catalogue, outdated, progress)
            changed += len(outdated)
            seen += sum(catalogue.get(monitor_id) is not None for monitor_id, _ in versions)
        if seen < len(catalogue):
            gone = catalogue.others(await read_ids(connection))
            await _read_again(connection, catalogue, gone, progress)
            changed += len(gone)
    return changed


async def _read_again(
    connection: Connection, catalogue: Catalogue, monitor_ids: Sequence[int], progress: Callable[[], None]
) -> None:
    """While one page is taken in, PostgreSQL is at the next."""
    pages = [monitor_ids[start : start + PAGE] for start in range(0, len(monitor_ids), PAGE)]
    reading = [asyncio.ensure_future(read_monitors(connection, pages[0]))] if pages else []
    try:
        for number, page in enumerate(pages):
            rows = await reading.pop()
            progress()
            if number + 1 < len(pages):
                reading.append(asyncio.ensure_future(read_monitors(connection, pages[number + 1])))
            await asyncio.sleep(0)  # sends the next question
            for monitor_id in set(page) - {row.monitor_id for row in rows}:
                catalogue.remove(monitor_id)
            apply_rows(catalogue, rows)
    finally:
        for task in reading:
            task.cancel()
        await asyncio.gather(*reading, return_exceptions=True)


def apply_rows(catalogue: Catalogue, rows: Iterable[Row]) -> None:
    for row in rows:
        decision = catalogue.apply(row)
        if isinstance(decision, Unscheduled) and decision.wrong:
            log.error("monitor_not_scheduled", monitor_id=row.monitor_id, why=decision.why)
