"""A line to PostgreSQL that stands open and carries nothing."""

import asyncio
import time

import pytest

from farwatch_store import Database, StoreUnavailable, database
from tests.faults.proxy import place_of, proxied, through


async def test_a_transaction_ends_when_the_line_dies_in_its_middle(
    database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(database, "STATEMENT_SECONDS", 1.0)  # the driver waits for 5 s more
    monkeypatch.setattr(database, "ROLLBACK_SECONDS", 1.0)
    monkeypatch.setattr(database, "CONNECT_SECONDS", 1.0)
    async with proxied(place_of(database_url)) as proxy:
        db = await Database.connect(through(database_url, proxy), idle_seconds=30)

        async def die_halfway() -> None:
            async with asyncio.timeout(20), db.transaction() as connection:
                await connection.execute("select 1")
                proxy.half_open = True
                await connection.execute("select 1")

        began = time.monotonic()
        with pytest.raises(StoreUnavailable):
            await die_halfway()
        assert time.monotonic() - began < 10
        proxy.half_open = False
        async with db.transaction() as connection:
            assert await connection.fetchval("select 1") == 1
        await db.close()
