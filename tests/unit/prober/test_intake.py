"""Chunks of due checks: what is read anew, what is remembered, and what is refused."""

import json
from typing import Any

import pytest

from farwatch_events.checks import DueCheck, DueChunk
from farwatch_events.monitor import parse_monitor
from farwatch_prober import intake
from farwatch_prober.intake import BadChunk, Reader

MINUTE_MS = 60_000


def a_check(number: int, slot_ms: int, **fields: Any) -> DueCheck:
    spec = parse_monitor({"type": "http", "name": "shop", "url": f"http://shop.test/{number}", **fields})
    return DueCheck(monitor_id=number, config_version=1, slot_ms=slot_ms, spec=spec)


def a_chunk(*checks: DueCheck) -> bytes:
    return DueChunk(region="eu", epoch=7, tick_ms=0, checks=list(checks)).to_bytes()


def test_a_check_that_comes_again_is_the_same_but_for_its_slot() -> None:
    reader = Reader()
    first = reader.read(a_chunk(a_check(1, 1000)), 0).checks[0]
    again = reader.read(a_chunk(a_check(1, 6000)), 0).checks[0]
    assert (first.slot_ms, again.slot_ms) == (1000, 6000)
    assert again == a_check(1, 6000)
    assert again.spec is first.spec


def test_a_changed_check_is_read_anew() -> None:
    reader = Reader()
    for text in ("one", "two", "one"):
        check = a_check(1, 1000, expected_text=text)
        assert reader.read(a_chunk(check), 0).checks == [check]


@pytest.mark.parametrize("change", [{"kind": "manual", "request_id": "r"}, {"kind": "confirmation", "tries": 1}])
def test_a_check_asked_for_meanwhile_leaves_the_scheduled_one_as_it_is(change: dict[str, Any]) -> None:
    reader = Reader()
    scheduled = reader.read(a_chunk(a_check(1, 1000)), 0).checks[0]
    asked = a_check(1, 2000).model_copy(update=change)
    assert reader.read(a_chunk(asked), 0).checks == [asked]
    assert reader.read(a_chunk(a_check(1, 3000)), 0).checks[0].spec is scheduled.spec


def test_what_did_not_come_for_two_periods_is_forgotten() -> None:
    reader = Reader()
    first = reader.read(a_chunk(a_check(1, 1000)), 0).checks[0]
    for minute in range(1, 60):
        reader.read(a_chunk(a_check(2, 1000)), minute * MINUTE_MS)
    assert reader.read(a_chunk(a_check(1, 1000)), 60 * MINUTE_MS).checks[0].spec is not first.spec


def test_what_keeps_coming_is_remembered_for_good() -> None:
    reader = Reader()
    specs = {id(reader.read(a_chunk(a_check(1, 1)), minute * MINUTE_MS).checks[0].spec) for minute in range(60)}
    assert len(specs) == 1


def test_only_so_many_are_remembered(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(intake, "KNOWN_CHECKS", 2)
    reader = Reader()
    chunk = a_chunk(*(a_check(number, 1) for number in range(1, 5)))
    first, again = reader.read(chunk, 0).checks, reader.read(chunk, 0).checks
    assert [one.spec is other.spec for one, other in zip(first, again, strict=True)] == [True, True, False, False]


def test_one_unreadable_check_is_answered_and_does_not_spoil_the_others() -> None:
    raw = json.loads(a_chunk(a_check(1, 1000), a_check(2, 1000)))
    raw["checks"][0]["spec"]["type"] = "teapot"
    reader = Reader()
    for _ in range(2):
        read = reader.read(json.dumps(raw).encode(), 5)
        assert [check.monitor_id for check in read.checks] == [2]
        assert [(result.monitor_id, result.slot_ms, result.error_class) for result in read.refused] == [
            (1, 1000, "internal")
        ]


@pytest.mark.parametrize("slot", ["soon", None, True, 1.5])
def test_a_known_check_with_an_impossible_slot_is_not_run(slot: object) -> None:
    reader = Reader()
    chunk = a_chunk(a_check(1, 1000))
    reader.read(chunk, 0)
    raw = json.loads(chunk)
    raw["checks"][0]["slot_ms"] = slot
    read = reader.read(json.dumps(raw).encode(), 0)
    assert all(type(check.slot_ms) is int for check in read.checks)
    assert reader.read(chunk, 0).checks == [a_check(1, 1000)]


@pytest.mark.parametrize("data", [b"", b"{}", b"[]", b"nonsense", b'{"epoch": "x", "checks": []}', b'{"epoch": 1}'])
def test_what_is_no_chunk_is_said_to_be_none(data: bytes) -> None:
    with pytest.raises(BadChunk):
        Reader().read(data, 0)
