"""One sender a channel, however many notifiers run: advisory locks that end with the process, kill -9 included."""

import asyncio
from collections.abc import Callable
from typing import Any

import asyncpg
import structlog

from farwatch_notifier.writing import DELIVERIES_CHANNEL
from farwatch_store import Database, StoreUnavailable
from farwatch_store.log import CHANNEL as LOG_CHANNEL

_NAMESPACE = 0x46577
_LARGEST_KEY = 2**31 - 1
_CALL_SECONDS = 5.0
ASKED_EVERY_SECONDS = 4.0
QUIET_SECONDS = 15.0
"""A session that the server hears nothing from for so long is ended, and its locks with it."""

# The server must notice soon when the machine of a notifier is gone, or the line to it behind a proxy that still
# stands: until then its channels are held.
_KEEPALIVE = (
    "set tcp_keepalives_idle = 4; set tcp_keepalives_interval = 2; set tcp_keepalives_count = 3;"
    "set idle_session_timeout = {}"
)

log = structlog.get_logger("farwatch_notifier")


class ChannelLocks:
    """All locks of this process, on one connection that also hears of new events and deliveries.

    When the connection is lost, so are the locks: `holds` is asked before every send. `keep_alive` has to run beside.
    """

    def __init__(self, db: Database, on_event: Callable[[], None], on_delivery: Callable[[], None]) -> None:
        self._db = db
        self._on_event = on_event
        self._on_delivery = on_delivery
        self._connection: asyncpg.Connection[Any] | None = None
        self._held: set[int] = set()
        self._guard = asyncio.Lock()
        self._granting = True

    def holds(self, channel_id: int) -> bool:
        """Whether a message may be sent to the channel now."""
        return self._granting and channel_id in self._held

    def stop_granting(self) -> None:
        """From now on `holds` is false, so that nothing new is sent; locks stay until given or closed."""
        self._granting = False

    async def take(self, channel_id: int) -> bool:
        """False when another notifier holds it. Raises StoreUnavailable."""
        async with self._guard:
            await self._connect()
            taken = await self._ask("select pg_try_advisory_lock($1, $2)", *_lock_of(channel_id))
            if taken:
                self._held.add(channel_id)
            return taken

    async def give(self, channel_id: int) -> None:
        """Quiet when the lock was lost before."""
        async with self._guard:
            if channel_id in self._held:
                self._held.discard(channel_id)
                try:
                    await self._ask("select pg_advisory_unlock($1, $2)", *_lock_of(channel_id))
                except StoreUnavailable as error:
                    log.warning("lock_not_given_back", channel=channel_id, error=str(error))

    async def ensure_connected(self) -> None:
        """Raises StoreUnavailable. Without the connection nothing is heard of news."""
        async with self._guard:
            await self._connect()

    async def keep_alive(self) -> None:
        """Speaks, so that the server does not take us for gone and a dead line is found out. Until cancelled."""
        while True:
            await asyncio.sleep(ASKED_EVERY_SECONDS)
            async with self._guard:
                try:
                    await self._ask("select true")
                except StoreUnavailable as error:
                    log.warning("locks_lost", error=str(error))

    async def close(self) -> None:
        async with self._guard:
            await self._drop_connection()

    async def _connect(self) -> None:
        if self._connection is not None and not self._connection.is_closed():
            return
        connection = await self._db.connect_alone()
        try:
            await connection.execute(_KEEPALIVE.format(int(QUIET_SECONDS * 1000)))
            await connection.add_listener(LOG_CHANNEL, lambda *_: self._on_event())
            await connection.add_listener(DELIVERIES_CHANNEL, lambda *_: self._on_delivery())
        except (asyncpg.PostgresError, asyncpg.InterfaceError, OSError) as error:
            connection.terminate()
            raise StoreUnavailable(str(error)) from error
        connection.add_termination_listener(self._lost)
        self._connection = connection
        self._on_event()
        self._on_delivery()

    def _lost(self, connection: object) -> None:
        if connection is self._connection:
            self._held.clear()

    async def _ask(self, query: str, *arguments: int) -> bool:
        if self._connection is None:
            return False
        try:
            return bool(await self._connection.fetchval(query, *arguments, timeout=_CALL_SECONDS))
        except (asyncpg.PostgresError, asyncpg.InterfaceError, OSError) as error:
            await self._drop_connection()
            raise StoreUnavailable(f"{type(error).__name__}: {error}") from error

    async def _drop_connection(self) -> None:
        """Terminating gives back every lock, whatever state the session was in, as soon as the server hears of it."""
        connection, self._connection = self._connection, None
        self._held.clear()
        if connection is not None:
            connection.terminate()


def _lock_of(channel_id: int) -> tuple[int, int]:
    return _NAMESPACE, channel_id % _LARGEST_KEY
