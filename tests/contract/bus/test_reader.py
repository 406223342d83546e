"""Reading a stream in order: contiguous, healed after losses on the way, honest about losses of the stream."""

import asyncio
import time

import pytest

from farwatch_bus import (
    Bus,
    Message,
    Reader,
    SequenceGap,
    StreamReplaced,
    StreamSpec,
    delete_stream,
    ensure_stream,
    purge_up_to,
)
from tests.support.servers import NatsProcess
from tests.support.waiting import eventually

SPEC = StreamSpec("RESULTS_test", ("checks.result.test.>",), discard="new")
SUBJECT = "checks.result.test.0"


@pytest.fixture
async def stream(bus: Bus) -> None:
    await ensure_stream(bus, SPEC)


async def publish(bus: Bus, count: int) -> None:
    publisher = bus.publisher()
    futures = [await publisher.start(SUBJECT, b"%d" % number) for number in range(count)]
    await asyncio.gather(*futures)


async def read_until(reader: Reader, sequence: int, seconds: float = 5) -> list[Message]:
    found: list[Message] = []
    deadline = time.monotonic() + seconds
    while (not found or found[-1].sequence < sequence) and time.monotonic() < deadline:
        found += await reader.batch(100, 0.2)
    return found


@pytest.mark.usefixtures("stream")
async def test_reads_all_in_order_and_knows_what_is_left(bus: Bus) -> None:
    await publish(bus, 1500)
    reader = bus.reader(SPEC.name, 1)
    first = await reader.batch(100, 2)
    assert reader.pending == 1500 - len(first)
    found = first + await read_until(reader, 1500)
    assert [message.sequence for message in found] == list(range(1, 1501))
    assert reader.pending == 0
    assert reader.next_sequence == 1501
    assert all(message.timestamp_ms > 0 for message in found)


@pytest.mark.usefixtures("stream")
async def test_starts_where_it_is_told_and_gets_new_ones_at_once(bus: Bus) -> None:
    await publish(bus, 10)
    reader = bus.reader(SPEC.name, 8)
    assert [message.sequence for message in await read_until(reader, 10)] == [8, 9, 10]
    assert await reader.batch(10, 2.2) == []
    waiting = asyncio.create_task(reader.batch(10, 5))
    await asyncio.sleep(0.05)
    started = time.monotonic()
    await publish(bus, 1)
    assert [message.sequence for message in await waiting] == [11]
    assert time.monotonic() - started < 0.3


@pytest.mark.usefixtures("stream")
async def test_start_after_the_last(bus: Bus) -> None:
    await publish(bus, 3)
    reader = bus.reader(SPEC.name, 4)
    assert await reader.batch(10, 0.5) == []
    await publish(bus, 1)
    assert [message.sequence for message in await reader.batch(10, 2)] == [4]


async def test_waits_for_a_stream_that_comes_later(bus: Bus) -> None:
    reader = bus.reader(SPEC.name, 1)
    assert await reader.batch(10, 0.4) == []
    await ensure_stream(bus, SPEC)
    await publish(bus, 2)
    assert [message.sequence for message in await read_until(reader, 2)] == [1, 2]


@pytest.mark.usefixtures("stream")
async def test_seek_goes_back_and_forward(bus: Bus) -> None:
    await publish(bus, 20)
    reader = bus.reader(SPEC.name, 1)
    await read_until(reader, 20)
    reader.seek(5)
    assert [message.sequence for message in await read_until(reader, 20)] == list(range(5, 21))
    reader.seek(19)
    assert [message.sequence for message in await read_until(reader, 20)] == [19, 20]


@pytest.mark.usefixtures("stream")
async def test_purging_what_was_read_disturbs_nothing(bus: Bus) -> None:
    await publish(bus, 100)
    reader = bus.reader(SPEC.name, 1)
    await read_until(reader, 100)
    assert await purge_up_to(bus, SPEC.name, 100) == 100
    await publish(bus, 5)
    assert [message.sequence for message in await read_until(reader, 105)] == list(range(101, 106))


@pytest.mark.usefixtures("stream")
async def test_missing_beginning_is_a_gap_until_seek(bus: Bus) -> None:
    await publish(bus, 10)
    await purge_up_to(bus, SPEC.name, 6)
    reader = bus.reader(SPEC.name, 3)
    for _ in range(2):
        with pytest.raises(SequenceGap) as caught:
            await reader.batch(10, 2)
        assert (caught.value.expected, caught.value.actual) == (3, 7)
    reader.seek(caught.value.actual)
    assert [message.sequence for message in await read_until(reader, 10)] == [7, 8, 9, 10]


@pytest.mark.usefixtures("stream")
async def test_hole_in_the_middle_is_a_gap_after_what_comes_before_it(bus: Bus) -> None:
    await publish(bus, 10)
    await bus.api(f"STREAM.MSG.DELETE.{SPEC.name}", {"seq": 5})
    reader = bus.reader(SPEC.name, 1)
    assert [message.sequence for message in await read_until(reader, 4)] == [1, 2, 3, 4]
    with pytest.raises(SequenceGap) as caught:
        await reader.batch(10, 3)
    assert (caught.value.expected, caught.value.actual) == (5, 6)


@pytest.mark.usefixtures("stream")
async def test_lost_tail_is_a_gap_backwards(bus: Bus) -> None:
    await publish(bus, 10)
    reader = bus.reader(SPEC.name, 15)
    with pytest.raises(SequenceGap) as caught:
        await reader.batch(10, 2)
    assert (caught.value.expected, caught.value.actual) == (15, 11)


@pytest.mark.usefixtures("stream")
async def test_replaced_stream_is_told(bus: Bus) -> None:
    await publish(bus, 5)
    reader = bus.reader(SPEC.name, 1)
    await read_until(reader, 5)
    await delete_stream(bus, SPEC.name)
    await ensure_stream(bus, SPEC)
    await publish(bus, 20)
    with pytest.raises(StreamReplaced) as caught:
        await read_until(reader, 20, seconds=5)
    assert (caught.value.expected, caught.value.actual) == (6, 1)
    reader.seek(1)
    assert [message.sequence for message in await read_until(reader, 20)] == list(range(1, 21))


@pytest.mark.usefixtures("stream")
async def test_consumer_that_vanishes_is_made_again(bus: Bus) -> None:
    reader = bus.reader(SPEC.name, 1)
    await publish(bus, 3)
    await read_until(reader, 3)
    consumers = await bus.api(f"CONSUMER.NAMES.{SPEC.name}")
    for name in consumers["consumers"]:
        await bus.api(f"CONSUMER.DELETE.{SPEC.name}.{name}")
    await publish(bus, 3)
    assert [message.sequence for message in await read_until(reader, 6)] == [4, 5, 6]


@pytest.mark.usefixtures("stream")
async def test_across_a_crash_it_goes_on_contiguously(bus: Bus, nats_server: NatsProcess) -> None:
    await publish(bus, 1000)
    reader = bus.reader(SPEC.name, 1, credit=200)
    found = await reader.batch(100, 2)
    nats_server.kill()
    await eventually(lambda: not bus.connected)
    await asyncio.sleep(1)
    nats_server.start()
    back = time.monotonic()
    await publish(bus, 100)
    assert time.monotonic() - back < 2
    found += await read_until(reader, 1100)
    assert time.monotonic() - back < 3
    assert [message.sequence for message in found] == list(range(1, 1101))


@pytest.mark.usefixtures("stream")
async def test_close_removes_its_consumer(bus: Bus) -> None:
    reader = bus.reader(SPEC.name, 1)
    await reader.batch(1, 0.3)
    assert len((await bus.api(f"CONSUMER.NAMES.{SPEC.name}"))["consumers"]) == 1
    await reader.close()
    assert not (await bus.api(f"CONSUMER.NAMES.{SPEC.name}"))["consumers"]
