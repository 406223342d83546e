"""Acknowledged publishing: each message once in the stream, or an error that says why."""

import asyncio
import time
from collections import Counter

import pytest

from farwatch_bus import (
    Ack,
    Bus,
    BusClosed,
    PublishRefused,
    PublishTimeout,
    StreamSpec,
    ensure_stream,
    purge_up_to,
    stream_info,
)
from tests.support.servers import NatsProcess
from tests.support.waiting import eventually

SPEC = StreamSpec("RESULTS_test", ("checks.result.test.>",), discard="new", max_bytes=64 * 1024 * 1024)
SUBJECT = "checks.result.test.0"


@pytest.fixture(autouse=True)
async def stream(bus: Bus) -> None:
    await ensure_stream(bus, SPEC)


async def stored(bus: Bus, count: int) -> list[bytes]:
    """Everything the stream holds, read until `count` messages came or nothing more does."""
    reader = bus.reader(SPEC.name, 1)
    found: list[bytes] = []
    while batch := await reader.batch(1000, 2 if len(found) < count else 0.2):
        found += [message.data for message in batch]
    return found


async def test_acknowledgements_say_where_it_is(bus: Bus) -> None:
    publisher = bus.publisher()
    first = await publisher.publish(SUBJECT, b"a")
    second = await publisher.publish(SUBJECT, b"b")
    assert (first.stream, first.sequence, first.duplicate) == (SPEC.name, 1, False)
    assert second.sequence == 2
    assert publisher.in_flight == 0


async def test_same_msg_id_is_stored_once(bus: Bus) -> None:
    publisher = bus.publisher()
    first = await publisher.publish(SUBJECT, b"a", msg_id="slot-1")
    again = await publisher.publish(SUBJECT, b"a", msg_id="slot-1")
    assert (again.sequence, again.duplicate) == (first.sequence, True)
    info = await stream_info(bus, SPEC.name)
    assert info is not None
    assert info.messages == 1


async def test_two_publishers_give_ids_of_their_own(bus: Bus) -> None:
    acks = [await bus.publisher().publish(SUBJECT, b"a") for _ in range(2)]
    assert [ack.duplicate for ack in acks] == [False, False]


async def test_order_is_kept_and_the_window_holds(bus: Bus) -> None:
    publisher = bus.publisher(window=50)
    most = 0
    futures = []
    for number in range(2000):
        futures.append(await publisher.start(SUBJECT, b"%d" % number))
        most = max(most, publisher.in_flight)
    acks = await asyncio.gather(*futures)
    assert [ack.sequence for ack in acks] == list(range(1, 2001))
    assert most == 50


async def test_window_counts_bytes_too(bus: Bus, nats_server: NatsProcess) -> None:
    publisher = bus.publisher(window=1000, window_bytes=10_000)
    await publisher.publish(SUBJECT, b"warm")
    nats_server.pause()
    try:
        sent = [await publisher.start(SUBJECT, b"x" * 1000) for _ in range(10)]
        blocked = asyncio.create_task(publisher.start(SUBJECT, b"x"))
        await asyncio.sleep(0.1)
        assert not blocked.done()
    finally:
        nats_server.resume()
    assert (await (await asyncio.wait_for(blocked, 5))).sequence == 12
    assert len(await asyncio.gather(*sent)) == 10


async def test_many_tasks_share_a_window(bus: Bus) -> None:
    publisher = bus.publisher(window=7)
    acks = await asyncio.gather(*(publisher.publish(SUBJECT, b"%d" % number) for number in range(300)))
    assert sorted(ack.sequence for ack in acks) == list(range(1, 301))


async def test_waiter_that_gives_up_does_not_lose_room(bus: Bus, nats_server: NatsProcess) -> None:
    publisher = bus.publisher(window=1)
    await publisher.publish(SUBJECT, b"warm")
    nats_server.pause()
    try:
        first = await publisher.start(SUBJECT, b"1")
        impatient = [asyncio.create_task(publisher.publish(SUBJECT, b"no")) for _ in range(3)]
        patient = asyncio.create_task(publisher.publish(SUBJECT, b"yes"))
        await asyncio.sleep(0.05)
        for task in impatient:
            task.cancel()
    finally:
        nats_server.resume()
    assert (await first).sequence == 2
    assert (await asyncio.wait_for(patient, 5)).sequence == 3


async def test_full_stream_refuses_at_once_and_takes_again_after_a_purge(bus: Bus) -> None:
    await ensure_stream(bus, StreamSpec("SMALL", ("small.>",), discard="new", max_bytes=2000))
    publisher = bus.publisher()
    await publisher.publish("small.x", b"x" * 1500)
    started = time.monotonic()
    with pytest.raises(PublishRefused) as caught:
        await publisher.publish("small.x", b"x" * 1500)
    assert time.monotonic() - started < 0.5
    assert "maximum bytes exceeded" in caught.value.description
    assert (caught.value.error_code, caught.value.permanent) == (10077, False)
    assert await purge_up_to(bus, "SMALL", 1) == 1
    assert (await publisher.publish("small.x", b"x" * 1500)).sequence == 2


async def test_wrong_stream_is_refused_for_good(bus: Bus) -> None:
    with pytest.raises(PublishRefused, match="expected stream") as caught:
        await bus.publisher().publish(SUBJECT, b"", expect_stream="RESULTS_other")
    assert caught.value.permanent is True


async def test_too_large_is_refused_for_good(bus: Bus) -> None:
    with pytest.raises(PublishRefused, match="more than the server takes") as caught:
        await bus.publisher().publish(SUBJECT, b"x" * (2 * 1024 * 1024))
    assert caught.value.permanent is True
    assert bus.connected


async def test_ttl_removes_it(bus: Bus) -> None:
    await ensure_stream(bus, StreamSpec("TTL", ("ttl.>",), allow_message_ttl=True))
    await bus.publisher().publish("ttl.x", b"", ttl_seconds=0.3)

    async def gone() -> bool:
        info = await stream_info(bus, "TTL")
        return info is not None and info.messages == 0

    assert not await gone()
    await eventually(gone, timeout_seconds=4)


async def test_waits_for_a_stream_that_comes_later(bus: Bus) -> None:
    future = await bus.publisher().start("late.x", b"a")
    await asyncio.sleep(0.4)
    assert not future.done()
    await ensure_stream(bus, StreamSpec("LATE", ("late.>",)))
    assert (await asyncio.wait_for(future, 2)).sequence == 1


async def test_deadline(bus: Bus) -> None:
    started = time.monotonic()
    with pytest.raises(PublishTimeout, match="no stream takes this subject") as caught:
        await bus.publisher(deadline_seconds=0.5).publish("nobody.x", b"")
    assert 0.4 < time.monotonic() - started < 1.5
    assert caught.value.permanent is False


async def test_close_fails_what_is_left_and_refuses_more(bus: Bus) -> None:
    publisher = bus.publisher(window=1)
    future = await publisher.start("nobody.x", b"")
    waiting = asyncio.create_task(publisher.publish(SUBJECT, b""))
    await asyncio.sleep(0.05)
    await publisher.close()
    for failed in (future, waiting):
        with pytest.raises(BusClosed):
            await failed
    with pytest.raises(BusClosed):
        await publisher.publish(SUBJECT, b"")


async def test_nothing_is_lost_or_doubled_when_the_server_dies(bus: Bus, nats_server: NatsProcess) -> None:
    publisher = bus.publisher(window=500)
    total = 6000
    killed = asyncio.Event()

    async def publish_all() -> list[asyncio.Future[Ack]]:
        futures = []
        for number in range(total):
            futures.append(await publisher.start(SUBJECT, b"%d" % number))
            if number == total // 2:
                killed.set()
        return futures

    publishing = asyncio.create_task(publish_all())
    await killed.wait()
    nats_server.kill()
    await asyncio.sleep(1)
    nats_server.start()
    back = time.monotonic()
    acks = await asyncio.gather(*await asyncio.wait_for(publishing, 20))
    took = time.monotonic() - back
    assert len(acks) == total
    assert took < 5
    counts = Counter(await stored(bus, total))
    assert len(counts) == total
    assert {number: count for number, count in counts.items() if count > 1} == {}


async def test_first_publish_while_the_server_is_away(bus: Bus, nats_server: NatsProcess) -> None:
    nats_server.kill()
    await eventually(lambda: not bus.connected)
    future = await bus.publisher().start(SUBJECT, b"patient")
    await asyncio.sleep(0.3)
    nats_server.start()
    assert (await asyncio.wait_for(future, 2)).sequence == 1


async def test_server_that_hangs_is_resent_to_and_dedups(bus: Bus, nats_server: NatsProcess) -> None:
    publisher = bus.publisher()
    await publisher.publish(SUBJECT, b"warm")
    nats_server.pause()
    try:
        future = await publisher.start(SUBJECT, b"once")
        await asyncio.sleep(3.5)
    finally:
        nats_server.resume()
    ack = await asyncio.wait_for(future, 5)
    await asyncio.sleep(0.2)
    info = await stream_info(bus, SPEC.name)
    assert info is not None
    assert (ack.sequence, info.messages) == (2, 2)
