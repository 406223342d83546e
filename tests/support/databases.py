"""A database for each test: a clone of one that was migrated once."""

import asyncio
import itertools
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import asyncpg

from tests.support.servers import PostgresProcess

TEMPLATE = "farwatch_template"
_numbers = itertools.count()


def make_template(server: PostgresProcess) -> None:
    """Makes and migrates the template, as the services' own user, so missing rights show in tests."""
    from farwatch_store.migrate import migrate

    asyncio.run(_execute(server, f"create database {TEMPLATE} owner farwatch"))
    outcome: object = migrate(server.url(TEMPLATE))
    if asyncio.iscoroutine(outcome):
        asyncio.run(outcome)


@asynccontextmanager
async def cloned_database(server: PostgresProcess) -> AsyncIterator[str]:
    """The URL of a fresh migrated database, dropped at the end."""
    name = f"test_{os.getpid()}_{next(_numbers)}"
    await _execute(server, f"create database {name} template {TEMPLATE} strategy file_copy owner farwatch")
    try:
        yield server.url(name)
    finally:
        await _execute(server, f"drop database {name} with (force)")


async def _execute(server: PostgresProcess, statement: str) -> None:
    connection: asyncpg.Connection[asyncpg.Record] = await asyncpg.connect(server.superuser_url(), timeout=10)
    try:
        await connection.execute(statement)
    finally:
        await connection.close(timeout=5)
