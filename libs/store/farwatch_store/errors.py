"""What the store raises. `permanent` tells whether the same call may succeed later."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import ClassVar

import asyncpg


class StoreError(Exception):
    permanent: ClassVar[bool] = True


class StoreUnavailable(StoreError):
    """PostgreSQL could not be reached, was restarting, or gave up on lock, time or memory. Nothing was committed,
    unless the connection broke during the commit itself: callers guard against applying something twice."""

    permanent = False


class VersionConflict(StoreError):
    """Somebody else appended to the stream: read it again, decide again."""

    permanent = False

    def __init__(self, stream: str, expected_version: int, actual_version: int) -> None:
        super().__init__(f"stream {stream} is at version {actual_version}, not {expected_version}")
        self.stream = stream
        self.expected_version = expected_version
        self.actual_version = actual_version


class RevisionMissing(StoreError):
    """The database was not migrated in time."""


_TRANSIENT = (
    asyncpg.PostgresConnectionError,
    asyncpg.OperatorInterventionError,
    asyncpg.InsufficientResourcesError,
    asyncpg.TransactionRollbackError,
    asyncpg.LockNotAvailableError,
    asyncpg.InternalClientError,
    OSError,
    TimeoutError,
)
"""Operator intervention covers shutdown, start-up and statement timeouts; transaction rollback covers deadlocks."""


def is_transient(error: BaseException) -> bool:
    """Whether the database, rather than the statement, is to blame."""
    if isinstance(error, asyncpg.InterfaceError):
        # "released": the pool takes a connection back by itself when the server ends it.
        return any(word in str(error) for word in ("closed", "closing", "released"))
    return isinstance(error, _TRANSIENT)


@contextmanager
def translated() -> Iterator[None]:
    """Raises StoreUnavailable for errors of the server or the way to it; lets every other error pass."""
    try:
        yield
    except (asyncpg.PostgresError, asyncpg.InterfaceError, asyncpg.InternalClientError, OSError) as error:
        if is_transient(error):
            raise StoreUnavailable(f"{type(error).__name__}: {error}") from error
        raise
