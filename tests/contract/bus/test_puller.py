"""Work from a durable consumer: bounded, acknowledged, redelivered, undisturbed by restarts."""

import asyncio
import time

import pytest

from farwatch_bus import (
    Bus,
    ConsumerSpec,
    Message,
    Puller,
    StreamSpec,
    ensure_consumer,
    ensure_stream,
    stream_info,
)
from tests.support.servers import NatsProcess
from tests.support.waiting import eventually

SPEC = StreamSpec("CHECKS_test", ("checks.due.test.>",), retention="workqueue")
DURABLE = ConsumerSpec(SPEC.name, "ring", "checks.due.test.ring", ack_wait_seconds=1)
SUBJECT = "checks.due.test.ring"


@pytest.fixture
async def stream(bus: Bus) -> None:
    await ensure_stream(bus, SPEC)
    await ensure_consumer(bus, DURABLE)


async def publish(bus: Bus, count: int, start: int = 0) -> None:
    publisher = bus.publisher()
    futures = [await publisher.start(SUBJECT, b"%d" % number) for number in range(start, start + count)]
    await asyncio.gather(*futures)


async def take_until(puller: Puller, count: int, seconds: float = 5) -> list[Message]:
    taken: list[Message] = []
    deadline = time.monotonic() + seconds
    while len(taken) < count and time.monotonic() < deadline:
        taken += await puller.take(count - len(taken), 0.2)
    return taken


async def stream_is_empty(bus: Bus) -> bool:
    info = await stream_info(bus, SPEC.name)
    assert info is not None
    return info.messages == 0


@pytest.mark.usefixtures("stream")
async def test_take_and_ack(bus: Bus) -> None:
    await publish(bus, 300)
    puller = bus.puller(SPEC.name, "ring", credit=100)
    taken = await take_until(puller, 300)
    assert [message.data for message in taken] == [b"%d" % number for number in range(300)]
    assert [message.sequence for message in taken] == list(range(1, 301))
    assert {message.deliveries for message in taken} == {1}
    assert all(abs(message.timestamp_ms - time.time() * 1000) < 60_000 for message in taken)
    for message in taken:
        await message.ack()
    await eventually(lambda: stream_is_empty(bus))
    assert await puller.take(10, 1.3) == []


@pytest.mark.usefixtures("stream")
async def test_message_for_a_waiting_puller_comes_at_once(bus: Bus) -> None:
    puller = bus.puller(SPEC.name, "ring")
    assert await puller.take(1, 2.6) == []
    waiting = asyncio.create_task(puller.take(1, 5))
    await asyncio.sleep(0.05)
    started = time.monotonic()
    await publish(bus, 1)
    assert len(await waiting) == 1
    assert time.monotonic() - started < 0.3


@pytest.mark.usefixtures("stream")
async def test_unacknowledged_comes_again_after_ack_wait(bus: Bus) -> None:
    await publish(bus, 1)
    puller = bus.puller(SPEC.name, "ring")
    [first] = await puller.take(1, 2)
    taken_at = time.monotonic()
    [again] = await puller.take(1, 4)
    assert 0.7 < time.monotonic() - taken_at < 2.5
    assert (again.data, again.sequence, again.deliveries) == (first.data, first.sequence, 2)


@pytest.mark.usefixtures("stream")
async def test_in_progress_holds_it_off(bus: Bus) -> None:
    await publish(bus, 1)
    puller = bus.puller(SPEC.name, "ring")
    [message] = await puller.take(1, 2)
    for _ in range(5):
        await asyncio.sleep(0.5)
        await message.in_progress()
    assert await puller.take(1, 0.2) == []
    await message.ack()
    assert await puller.take(1, 1.6) == []


@pytest.mark.usefixtures("stream")
async def test_nak_gives_it_back_now_or_later(bus: Bus) -> None:
    await publish(bus, 1)
    puller = bus.puller(SPEC.name, "ring")
    [message] = await puller.take(1, 2)
    started = time.monotonic()
    await message.nak()
    [message] = await puller.take(1, 2)
    assert time.monotonic() - started < 0.5
    started = time.monotonic()
    await message.nak(0.6)
    [message] = await puller.take(1, 3)
    assert 0.5 < time.monotonic() - started < 1.0
    assert message.deliveries == 3


@pytest.mark.usefixtures("stream")
async def test_credit_bounds_what_lies_untaken(bus: Bus) -> None:
    await publish(bus, 200)
    puller = bus.puller(SPEC.name, "ring", credit=10)
    taken = await puller.take(1, 2)
    for _ in range(20):
        await asyncio.sleep(0.02)
        assert puller.waiting <= 10
    assert puller.waiting >= 9
    taken += await take_until(puller, 199)
    assert sorted(message.sequence for message in taken) == list(range(1, 201))


@pytest.mark.usefixtures("stream")
async def test_credit_of_none_pauses_and_of_one_goes_step_by_step(bus: Bus) -> None:
    puller = bus.puller(SPEC.name, "ring", credit=0)
    await publish(bus, 5)
    assert await puller.take(5, 0.5) == []
    puller.set_credit(1)
    for number in range(5):
        [message] = await puller.take(5, 2)
        assert message.data == b"%d" % number
        await message.ack()


@pytest.mark.usefixtures("stream")
async def test_two_pullers_share_the_work(bus: Bus) -> None:
    pullers = [bus.puller(SPEC.name, "ring", credit=20) for _ in range(2)]
    for puller in pullers:
        await puller.take(1, 0.1)
    await publish(bus, 400)
    shares = await asyncio.gather(*(collect(puller) for puller in pullers))
    assert sorted(shares[0] + shares[1]) == list(range(1, 401))
    assert min(len(share) for share in shares) > 50


async def collect(puller: Puller) -> list[int]:
    sequences: list[int] = []
    while batch := await puller.take(5, 0.6):
        sequences += [message.sequence for message in batch]
        for message in batch:
            await message.ack()
        await asyncio.sleep(0.001)
    return sequences


async def test_waits_for_a_consumer_that_comes_later_and_comes_back(bus: Bus) -> None:
    puller = bus.puller(SPEC.name, "ring")
    assert await puller.take(1, 0.5) == []
    await ensure_stream(bus, SPEC)
    await ensure_consumer(bus, DURABLE)
    await publish(bus, 1)
    [message] = await puller.take(1, 2)
    await message.ack()
    await eventually(lambda: stream_is_empty(bus))
    await bus.api(f"CONSUMER.DELETE.{SPEC.name}.ring")
    assert await puller.take(1, 0.5) == []
    await ensure_consumer(bus, DURABLE)
    await publish(bus, 1, start=1)
    [message] = await puller.take(1, 2)
    assert message.data == b"1"


@pytest.mark.usefixtures("stream")
async def test_across_a_crash_nothing_is_lost_and_it_resumes_quickly(bus: Bus, nats_server: NatsProcess) -> None:
    puller = bus.puller(SPEC.name, "ring")
    await publish(bus, 100)
    before = await take_until(puller, 50)
    for message in before:
        await message.ack()
    await asyncio.sleep(0.2)
    nats_server.kill()
    await eventually(lambda: not bus.connected)
    after = await puller.take(50, 0)
    for message in after:
        await message.ack()
    nats_server.start()
    back = time.monotonic()
    await publish(bus, 100, start=100)
    more = await take_until(puller, 100)
    assert time.monotonic() - back < 2
    assert {message.data for message in [*before, *after, *more]} == {b"%d" % number for number in range(200)}
    assert all(message.deliveries == 1 for message in more)


@pytest.mark.usefixtures("stream")
async def test_idle_puller_resumes_after_a_crash(bus: Bus, nats_server: NatsProcess) -> None:
    puller = bus.puller(SPEC.name, "ring")
    waiting = asyncio.create_task(puller.take(1, 15))
    await asyncio.sleep(0.2)
    nats_server.kill()
    await asyncio.sleep(2.5)
    nats_server.start()
    back = time.monotonic()
    await publish(bus, 1)
    assert len(await waiting) == 1
    assert time.monotonic() - back < 2
