"""The pool: one role, one codec and bounded waits for every connection."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Any, Self

import asyncpg
import structlog

from farwatch_store import jsonb
from farwatch_store.connection import Connection
from farwatch_store.errors import StoreUnavailable, is_transient, translated
from farwatch_store.revision import CURRENT_REVISION, await_revision

CONNECT_SECONDS = 5.0
ACQUIRE_SECONDS = 15.0
STATEMENT_SECONDS = 30.0
ROLLBACK_SECONDS = 5.0
_RETRY_SECONDS = 0.2

_ROLE_STANDING = """
    select rolname is not null as known, coalesce(pg_has_role(current_user, oid, 'SET'), false) as allowed
    from (select 1) as one left join pg_roles on rolname = $1
"""

log = structlog.get_logger("farwatch_store")


class Database:
    """A pool of connections to one PostgreSQL, surviving its restarts. Made by `connect`."""

    pool: "asyncpg.Pool[Any]"

    def __init__(self, url: str, role: str | None, name: str, idle_seconds: float = STATEMENT_SECONDS) -> None:
        self._url = url
        self._idle_seconds = idle_seconds
        self._role = role
        self._name = name
        self._warned = False

    @classmethod
    async def connect(
        cls,
        url: str,
        role: str | None = None,
        min_size: int = 1,
        max_size: int = 8,
        *,
        name: str = "farwatch",
        wait_seconds: float = 60.0,
        revision: str | None = CURRENT_REVISION,
        idle_seconds: float = STATEMENT_SECONDS,
    ) -> Self:
        """Waits up to `wait_seconds` for the server and, unless None, for `revision`.

        Raises StoreUnavailable or RevisionMissing when that time is over. `role` is taken by SET ROLE on each
        connection; when it is missing or not ours to take, one warning is logged and the login role stays.
        A transaction in which we say nothing for `idle_seconds` is ended by the server: a process that froze in the
        middle of one keeps its successor waiting for so long.
        """
        database = cls(url, role, name, idle_seconds)
        deadline = time.monotonic() + wait_seconds
        with translated():
            connection = await database._wait_for_server(deadline)
        try:
            if revision is not None:
                await await_revision(connection, revision, max(1.0, deadline - time.monotonic()))
        finally:
            await connection.close(timeout=CONNECT_SECONDS)
        with translated():
            database.pool = await asyncpg.create_pool(
                min_size=min_size, max_size=max_size, init=database._prepare, **database._options()
            )
        return database

    def _options(self) -> dict[str, Any]:
        milliseconds = str(int(STATEMENT_SECONDS * 1000))
        return {
            "dsn": self._url,
            "timeout": CONNECT_SECONDS,
            "command_timeout": STATEMENT_SECONDS + 5,
            "server_settings": {
                "application_name": self._name,
                "timezone": "UTC",
                "statement_timeout": milliseconds,
                "idle_in_transaction_session_timeout": str(int(self._idle_seconds * 1000)),
                "jit": "off",
            },
        }

    async def _wait_for_server(self, deadline: float) -> "asyncpg.Connection[Any]":
        while True:
            try:
                connection: asyncpg.Connection[Any] = await asyncpg.connect(**self._options())
                return connection
            except Exception as error:
                if not is_transient(error) or time.monotonic() >= deadline:
                    raise
            await asyncio.sleep(_RETRY_SECONDS)

    async def _prepare(self, connection: Connection) -> None:
        await jsonb.set_codec(connection)
        if self._role is None:
            return
        standing = await connection.fetchrow(_ROLE_STANDING, self._role)
        if standing is not None and standing["allowed"]:
            quoted = self._role.replace('"', '""')
            await connection.execute(f'set role "{quoted}"')
        elif not self._warned:
            self._warned = True
            log.warning("role_not_taken", role=self._role, exists=bool(standing and standing["known"]))

    async def connect_alone(self) -> "asyncpg.Connection[Any]":
        """A connection outside the pool, for LISTEN; the caller closes it. Raises StoreUnavailable."""
        with translated():
            connection: asyncpg.Connection[Any] = await asyncpg.connect(**self._options())
            await self._prepare(connection)
            return connection

    @asynccontextmanager
    async def connection(self, acquire_seconds: float = ACQUIRE_SECONDS) -> AsyncIterator[Connection]:
        """A pooled connection without a transaction; waits for a restarting server at most `acquire_seconds`.

        Raises StoreUnavailable when the database is to blame; errors of statements pass unchanged.
        """
        with translated():
            connection = await self._acquire(acquire_seconds)
            try:
                yield connection
            finally:
                await self.pool.release(connection, timeout=CONNECT_SECONDS)

    @asynccontextmanager
    async def transaction(self, acquire_seconds: float = ACQUIRE_SECONDS) -> AsyncIterator[Connection]:
        """As `connection`, inside one transaction: committed at the end, rolled back when anything is raised."""
        async with self.connection(acquire_seconds) as connection, transaction_on(connection):
            yield connection

    async def _acquire(self, acquire_seconds: float) -> "asyncpg.pool.PoolConnectionProxy[Any]":
        deadline = time.monotonic() + acquire_seconds
        while True:
            left = deadline - time.monotonic()
            try:
                return await self.pool.acquire(timeout=max(0.1, left))
            except Exception as error:
                if not is_transient(error) or left <= _RETRY_SECONDS:
                    raise
            await asyncio.sleep(_RETRY_SECONDS)

    async def close(self, wait_seconds: float = 5.0) -> None:
        """Waits for borrowed connections at most `wait_seconds`, then cuts them."""
        try:
            await asyncio.wait_for(self.pool.close(), wait_seconds)
        except (TimeoutError, StoreUnavailable, OSError, asyncpg.PostgresError, asyncpg.InterfaceError):
            self.pool.terminate()


@asynccontextmanager
async def transaction_on(connection: Connection) -> AsyncIterator[None]:
    """A transaction on a connection that is there already: committed at the end, rolled back when anything is raised.

    Unlike asyncpg's own it ends on a line that carries nothing: after a statement that ran out of time the driver waits
    without a bound for its cancellation to be taken, before it rolls back.
    """
    transaction = connection.transaction()
    await transaction.start()
    try:
        yield
    except BaseException:
        try:
            async with asyncio.timeout(ROLLBACK_SECONDS):
                await transaction.rollback()
        except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError):
            with suppress(asyncpg.InterfaceError):  # without a connection there is nothing to roll back
                connection.terminate()
        raise
    await transaction.commit()


async def wait_for_revision(db: Database, revision: str = CURRENT_REVISION, wait_seconds: float = 60.0) -> None:
    """For a Database that was connected with `revision=None`. Raises RevisionMissing; new connections take the role."""
    async with db.connection() as connection:
        await await_revision(connection, revision, wait_seconds)
    await db.pool.expire_connections()
