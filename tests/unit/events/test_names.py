"""Subjects and identifiers."""

import uuid

import pytest
from hypothesis import given
from hypothesis import strategies as st

from farwatch_events import subjects
from farwatch_events.ids import uuid7
from farwatch_events.results import CheckResult, Heartbeat, ResultBatch, parse_result_message


@pytest.mark.parametrize("region", ["", "EU", "a.b", "a*", ">", "x" * 33, "a b", "é"])
def test_a_region_that_could_not_stand_in_a_subject_is_refused(region: str) -> None:
    for name in (subjects.checks_stream, subjects.results_stream, subjects.due_now, subjects.due_ring, subjects.result):
        with pytest.raises(ValueError, match="region"):
            name(region)


def test_subjects_fall_under_their_stream_filters() -> None:
    assert subjects.due_ring("eu").startswith(subjects.checks_filter("eu").removesuffix(">"))
    assert subjects.due_now("eu").startswith(subjects.checks_filter("eu").removesuffix(">"))
    assert subjects.result("eu").startswith(subjects.results_filter("eu").removesuffix(">"))
    assert subjects.event("incident.opened") == "events.incident.opened"


@given(st.integers(0, 2**48 - 1), st.binary(min_size=10, max_size=10), st.binary(min_size=10, max_size=10))
def test_uuid7_is_valid_and_sorts_by_time(now_ms: int, entropy: bytes, other: bytes) -> None:
    value = uuid7(now_ms, entropy)
    assert (value.version, value.variant, value.int >> 80) == (7, uuid.RFC_4122, now_ms)
    if now_ms:
        assert uuid7(now_ms - 1, other) < value


def test_result_messages_are_told_apart_whatever_the_order_of_their_fields() -> None:
    beat = Heartbeat(type="heartbeat", region="eu", prober="p", sent_ms=1)
    result = CheckResult(monitor_id=1, config_version=1, slot_ms=0, outcome="up", started_ms=1, finished_ms=2)
    batch = ResultBatch(type="results", region="eu", prober="p", results=[result])
    assert parse_result_message(beat.to_bytes()) == beat
    assert parse_result_message(batch.to_bytes()) == batch
    assert parse_result_message(b'{"region":"eu","sent_ms":1,"prober":"p","type":"heartbeat"}') == beat
    for garbage in (b"", b"{}", b"[]", b'{"type":"x"}', b"\xff"):
        with pytest.raises(ValueError, match="validation error"):
            parse_result_message(garbage)
