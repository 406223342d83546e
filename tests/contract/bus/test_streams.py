"""Streams and consumers: made, kept up to date, looked at, purged; and the topology as DESIGN.md 4 has it."""

import asyncio
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from structlog.testing import capture_logs

from farwatch_bus import (
    Bus,
    ConsumerSpec,
    StreamError,
    StreamSpec,
    consumer_pending,
    delete_region,
    delete_stream,
    ensure_consumer,
    ensure_events,
    ensure_leases,
    ensure_region,
    ensure_stream,
    purge_up_to,
    stream_info,
)
from farwatch_events import subjects

SPEC = StreamSpec("THINGS", ("things.>",), max_bytes=1_000_000, max_age_seconds=3600)


async def config_of(bus: Bus, name: str) -> dict[str, object]:
    config: dict[str, object] = (await bus.api(f"STREAM.INFO.{name}"))["config"]
    return config


async def publish(bus: Bus, count: int) -> None:
    publisher = bus.publisher()
    for number in range(count):
        await publisher.publish("things.x", b"%d" % number)


async def test_made_then_left_alone_then_updated(bus: Bus) -> None:
    with capture_logs() as lines:
        await ensure_stream(bus, SPEC)
        await publish(bus, 3)
        await ensure_stream(bus, SPEC)
        await ensure_stream(bus, replace(SPEC, max_bytes=2_000_000, discard="new", allow_message_ttl=True))
    assert [line["event"] for line in lines] == ["stream_made", "stream_updated"]
    assert lines[1]["changed"] == ["allow_msg_ttl", "discard", "max_bytes"]
    config = await config_of(bus, "THINGS")
    assert (config["max_bytes"], config["discard"], config["allow_msg_ttl"]) == (2_000_000, "new", True)
    info = await stream_info(bus, "THINGS")
    assert info is not None
    assert info.messages == 3


async def test_settings_made_by_others_are_kept_on_update(bus: Bus) -> None:
    config = SPEC.config() | {"description": "by an operator", "max_msg_size": 5000}
    await bus.api("STREAM.CREATE.THINGS", config)
    await ensure_stream(bus, replace(SPEC, max_bytes=2_000_000))
    after = await config_of(bus, "THINGS")
    assert (after["description"], after["max_msg_size"], after["max_bytes"]) == ("by an operator", 5000, 2_000_000)


async def test_impossible_change_is_an_error_with_words(bus: Bus) -> None:
    await ensure_stream(bus, SPEC)
    with pytest.raises(StreamError) as caught:
        await ensure_stream(bus, replace(SPEC, retention="workqueue"))
    assert "retention" in str(caught.value)
    assert caught.value.error_code > 0


async def test_many_at_once_agree(bus: Bus) -> None:
    await asyncio.gather(*(ensure_stream(bus, SPEC) for _ in range(10)))
    await asyncio.gather(*(ensure_stream(bus, replace(SPEC, max_bytes=2_000_000)) for _ in range(5)))
    assert (await config_of(bus, "THINGS"))["max_bytes"] == 2_000_000


async def test_info(bus: Bus) -> None:
    assert await stream_info(bus, "THINGS") is None
    await ensure_stream(bus, SPEC)
    empty = await stream_info(bus, "THINGS")
    assert empty is not None
    assert (empty.first_sequence, empty.last_sequence, empty.messages, empty.bytes) == (1, 0, 0, 0)
    assert abs(datetime.now(UTC) - empty.created) < timedelta(minutes=1)
    await publish(bus, 3)
    info = await stream_info(bus, "THINGS")
    assert info is not None
    assert (info.first_sequence, info.last_sequence, info.messages) == (1, 3, 3)
    assert info.bytes > 0
    assert info.created == empty.created


async def test_made_from_a_first_sequence(bus: Bus) -> None:
    await ensure_stream(bus, SPEC, first_sequence=101)
    info = await stream_info(bus, "THINGS")
    assert info is not None
    assert (info.first_sequence, info.last_sequence) == (101, 100)
    assert (await bus.publisher().publish("things.x", b"")).sequence == 101


async def test_purge_up_to(bus: Bus) -> None:
    await ensure_stream(bus, SPEC)
    await publish(bus, 10)
    assert await purge_up_to(bus, "THINGS", 0) == 0
    assert await purge_up_to(bus, "THINGS", 4) == 4
    assert await purge_up_to(bus, "THINGS", 4) == 0
    assert await purge_up_to(bus, "THINGS", 10) == 6
    info = await stream_info(bus, "THINGS")
    assert info is not None
    assert (info.first_sequence, info.last_sequence) == (11, 10)
    assert await purge_up_to(bus, "THINGS", 50) == 0
    assert await stream_info(bus, "THINGS") == info
    assert await purge_up_to(bus, "NOTHING", 1) == 0


async def test_delete(bus: Bus) -> None:
    await ensure_stream(bus, SPEC)
    assert await delete_stream(bus, "THINGS") is True
    assert await delete_stream(bus, "THINGS") is False


async def test_consumer_is_updated_and_keeps_its_place(bus: Bus) -> None:
    await ensure_stream(bus, SPEC)
    await publish(bus, 3)
    spec = ConsumerSpec("THINGS", "worker", "things.x", ack_wait_seconds=10)
    await ensure_consumer(bus, spec)
    [message] = await bus.puller("THINGS", "worker", credit=1).take(1, 2)
    await message.ack()
    await ensure_consumer(bus, spec)
    await ensure_consumer(bus, replace(spec, ack_wait_seconds=20))
    info = await bus.api("CONSUMER.INFO.THINGS.worker")
    assert info["config"]["ack_wait"] == 20_000_000_000
    assert info["delivered"]["stream_seq"] >= 1


async def test_region(bus: Bus) -> None:
    for _ in range(2):
        await ensure_region(bus, "eu-1")
    checks, results = await config_of(bus, "CHECKS_eu-1"), await config_of(bus, "RESULTS_eu-1")
    assert (checks["retention"], checks["discard"], checks["max_bytes"]) == ("workqueue", "old", 32 * 1024 * 1024)
    assert checks["allow_msg_ttl"] is True
    assert (results["retention"], results["discard"], results["max_bytes"]) == ("limits", "new", 256 * 1024 * 1024)
    for durable in (subjects.RING_DURABLE, subjects.NOW_DURABLE):
        config = (await bus.api(f"CONSUMER.INFO.CHECKS_eu-1.{durable}"))["config"]
        assert (config["ack_policy"], config["ack_wait"]) == ("explicit", 10_000_000_000)
        assert config["max_ack_pending"] == 20_000
        assert config["filter_subject"] == f"checks.due.eu-1.{durable}"
    await delete_region(bus, "eu-1")
    assert await stream_info(bus, "CHECKS_eu-1") is None
    assert await stream_info(bus, "RESULTS_eu-1") is None


async def test_urgent_checks_do_not_wait_behind_the_ring(bus: Bus) -> None:
    await ensure_region(bus, "eu")
    publisher = bus.publisher()
    for _ in range(50):
        await publisher.publish(subjects.due_ring("eu"), b"ring")
    await publisher.publish(subjects.due_now("eu"), b"now")
    [message] = await bus.puller("CHECKS_eu", subjects.NOW_DURABLE).take(10, 2)
    assert message.data == b"now"


async def test_what_waits_for_a_consumer_is_what_nobody_has_taken(bus: Bus) -> None:
    stream = subjects.checks_stream("eu")
    assert await consumer_pending(bus, stream, subjects.RING_DURABLE) is None
    await ensure_region(bus, "eu")
    assert await consumer_pending(bus, stream, "nobody") is None
    publisher = bus.publisher()
    for _ in range(3):
        await publisher.publish(subjects.due_ring("eu"), b"ring")
    assert await consumer_pending(bus, stream, subjects.RING_DURABLE) == 3
    assert len(await bus.puller(stream, subjects.RING_DURABLE).take(10, 2)) == 3
    assert await consumer_pending(bus, stream, subjects.RING_DURABLE) == 0, "those in somebody's hands do not wait"


async def test_push_region_has_results_only(bus: Bus) -> None:
    await ensure_region(bus, subjects.PUSH_REGION)
    assert await stream_info(bus, subjects.results_stream(subjects.PUSH_REGION)) is not None
    assert await stream_info(bus, subjects.checks_stream(subjects.PUSH_REGION)) is None


async def test_embedded_server_has_room_for_all_at_once(bus: Bus) -> None:
    await ensure_events(bus)
    await ensure_leases(bus)
    for region in (subjects.DEFAULT_REGION, subjects.PUSH_REGION):
        await ensure_region(bus, region)


async def test_events_and_leases(bus: Bus) -> None:
    for _ in range(2):
        await ensure_events(bus)
        await ensure_leases(bus)
    assert (await config_of(bus, "EVENTS"))["subjects"] == ["events.>"]
    assert (await config_of(bus, "KV_leases"))["max_age"] == 2_000_000_000
