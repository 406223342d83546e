"""Followers: every event once, in order, with what they write about it."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from functools import partial

import pytest

from farwatch_events.events import EventMeta, MonitorPaused, RecordedEvent
from farwatch_store import Connection, Database, Follower, append, read_position
from tests.support.servers import PostgresProcess
from tests.support.waiting import eventually

Apply = Callable[[Connection, Sequence[RecordedEvent]], Awaitable[None]]


async def add(database: Database, count: int) -> None:
    async with database.transaction() as connection:
        events = [MonitorPaused(at_ms=n, monitor_id=1, config_version=1) for n in range(count)]
        await append(connection, "monitor-1", events, EventMeta(actor="test"), None)


async def position_of(database: Database, consumer: str) -> int:
    async with database.connection() as connection:
        return await read_position(connection, consumer)


async def keep(connection: Connection, events: Sequence[RecordedEvent]) -> None:
    """Writes each position into a table without any uniqueness, so that a second time would show."""
    for event in events:
        await connection.execute("insert into seen values ($1)", event.position)


async def kept(database: Database) -> list[int]:
    return [row["position"] for row in await database.pool.fetch("select position from seen order by ctid")]


@pytest.fixture
async def database(database: Database) -> Database:
    await database.pool.execute("create table public.seen (position bigint)")
    return database


async def test_a_nudge_is_followed_at_once_and_none_within_a_second(database: Database) -> None:
    stop, nudge = asyncio.Event(), asyncio.Event()
    running = asyncio.create_task(Follower(database, "api", keep, nudge).run(stop))
    await add(database, 3)
    nudge.set()
    await eventually(partial(_is, database, 3), timeout_seconds=0.8)
    await add(database, 2)
    await eventually(partial(_is, database, 5), timeout_seconds=2)
    stop.set()
    await asyncio.wait_for(running, 1)
    assert await kept(database) == [1, 2, 3, 4, 5]
    assert await position_of(database, "api") == 5


async def _is(database: Database, count: int) -> bool:
    return len(await kept(database)) == count


async def test_an_apply_that_fails_leaves_neither_its_writes_nor_the_position(database: Database) -> None:
    await add(database, 3)

    async def fail(connection: Connection, events: Sequence[RecordedEvent]) -> None:
        await keep(connection, events)
        raise ValueError("a bug")

    with pytest.raises(ValueError, match="a bug"):
        await Follower(database, "api", fail, asyncio.Event()).run(asyncio.Event())
    assert (await kept(database), await position_of(database, "api")) == ([], 0)
    assert await Follower(database, "api", keep, asyncio.Event()).step() == 3
    assert await kept(database) == [1, 2, 3]


async def test_two_processes_of_one_consumer_share_the_log_without_doubling(database: Database) -> None:
    await add(database, 1200)
    followers = [Follower(database, "notifier", keep, asyncio.Event()) for _ in range(3)]
    await asyncio.gather(*(_exhaust(follower) for follower in followers))
    assert await kept(database) == list(range(1, 1201))


async def _exhaust(follower: Follower) -> None:
    while await follower.step():
        pass


async def test_each_consumer_has_its_own_position(database: Database) -> None:
    await add(database, 2)
    await _exhaust(Follower(database, "api", keep, asyncio.Event()))
    await _exhaust(Follower(database, "scheduler", keep, asyncio.Event()))
    assert await kept(database) == [1, 2, 1, 2]


async def test_a_follower_goes_on_where_it_was_after_the_server_was_killed(
    own_postgres: PostgresProcess, own_database: Database
) -> None:
    await own_database.pool.execute("create table public.seen (position bigint)")
    stop, nudge = asyncio.Event(), asyncio.Event()
    running = asyncio.create_task(Follower(own_database, "api", keep, nudge).run(stop))
    await add(own_database, 3)
    await eventually(partial(_is, own_database, 3))
    own_postgres.kill()
    nudge.set()
    await asyncio.sleep(0.3)
    await asyncio.to_thread(own_postgres.start)
    await add(own_database, 3)
    await eventually(partial(_is, own_database, 6), timeout_seconds=20)
    stop.set()
    await asyncio.wait_for(running, 5)
    assert await kept(own_database) == [1, 2, 3, 4, 5, 6]
