"""Housekeeping beside the requests."""

import asyncio

import structlog

from farwatch_api.auth.sessions import sweep
from farwatch_api.commands.drills import end_expired
from farwatch_api.commands.maintenance import move_on
from farwatch_api.deps import Deps
from farwatch_store import Database, StoreError

log = structlog.get_logger("farwatch_api")

SWEEP_SECONDS = 600.0
DRILLS_SECONDS = 5.0
WINDOWS_SECONDS = 10.0


async def sweep_regularly(db: Database, stop: asyncio.Event) -> None:
    """Takes away sessions, links and throttle entries that have run out, now and every ten minutes."""
    while not stop.is_set():
        try:
            async with db.connection() as connection:
                await sweep(connection)
        except StoreError as error:
            log.info("sweep_postponed", error=str(error))
        try:
            async with asyncio.timeout(SWEEP_SECONDS):
                await stop.wait()
        except TimeoutError:
            continue


async def move_windows_on(deps: Deps, stop: asyncio.Event) -> None:
    """Gives weekly windows that are over their next occurrence."""
    while not stop.is_set():
        try:
            await move_on(deps)
        except StoreError as error:
            log.info("windows_postponed", error=str(error))
        try:
            async with asyncio.timeout(WINDOWS_SECONDS):
                await stop.wait()
        except TimeoutError:
            continue


async def end_drills(deps: Deps, stop: asyncio.Event) -> None:
    """Ends fire drills that nobody acknowledged in time."""
    while not stop.is_set():
        try:
            await end_expired(deps)
        except StoreError as error:
            log.info("drills_postponed", error=str(error))
        try:
            async with asyncio.timeout(DRILLS_SECONDS):
                await stop.wait()
        except TimeoutError:
            continue
