"""Which schema the code needs, and waiting for it."""

import asyncio
import time

import asyncpg

from farwatch_store.connection import Connection
from farwatch_store.errors import RevisionMissing

CURRENT_REVISION = "0004"
"""The newest revision in `migrations/versions`. Revisions are zero-padded, so greater means newer."""

REVISION_TABLE = "farwatch_revision"
_POLL_SECONDS = 0.25


async def read_revision(connection: Connection) -> str | None:
    """None when nothing was migrated yet."""
    try:
        revision: str | None = await connection.fetchval(f"select version_num from public.{REVISION_TABLE}")  # noqa: S608
    except asyncpg.UndefinedTableError:
        return None
    return revision


async def await_revision(connection: Connection, revision: str = CURRENT_REVISION, wait_seconds: float = 60.0) -> None:
    """Returns once the schema is at `revision` or newer; raises RevisionMissing after `wait_seconds`."""
    deadline = time.monotonic() + wait_seconds
    while True:
        found = await read_revision(connection)
        if found is not None and found >= revision:
            return
        if time.monotonic() >= deadline:
            raise RevisionMissing(
                f"the database is at revision {found or 'none'}, {revision} is needed: run farwatch migrate"
            )
        await asyncio.sleep(_POLL_SECONDS)
