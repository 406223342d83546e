"""The event log: gapless, in commit order, with expected versions."""

import asyncio
import random

import pytest

from farwatch_events.events import DomainEvent, EventMeta, MonitorDeleted, MonitorPaused, RegionRegistered
from farwatch_store import (
    Append,
    Database,
    StoreUnavailable,
    VersionConflict,
    append,
    append_many,
    last_position,
    read_log,
    read_stream,
)

META = EventMeta(actor="user:1", cause="a request")


def paused(monitor_id: int = 7, at_ms: int = 1000) -> DomainEvent:
    return MonitorPaused(at_ms=at_ms, monitor_id=monitor_id, config_version=2)


async def add(database: Database, *events: DomainEvent, expected: int | None = None) -> list[int]:
    async with database.transaction() as connection:
        recorded = await append(connection, events[0].stream, events, META, expected)
    return [event.position for event in recorded]


async def test_what_was_appended_is_read_back_as_the_same_envelope(database: Database) -> None:
    async with database.transaction() as connection:
        recorded = await append(connection, "monitor-7", [paused(), MonitorDeleted(at_ms=2000, monitor_id=7)], META, 0)
    async with database.connection() as connection:
        assert await read_log(connection, 0, 10) == recorded
        assert await read_stream(connection, "monitor-7") == recorded
        assert await last_position(connection) == 2
    assert [(event.position, event.stream_version, event.type) for event in recorded] == [
        (1, 1, "monitor.paused"),
        (2, 2, "monitor.deleted"),
    ]
    assert recorded[0].event() == paused()
    assert recorded[0].meta == META


async def test_reading_starts_after_a_position_ends_at_a_limit_and_picks_types(database: Database) -> None:
    await add(database, *(paused(at_ms=n) for n in range(5)))
    await add(database, RegionRegistered(at_ms=1, region="eu"))
    async with database.connection() as connection:
        assert [event.position for event in await read_log(connection, 2, 2)] == [3, 4]
        assert [event.position for event in await read_log(connection, 0, 10, ["region.registered"])] == [6]
        assert await read_log(connection, 6, 10) == []
        assert await read_stream(connection, "region-us") == []


@pytest.mark.parametrize("expected", [0, 1, 3])
async def test_another_version_is_a_conflict_that_leaves_no_gap(database: Database, expected: int) -> None:
    await add(database, paused(), paused())
    with pytest.raises(VersionConflict) as caught:
        await add(database, paused(), expected=expected)
    assert (caught.value.stream, caught.value.actual_version) == ("monitor-7", 2)
    assert await add(database, paused(), expected=2) == [3]


async def test_of_two_writers_who_read_the_same_version_one_wins(database: Database) -> None:
    outcomes = await asyncio.gather(*(add(database, paused(), expected=0) for _ in range(6)), return_exceptions=True)
    assert sorted(type(outcome).__name__ for outcome in outcomes) == ["VersionConflict"] * 5 + ["list"]


async def test_a_transaction_that_is_rolled_back_takes_no_position(database: Database) -> None:
    connection = await database.pool.acquire()
    transaction = connection.transaction()
    await transaction.start()
    assert (await append(connection, "monitor-7", [paused()], META, None))[0].position == 1
    await transaction.rollback()
    await database.pool.release(connection)
    assert await add(database, paused()) == [1]


async def test_many_streams_in_one_go_keep_the_order_given_and_their_own_versions(database: Database) -> None:
    await add(database, paused(1))
    appends = [Append(f"monitor-{n}", [paused(n)], META) for n in (2, 1, 2)]
    async with database.transaction() as connection:
        recorded = await append_many(connection, appends)
        assert await append_many(connection, []) == []
    assert [(event.position, event.stream, event.stream_version) for event in recorded] == [
        (2, "monitor-2", 1),
        (3, "monitor-1", 2),
        (4, "monitor-2", 2),
    ]


async def test_concurrent_appends_are_gapless_and_never_seen_out_of_order(database: Database) -> None:
    writers, each = 8, 25
    seen: list[int] = []
    done = asyncio.Event()

    async def write(monitor_id: int) -> None:
        for turn in range(each):
            async with database.transaction() as connection:
                await append(connection, f"monitor-{monitor_id}", [paused(monitor_id)], META, turn)
                await asyncio.sleep(random.random() / 500)

    async def read() -> None:
        while not (done.is_set() and len(seen) == writers * each):
            async with database.connection() as connection:
                seen.extend(event.position for event in await read_log(connection, seen[-1] if seen else 0, 7))

    reading = asyncio.create_task(read())
    await asyncio.gather(*(write(n) for n in range(writers)))
    done.set()
    await asyncio.wait_for(reading, 10)
    assert seen == list(range(1, writers * each + 1))


async def test_ids_are_unique_and_sort_by_time(database: Database) -> None:
    async with database.transaction() as connection:
        first = await append(connection, "monitor-1", [paused(1)], META, None)
    await asyncio.sleep(0.005)
    async with database.transaction() as connection:
        second = await append(connection, "monitor-1", [paused(1), paused(1)], META, None)
    assert first[0].id < second[0].id
    assert len({event.id for event in first + second}) == 3


async def test_a_writer_that_freezes_does_not_hold_back_the_others_for_long(database: Database) -> None:
    positions: list[int] = []

    async def freeze() -> None:
        async with database.transaction() as frozen:
            await append(frozen, "monitor-7", [paused()], META, None)
            positions.extend(await add(database, paused()))  # once the server has ended the one before
            await frozen.fetchval("select 1")

    with pytest.raises(StoreUnavailable):
        await freeze()
    assert positions == [1]
