"""Chunks of due checks: what is read anew, what is remembered, and what is refused."""

import json
from typing import Any
from weakref import ref

import pytest

from farwatch_events.checks import DueCheck, DueChunk
from farwatch_events.monitor import parse_monitor
from farwatch_prober import intake
from farwatch_prober.due import Due, Scheduled
from farwatch_prober.intake import BadChunk, Reader
from tests.support.due import chunk_of

MINUTE_MS = 60_000


def a_check(number: int, slot_ms: int, **fields: Any) -> DueCheck:
    spec = parse_monitor({"type": "http", "name": "shop", "url": f"http://shop.test/{number}", **fields})
    return DueCheck(monitor_id=number, config_version=1, slot_ms=slot_ms, spec=spec)


def a_chunk(*checks: DueCheck, **asked: Any) -> bytes:
    return chunk_of("eu", 7, checks[0].slot_ms, checks, **asked)


def any_chunk(*checks: DueCheck) -> bytes:
    """In another order of fields, which says the same."""
    return DueChunk(region="eu", epoch=7, tick_ms=0, checks=list(checks)).to_bytes()


def facts(due: Due) -> tuple[Any, ...]:
    return tuple(getattr(due, name) for name in Scheduled._fields)


def test_a_check_that_comes_again_is_the_same_but_for_its_slot() -> None:
    reader = Reader()
    first = reader.read(a_chunk(a_check(1, 1000)), 0)
    again = reader.read(a_chunk(a_check(1, 6000)), 0)
    assert facts(first.checks[0]) == facts(a_check(1, 1000))
    assert facts(again.checks[0]) == facts(a_check(1, 6000))
    assert again.checks[0].spec is first.checks[0].spec
    assert (first.epoch, again.epoch) == (7, 7)


def test_a_changed_check_is_read_anew() -> None:
    reader = Reader()
    for text in ("one", "two", "one"):
        check = a_check(1, 1000, expected_text=text)
        assert [facts(found) for found in reader.read(a_chunk(check), 0).checks] == [facts(check)]


@pytest.mark.parametrize(
    "asked",
    [{"kind": "manual", "request_id": "r"}, {"kind": "confirmation", "tries": 1, "confirmation_of_ms": 9}],
)
def test_a_check_asked_for_meanwhile_leaves_the_scheduled_one_as_it_is(asked: dict[str, Any]) -> None:
    reader = Reader()
    scheduled = reader.read(a_chunk(a_check(1, 1000)), 0).checks[0]
    for slot_ms in (2000, 2500):
        found = reader.read(a_chunk(a_check(1, slot_ms), **asked), 0).checks[0]
        assert facts(found) == facts(a_check(1, slot_ms).model_copy(update=asked))
    assert reader.read(a_chunk(a_check(1, 3000)), 0).checks[0].spec is scheduled.spec


def test_any_other_way_to_write_a_chunk_says_the_same() -> None:
    reader = Reader()
    checks = [a_check(number, 1000 + number) for number in range(1, 4)]
    for data in (any_chunk(*checks), json.dumps(json.loads(any_chunk(*checks)), indent=1).encode()):
        read = reader.read(data, 0)
        assert (read.epoch, [facts(found) for found in read.checks]) == (7, [facts(check) for check in checks])


@pytest.mark.parametrize("known", [False, True])
def test_what_looks_like_a_seam_inside_a_check_is_none(known: bool) -> None:
    """A body of JSON that is written as a chunk's seams are, by somebody who guessed the slot."""
    reader = Reader()
    inside = json.loads(a_chunk(a_check(1, 1000)))["checks"]
    posed = a_check(2, 1000, method="POST", body_json=[{"a": 1}, *inside, {"slot_ms": 1000, "monitor_id": 3}])
    if known:
        reader.read(a_chunk(a_check(1, 1000), posed, a_check(4, 1000)), 0)
    read = reader.read(a_chunk(a_check(1, 1000), posed, a_check(4, 1000)), 0)
    assert [found.monitor_id for found in read.checks] == [1, 2, 4]
    assert facts(read.checks[1]) == facts(posed)


def test_what_did_not_come_for_two_periods_is_forgotten() -> None:
    reader = Reader()
    first = reader.read(a_chunk(a_check(1, 1000)), 0).checks[0]
    for minute in range(1, 60):
        reader.read(a_chunk(a_check(2, 1000)), minute * MINUTE_MS)
    assert reader.read(a_chunk(a_check(1, 1000)), 60 * MINUTE_MS).checks[0].spec is not first.spec


def test_what_is_forgotten_goes_in_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(intake, "FORGOTTEN_AT_ONCE", 2)
    reader = Reader()
    many = reader.read(a_chunk(*(a_check(number, 1) for number in range(1, 8))), 0)
    kept = [ref(each.spec) for each in many.checks]
    del many
    left = []
    for minute in (0, 11, 22, 22, 22, 22):
        reader.read(a_chunk(a_check(9, 1)), minute * MINUTE_MS)
        left.append(sum(each() is not None for each in kept))
    assert left == [7, 7, 5, 3, 1, 0]


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
    assert [facts(found) for found in reader.read(chunk, 0).checks] == [facts(a_check(1, 1000))]


@pytest.mark.parametrize("data", [b"", b"{}", b"[]", b"nonsense", b'{"epoch": "x", "checks": []}', b'{"epoch": 1}'])
def test_what_is_no_chunk_is_said_to_be_none(data: bytes) -> None:
    with pytest.raises(BadChunk):
        Reader().read(data, 0)
