"""Chunks put together from parts say the same as the models, within their limits."""

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from farwatch_events.checks import CHUNK_MAX_BYTES, CHUNK_MAX_CHECKS, DueCheck, DueChunk
from farwatch_events.monitor import MonitorSpec, dump_monitor, parse_monitor
from farwatch_scheduler.chunks import Ask, make_chunks, split
from farwatch_scheduler.monitors import Monitor, Row, Shape, Shapes, make_monitor

SLOT = 1_790_000_000_100


def http(**fields: Any) -> MonitorSpec:
    return parse_monitor({"type": "http", "name": "shop", "url": "https://example.com/"} | fields)


def monitor(number: int, config_version: int, spec: MonitorSpec) -> Monitor:
    row = Row.of(number, config_version, dump_monitor(spec))
    return make_monitor(row, Shapes().of(row))


def monitors(count: int, **fields: Any) -> list[Monitor]:
    return [monitor(number, 3, http(**fields)) for number in range(1, count + 1)]


SPECS: list[dict[str, Any]] = [
    {"type": "http", "name": 'ünïcode "quoted" \\ 日本 \u2028', "url": 'https://example.com/?q={"slot_ms":1}'},
    {"type": "http", "name": "a", "url": "http://a/", "headers": {"X-Api-Key": "enc:v1:abc="}, "body": "x\ny\0z"},
    {"type": "http", "name": "a", "url": "http://a/", "auth": {"type": "bearer", "token": "enc:v1:t"}},
    # Its default would be 9.6 s: the 10 s asked for must survive.
    {"type": "http", "name": "slow", "url": "http://a/", "interval_seconds": 12, "timeout_seconds": 10},
    {"type": "ping", "name": "gateway", "host": "192.0.2.1", "packets": 5, "regions": ["eu", "us"]},
    {"type": "port", "name": "db", "host": "db", "port": 5432, "interval_seconds": 5, "retries": 0},
    {"type": "dns", "name": "dns", "host": "example.com", "record_type": "MX", "expected_values": ["10 mx."]},
    {"type": "tls", "name": "tls", "host": "example.com"},
]
ASKS = [
    Ask(),
    Ask(kind="manual", tries=1, request_id='r"1'),
    Ask(kind="confirmation", tries=1, confirmation_of_ms=SLOT - 900),
]


@pytest.mark.parametrize("ask", ASKS, ids=lambda ask: ask.kind)
def test_a_chunk_reads_as_the_models_would_have_written_it(ask: Ask) -> None:
    specs = [parse_monitor(data) for data in SPECS]
    parts = [monitor(number, number + 10, spec) for number, spec in enumerate(specs)]
    (chunk,) = make_chunks("eu-1", 17, SLOT, parts, ask)
    checks = [
        DueCheck(
            monitor_id=number,
            config_version=number + 10,
            slot_ms=SLOT,
            kind=ask.kind,
            tries=ask.tries,
            request_id=ask.request_id,
            confirmation_of_ms=ask.confirmation_of_ms,
            spec=spec,
        )
        for number, spec in enumerate(specs)
    ]
    assert DueChunk.from_bytes(chunk.data) == DueChunk(region="eu-1", epoch=17, tick_ms=SLOT, checks=checks)
    assert chunk.checks == len(specs)


@pytest.mark.parametrize(("count", "sizes"), [(0, []), (1, [1]), (64, [64]), (65, [64, 1]), (200, [64, 64, 64, 8])])
def test_a_chunk_holds_64_checks_at_most(count: int, sizes: list[int]) -> None:
    assert [chunk.checks for chunk in make_chunks("eu", 1, SLOT, monitors(count))] == sizes


def test_a_chunk_holds_256_kib_at_most() -> None:
    chunks = list(make_chunks("eu", 1, SLOT, monitors(20, method="POST", body="x" * 60_000)))
    assert [chunk.checks for chunk in chunks] == [4, 4, 4, 4, 4]
    assert all(len(chunk.data) <= CHUNK_MAX_BYTES for chunk in chunks)


@given(sizes=st.lists(st.integers(50, 98_304), max_size=150), name=st.text("a-z0-9", min_size=32, max_size=32))
@settings(max_examples=50)
def test_whatever_the_sizes_nothing_is_left_out_and_no_limit_passed(sizes: list[int], name: str) -> None:
    shape = Shape((), 60_000, (), 120, b"")
    parts = [Monitor(number, 1, b"x" * size, shape) for number, size in enumerate(sizes)]
    assert [each for part in split(parts) for each in part] == parts
    ask = Ask(kind="confirmation", tries=1, request_id="r" * 36, confirmation_of_ms=SLOT)
    for chunk in make_chunks(name, 2**62, SLOT, parts, ask):
        assert 1 <= chunk.checks <= CHUNK_MAX_CHECKS
        assert len(chunk.data) <= CHUNK_MAX_BYTES


def test_the_message_id_is_the_same_for_the_same_checks_and_no_other() -> None:
    def msg_id(slot_ms: int = SLOT, region: str = "eu", epoch: int = 1, parts: list[Monitor] | None = None) -> str:
        (chunk,) = make_chunks(region, epoch, slot_ms, parts or monitors(3))
        return chunk.msg_id

    assert msg_id().startswith(f"{SLOT}.eu.")
    assert msg_id() == msg_id(epoch=2)
    edited = [*monitors(2), monitor(3, 4, http())]
    others = [msg_id(slot_ms=SLOT + 100), msg_id(region="us"), msg_id(parts=monitors(4)), msg_id(parts=edited)]
    assert len({msg_id(), *others}) == 5


@pytest.mark.parametrize(("interval_seconds", "ttl_seconds"), [(5, 60), (30, 60), (31, 62), (3600, 7200)])
def test_due_checks_live_for_two_intervals_and_a_minute_at_least(interval_seconds: int, ttl_seconds: int) -> None:
    (chunk,) = make_chunks("eu", 1, SLOT, [*monitors(1), *monitors(1, interval_seconds=interval_seconds)])
    assert chunk.ttl_seconds == max(ttl_seconds, 120)
    (chunk,) = make_chunks("eu", 1, SLOT, monitors(1, interval_seconds=interval_seconds))
    assert chunk.ttl_seconds == ttl_seconds
