"""Migrations: one at a time, any number of times, and services wait for them."""

import asyncio
import time
from collections.abc import AsyncIterator
from pathlib import Path

import asyncpg
import pytest
from alembic.config import Config
from alembic.script import ScriptDirectory

import farwatch_store.migrations
from farwatch_store import CURRENT_REVISION, Database, RevisionMissing, StoreUnavailable, wait_for_revision
from farwatch_store.migrate import LOCK_KEY, migrate
from tests.support.servers import PostgresProcess


@pytest.fixture
async def empty_url(postgres_server: PostgresProcess) -> AsyncIterator[str]:
    admin = await asyncpg.connect(postgres_server.superuser_url())
    await admin.execute("create database unmigrated owner farwatch")
    yield postgres_server.url("unmigrated")
    await admin.execute("drop database unmigrated with (force)")
    await admin.close()


def test_the_current_revision_is_the_head_of_the_history() -> None:
    config = Config()
    config.set_main_option("script_location", str(Path(farwatch_store.migrations.__file__).parent))
    assert ScriptDirectory.from_config(config).get_current_head() == CURRENT_REVISION


async def test_two_migrations_at_once_both_end_at_the_current_revision(empty_url: str) -> None:
    first, second = await asyncio.gather(migrate(empty_url), migrate(empty_url))
    assert first == second == CURRENT_REVISION
    assert await migrate(empty_url) == CURRENT_REVISION


async def test_a_migration_waits_for_another_only_so_long(empty_url: str) -> None:
    other = await asyncpg.connect(empty_url)
    await other.execute("select pg_advisory_lock($1)", LOCK_KEY)
    with pytest.raises(StoreUnavailable, match="another migration"):
        await migrate(empty_url, wait_seconds=0.5)
    await other.close()


async def test_a_service_that_comes_first_waits_for_the_migration(empty_url: str) -> None:
    connecting = asyncio.create_task(Database.connect(empty_url, role="farwatch_api"))
    await asyncio.sleep(0.5)
    assert not connecting.done()
    await migrate(empty_url)
    database = await asyncio.wait_for(connecting, 5)
    assert await database.pool.fetchval("select current_user") == "farwatch_api"
    await database.close()


async def test_without_a_migration_connecting_ends_with_what_to_do(empty_url: str) -> None:
    with pytest.raises(RevisionMissing, match=f"at revision none, {CURRENT_REVISION} is needed: run farwatch migrate"):
        await Database.connect(empty_url, wait_seconds=0.5)


async def test_connections_made_before_the_migration_take_the_role_after_it(empty_url: str) -> None:
    database = await Database.connect(empty_url, role="farwatch_notifier", revision=None)
    await migrate(empty_url)
    await wait_for_revision(database)
    async with database.connection() as connection:
        assert await connection.fetchval("select current_user") == "farwatch_notifier"
    await database.close()


async def test_a_newer_schema_is_good_enough(database: Database) -> None:
    await database.pool.execute("update public.farwatch_revision set version_num = '9999'")
    await wait_for_revision(database, wait_seconds=0.1)


async def test_no_server_at_all_is_unavailable_after_the_wait() -> None:
    started = time.monotonic()
    with pytest.raises(StoreUnavailable):
        await Database.connect("postgresql://nobody@127.0.0.1:1/none", wait_seconds=0.5)
    assert time.monotonic() - started < 3
