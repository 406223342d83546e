"""Connections: codec, role, bounded time, and life through restarts of the server."""

import asyncio
import time
from typing import Any

import asyncpg
import pytest
from structlog.testing import capture_logs

from farwatch_store import Database, StoreUnavailable
from tests.support.servers import PostgresProcess


@pytest.mark.parametrize(
    ("value", "stored"),
    [
        ({"a": [1, 2.5, None, True], "ü": "日本"}, {"a": [1, 2.5, None, True], "ü": "日本"}),
        ({"body": "nul\0inside", "k\0": 1}, {"body": "nul\ufffdinside", "k\ufffd": 1}),
        (["lone \ud800 surrogate"], ["lone \ufffd surrogate"]),
        ({"latency_ms": float("nan")}, {"latency_ms": None}),
        ("a backslash and \\u0000 in letters", "a backslash and \\u0000 in letters"),
        ("emoji \U0001f600 with nul \0", "emoji \U0001f600 with nul \ufffd"),
    ],
)
async def test_jsonb_comes_back_as_it_was_stored(database: Database, value: Any, stored: Any) -> None:
    async with database.connection() as connection:
        assert await connection.fetchval("select $1::jsonb", value) == stored


async def test_jsonb_goes_through_copy(database: Database) -> None:
    async with database.transaction() as connection:
        await connection.execute("create temp table evidence (data jsonb)")
        await connection.copy_records_to_table("evidence", records=[({"n": n},) for n in range(3)])
        assert [row["data"]["n"] for row in await connection.fetch("select data from evidence")] == [0, 1, 2]


async def test_times_are_utc_and_statements_end(database: Database) -> None:
    async with database.connection() as connection:
        assert await connection.fetchval("show timezone") == "UTC"
        assert await connection.fetchval("show statement_timeout") == "30s"


async def test_who_says_nothing_in_a_transaction_is_put_out(database_url: str) -> None:
    database = await Database.connect(database_url, idle_seconds=0.2)

    async def fall_silent() -> None:
        async with database.transaction() as connection:
            await connection.execute("select 1")
            await asyncio.sleep(1)
            await connection.execute("select 1")

    try:
        with pytest.raises(StoreUnavailable):
            await fall_silent()
        async with database.connection() as connection:
            assert await connection.fetchval("show idle_in_transaction_session_timeout") == "200ms"
    finally:
        await database.close()


async def test_the_role_is_taken_and_kept_when_a_connection_is_borrowed_again(database_url: str) -> None:
    database = await Database.connect(database_url, role="farwatch_scheduler", max_size=1)
    for _ in range(3):
        async with database.connection() as connection:
            assert await connection.fetchval("select current_user") == "farwatch_scheduler"
    with pytest.raises(asyncpg.InsufficientPrivilegeError):
        async with database.transaction() as connection:
            await connection.execute("delete from config.monitors")
    await database.close()


async def test_a_role_that_does_not_exist_is_one_warning(database_url: str) -> None:
    with capture_logs() as logs:
        database = await Database.connect(database_url, role="farwatch_nobody", min_size=3, max_size=3)
    assert await database.pool.fetchval("select current_user") == "farwatch"
    warnings = [(entry["event"], entry["exists"]) for entry in logs if entry["log_level"] == "warning"]
    assert warnings == [("role_not_taken", False)]
    await database.close()


async def test_an_error_of_the_statement_is_not_an_outage(database: Database) -> None:
    with pytest.raises(asyncpg.UniqueViolationError):
        async with database.transaction() as connection:
            await connection.execute("insert into schedule.epoch (epoch) values (1)")


async def test_a_lock_that_does_not_come_is_an_outage(database: Database) -> None:
    async with database.transaction() as first:
        await first.execute("lock table schedule.epoch")
        with pytest.raises(StoreUnavailable, match="statement timeout"):
            await _update_impatiently(database)


async def _update_impatiently(database: Database) -> None:
    async with database.transaction() as connection:
        await connection.execute("set local statement_timeout = '200ms'")
        await connection.execute("update schedule.epoch set epoch = 7")


async def test_a_full_pool_is_an_outage_after_its_time(database_url: str) -> None:
    database = await Database.connect(database_url, max_size=1)
    async with database.connection():
        started = time.monotonic()
        with pytest.raises(StoreUnavailable):
            async with database.connection(acquire_seconds=0.5):
                pass
        assert 0.3 < time.monotonic() - started < 2
    await database.close()


async def test_a_killed_server_is_an_outage_and_its_return_is_noticed(
    own_postgres: PostgresProcess, own_database: Database
) -> None:
    with pytest.raises(StoreUnavailable) as caught:
        await _kill_in_a_transaction(own_database, own_postgres)
    assert caught.value.permanent is False

    waiting = asyncio.create_task(_epoch(own_database))
    await asyncio.to_thread(own_postgres.start)
    assert await asyncio.wait_for(waiting, 10) == 0


async def _kill_in_a_transaction(database: Database, server: PostgresProcess) -> None:
    async with database.transaction() as connection:
        await connection.execute("select 1")
        server.kill()
        await connection.execute("select 1")


async def _epoch(database: Database) -> Any:
    async with database.connection() as connection:
        return await connection.fetchval("select epoch from schedule.epoch")
