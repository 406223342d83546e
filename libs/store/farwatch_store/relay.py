"""The relay: carries the log to the bus, every event at least once, in order unless one has to be sent again."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import structlog

from farwatch_events.events import RecordedEvent
from farwatch_store.database import Database
from farwatch_store.errors import StoreUnavailable
from farwatch_store.log import CHANNEL, read_log
from farwatch_store.positions import read_position, save_position
from farwatch_store.waiting import wait_any

RELAY_CONSUMER = "relay"
POLL_SECONDS = 1.0
BATCH = 500

Publish = Callable[[RecordedEvent], Awaitable[object]]

log = structlog.get_logger("farwatch_store")


class Relay:
    """Publishes unpublished events a batch at a time and stores how far it came after each.

    `publish` returns once the bus has the event; it is called for a whole batch at once, in order, and does not wait
    before it sends. The event's id has to be the message id: what was sent beyond an event that failed, or before the
    position was stored, is sent again. An error of it whose `permanent` is False is retried after a second, any other
    ends `run`. Only one relay may run at a time: the caller holds the lease.
    """

    def __init__(self, db: Database, publish: Publish) -> None:
        self._db = db
        self._publish = publish
        self._wake = asyncio.Event()
        self._published: int | None = None

    async def run(self, stop: asyncio.Event) -> None:
        """Until `stop`; woken by NOTIFY and once a second."""
        listening = asyncio.create_task(self._listen())
        try:
            while not stop.is_set():
                self._wake.clear()
                await self._drain(stop)
                await wait_any(POLL_SECONDS, stop, self._wake)
        finally:
            listening.cancel()
            await asyncio.gather(listening, return_exceptions=True)

    async def _drain(self, stop: asyncio.Event) -> None:
        try:
            while not stop.is_set() and await self.step():
                pass
        except Exception as error:
            if getattr(error, "permanent", True):
                raise
            log.warning("relay_waits", error=str(error), published=self._published)

    async def step(self) -> int:
        """Publishes one batch; returns how many events that were, 0 at the end of the log."""
        async with self._db.connection() as connection:
            if self._published is None:
                self._published = await read_position(connection, RELAY_CONSUMER)
            events = await read_log(connection, self._published, BATCH)
        if not events:
            return 0
        sending = [asyncio.ensure_future(self._publish(event)) for event in events]
        try:
            for event, sent in zip(events, sending, strict=True):
                await sent
                # Kept in memory too, so that a database that goes away now does not make us publish it twice.
                self._published = event.position
        finally:
            for sent in sending:
                sent.cancel()
            await asyncio.gather(*sending, return_exceptions=True)
            await self._save()
        return len(events)

    async def _save(self) -> None:
        async with self._db.connection() as connection:
            await save_position(connection, RELAY_CONSUMER, self._published or 0)

    async def _listen(self) -> None:
        while True:
            try:
                await self._listen_once()
            except StoreUnavailable as error:
                log.info("relay_not_listening", error=str(error))
            await asyncio.sleep(POLL_SECONDS)

    async def _listen_once(self) -> None:
        connection = await self._db.connect_alone()
        closed = asyncio.Event()
        connection.add_termination_listener(lambda _: closed.set())
        try:
            await connection.add_listener(CHANNEL, self._on_notify)
            self._wake.set()
            await closed.wait()
        finally:
            await connection.close(timeout=1)

    def _on_notify(self, *_: Any) -> None:
        self._wake.set()
