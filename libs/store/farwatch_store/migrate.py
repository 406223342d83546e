"""Bringing a database to the current revision."""

import asyncio
import time
from pathlib import Path
from typing import Any

import asyncpg
from alembic import command
from alembic.config import Config
from sqlalchemy import text
from sqlalchemy.engine import Connection
from sqlalchemy.ext.asyncio import create_async_engine
from sqlalchemy.pool import NullPool

from farwatch_store.errors import StoreUnavailable, translated
from farwatch_store.revision import CURRENT_REVISION, REVISION_TABLE, read_revision

__all__ = ["CURRENT_REVISION", "migrate"]

LOCK_KEY = 0x66617277
"""Advisory lock "farw": one migration at a time in a database."""

_POLL_SECONDS = 0.25


async def migrate(url: str, wait_seconds: float = 60.0) -> str:
    """Brings the database to CURRENT_REVISION and returns the revision it is at; nothing to do is fine.

    Waits up to `wait_seconds` for the server and for another migration to end, then raises StoreUnavailable.
    """
    deadline = time.monotonic() + wait_seconds
    with translated():
        guard = await _connect(url, deadline)
        try:
            await _lock(guard, deadline)
            await _upgrade(url)
            return await read_revision(guard) or ""
        finally:
            await guard.close(timeout=5)


async def _connect(url: str, deadline: float) -> "asyncpg.Connection[Any]":
    while True:
        try:
            with translated():
                connection: asyncpg.Connection[Any] = await asyncpg.connect(url, timeout=5)
                return connection
        except StoreUnavailable:
            if time.monotonic() >= deadline:
                raise
        await asyncio.sleep(_POLL_SECONDS)


async def _lock(guard: "asyncpg.Connection[Any]", deadline: float) -> None:
    """Held until the connection closes, so a migration that is killed holds back nobody."""
    while not await guard.fetchval("select pg_try_advisory_lock($1)", LOCK_KEY):
        if time.monotonic() >= deadline:
            raise StoreUnavailable("another migration is still running")
        await asyncio.sleep(_POLL_SECONDS)


async def _upgrade(url: str) -> None:
    async def connect() -> "asyncpg.Connection[Any]":
        connection: asyncpg.Connection[Any] = await asyncpg.connect(url, timeout=5)
        return connection

    engine = create_async_engine("postgresql+asyncpg://", async_creator=connect, poolclass=NullPool)
    try:
        async with engine.connect() as connection:
            await connection.run_sync(_run_alembic)
            # Every service asks which revision it finds, under whatever role it has taken.
            await connection.execute(text(f"grant select on public.{REVISION_TABLE} to public"))
            await connection.commit()
    finally:
        await engine.dispose()


def _run_alembic(connection: Connection) -> None:
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent / "migrations").replace("%", "%%"))
    config.attributes["connection"] = connection
    command.upgrade(config, "head")
