"""Who may send to a channel, when the line to the database is not what it seems."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from farwatch_notifier import locks
from farwatch_notifier.locks import ChannelLocks
from farwatch_store import Database, StoreUnavailable
from tests.faults.proxy import TcpProxy, place_of, proxied, through
from tests.support.waiting import eventually

CHANNEL = 7


@asynccontextmanager
async def locks_of(url: str) -> AsyncIterator[ChannelLocks]:
    db = await Database.connect(url)
    held = ChannelLocks(db, lambda: None, lambda: None)
    keeping = asyncio.create_task(held.keep_alive())
    try:
        yield held
    finally:
        keeping.cancel()
        await held.close()
        await db.close()


@pytest.fixture
async def proxy(database_url: str) -> AsyncIterator[TcpProxy]:
    async with proxied(place_of(database_url)) as proxy:
        yield proxy


async def test_one_holds_it_at_a_time(database_url: str) -> None:
    async with locks_of(database_url) as ours, locks_of(database_url) as theirs:
        assert await ours.take(CHANNEL)
        assert not await theirs.take(CHANNEL)
        await ours.give(CHANNEL)
        assert await theirs.take(CHANNEL)


async def test_a_dead_line_frees_it_though_the_connection_to_the_server_stands(
    database_url: str, proxy: TcpProxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(locks, "ASKED_EVERY_SECONDS", 0.3)
    monkeypatch.setattr(locks, "QUIET_SECONDS", 2.0)
    monkeypatch.setattr(locks, "_CALL_SECONDS", 0.5)
    async with locks_of(through(database_url, proxy)) as ours, locks_of(database_url) as theirs:
        assert await ours.take(CHANNEL)
        await asyncio.sleep(3.0)  # it speaks, so nobody takes it for gone
        assert ours.holds(CHANNEL)
        assert not await theirs.take(CHANNEL)
        proxy.half_open = True
        await eventually(lambda: not ours.holds(CHANNEL), 10)
        await eventually(lambda: theirs.take(CHANNEL), 10, 0.2)
        with pytest.raises(StoreUnavailable):
            await ours.take(CHANNEL)
        proxy.half_open = False
        assert not await ours.take(CHANNEL)
        await theirs.give(CHANNEL)
        assert await ours.take(CHANNEL)
