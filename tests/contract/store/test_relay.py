"""The relay: the log's order on the bus, nothing left out, nothing twice while it lives."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from farwatch_events.events import EventMeta, MonitorPaused, RecordedEvent
from farwatch_store import Database, Relay, append, read_position
from farwatch_store.relay import RELAY_CONSUMER
from tests.support.servers import PostgresProcess
from tests.support.waiting import eventually


class Outage(Exception):
    permanent = False


class Bus:
    """The far end of `publish`: keeps what it is given and can be away."""

    def __init__(self, seconds_each: float = 0) -> None:
        self.seconds_each = seconds_each
        self.positions: list[int] = []
        self.times: list[float] = []
        self.away = False
        self.loses: set[int] = set()
        """Positions that do not arrive at the first try."""
        self._line = asyncio.Lock()

    async def publish(self, event: RecordedEvent) -> None:
        async with self._line:
            await asyncio.sleep(self.seconds_each)
        if self.away:
            raise Outage
        if event.position in self.loses:
            self.loses.discard(event.position)
            raise Outage
        self.positions.append(event.position)
        self.times.append(time.monotonic())


async def add(database: Database, count: int) -> None:
    async with database.transaction() as connection:
        events = [MonitorPaused(at_ms=n, monitor_id=1, config_version=1) for n in range(count)]
        await append(connection, "monitor-1", events, EventMeta(actor="test"), None)


async def stored_position(database: Database) -> int:
    async with database.connection() as connection:
        return await read_position(connection, RELAY_CONSUMER)


@asynccontextmanager
async def relaying(database: Database, bus: Bus) -> AsyncIterator[None]:
    stop = asyncio.Event()
    running = asyncio.create_task(Relay(database, bus.publish).run(stop))
    try:
        yield
    finally:
        stop.set()
        await asyncio.wait_for(running, 10)


async def test_a_commit_is_published_at_once(database: Database) -> None:
    bus = Bus()
    async with relaying(database, bus):
        await asyncio.sleep(0.3)
        committed = []
        for _ in range(5):
            await add(database, 1)
            committed.append(time.monotonic())
            await asyncio.sleep(0.05)
        await eventually(lambda: len(bus.positions) == 5)
    # by the notification, not by the look once a second
    assert sorted(published - at for published, at in zip(bus.times, committed, strict=True))[2] < 0.5
    assert await stored_position(database) == 5


async def test_a_backlog_is_published_in_order(database: Database) -> None:
    await add(database, 1300)
    bus = Bus()
    async with relaying(database, bus):
        await eventually(lambda: len(bus.positions) == 1300)
    assert bus.positions == list(range(1, 1301))


async def test_the_next_relay_goes_on_where_the_last_one_stopped(database: Database) -> None:
    first, second = Bus(), Bus()
    await add(database, 3)
    async with relaying(database, first):
        await eventually(lambda: len(first.positions) == 3)
    await add(database, 2)
    async with relaying(database, second):
        await eventually(lambda: len(second.positions) == 2)
    assert (first.positions, second.positions) == ([1, 2, 3], [4, 5])


async def test_a_bus_that_is_away_is_waited_for(database: Database) -> None:
    bus = Bus()
    bus.away = True
    async with relaying(database, bus):
        await add(database, 3)
        await asyncio.sleep(0.3)
        bus.away = False
        await eventually(lambda: len(bus.positions) == 3)
    assert bus.positions == [1, 2, 3]


async def test_what_was_lost_on_the_way_is_sent_again_from_there(database: Database) -> None:
    bus = Bus()
    bus.loses = {3}
    await add(database, 5)
    async with relaying(database, bus):
        await eventually(lambda: set(bus.positions) == {1, 2, 3, 4, 5})
    assert [bus.positions.count(each) for each in (1, 2, 3)] == [1, 1, 1]
    assert await stored_position(database) == 5


async def test_an_error_that_waiting_does_not_mend_ends_the_relay(database: Database) -> None:
    async def refuse(event: RecordedEvent) -> None:
        raise ValueError("a bug")

    await add(database, 1)
    with pytest.raises(ValueError, match="a bug"):
        await Relay(database, refuse).run(asyncio.Event())
    assert await stored_position(database) == 0


async def test_in_order_and_once_while_the_server_is_killed_twice(
    own_postgres: PostgresProcess, own_database: Database
) -> None:
    bus = Bus(seconds_each=0.001)
    async with relaying(own_database, bus):
        for _ in range(2):
            await add(own_database, 700)
            await eventually(lambda: len(bus.positions) % 700 > 50)
            own_postgres.kill()
            await asyncio.sleep(0.3)
            await asyncio.to_thread(own_postgres.start)
            await eventually(lambda: len(bus.positions) % 700 == 0 and bus.positions, timeout_seconds=20)
        await add(own_database, 10)
        await eventually(lambda: len(bus.positions) == 1410, timeout_seconds=20)
    assert bus.positions == list(range(1, 1411))
    assert await stored_position(own_database) == 1410
