"""A database on a server that may be killed."""

from collections.abc import AsyncIterator

import pytest

from farwatch_store import Database
from farwatch_store.migrate import migrate
from tests.support.servers import PostgresProcess


@pytest.fixture
async def own_database(own_postgres: PostgresProcess) -> AsyncIterator[Database]:
    await migrate(own_postgres.url())
    database = await Database.connect(own_postgres.url())
    try:
        yield database
    finally:
        await database.close()
