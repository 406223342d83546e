"""Following the log: the bus only wakes, the log is the data."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence

import structlog

from farwatch_events.events import RecordedEvent
from farwatch_store.connection import Connection
from farwatch_store.database import Database
from farwatch_store.errors import StoreUnavailable
from farwatch_store.log import read_log
from farwatch_store.positions import lock_position, save_position
from farwatch_store.waiting import wait_any

Apply = Callable[[Connection, Sequence[RecordedEvent]], Awaitable[None]]

POLL_SECONDS = 1.0
BATCH = 500

log = structlog.get_logger("farwatch_store")


class Follower:
    """Hands every event after the consumer's stored position to `apply`, in order.

    `apply(connection, events)` runs inside the transaction that saves the position: what it writes there happens
    exactly once. What it does elsewhere may happen again, after a rollback. An error of `apply` ends `run`,
    except StoreUnavailable, which is waited out.
    """

    def __init__(self, db: Database, consumer: str, apply: Apply, nudge: asyncio.Event) -> None:
        self._db = db
        self._consumer = consumer
        self._apply = apply
        self._nudge = nudge

    async def run(self, stop: asyncio.Event) -> None:
        """Reads whenever nudged and once a second, until `stop`."""
        while not stop.is_set():
            self._nudge.clear()
            try:
                while await self.step() and not stop.is_set():
                    pass
            except StoreUnavailable as error:
                log.warning("log_unreadable", consumer=self._consumer, error=str(error))
            await wait_any(POLL_SECONDS, stop, self._nudge)

    async def step(self) -> int:
        """Applies one batch in one transaction; returns how many events that were, 0 at the end of the log."""
        async with self._db.transaction() as connection:
            position = await lock_position(connection, self._consumer)
            events = await read_log(connection, position, BATCH)
            if events:
                await self._apply(connection, events)
                await save_position(connection, self._consumer, events[-1].position)
        return len(events)
