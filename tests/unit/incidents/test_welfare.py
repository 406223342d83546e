"""When Farwatch says that it is unwell itself, and when its dead man's switch may be told that all is well."""

from collections.abc import Sequence

import pytest

from farwatch_events.events import PROBLEMS, DomainEvent, SystemRecovered, SystemTroubled
from farwatch_incidents.welfare import (
    LIMITS,
    Flow,
    Key,
    Push,
    Sign,
    Watched,
    Withheld,
    decide_push,
    decide_welfare,
    recall,
)

T = 1_800_000_000_000


def told(
    problem: str, readings: Sequence[tuple[int, float]], watched: dict[Key, Watched] | None = None
) -> list[tuple[int, str]]:
    """(second, event type) for values read at seconds."""
    watched = watched or {}
    found = []
    for second, value in readings:
        watched, events = decide_welfare(watched, [Sign(problem, "", value, "w")], T + second * 1000)
        found += [(second, event.type) for event in events]
    return found


def test_there_is_a_limit_and_a_word_for_every_problem() -> None:
    assert set(LIMITS) == set(PROBLEMS)


@pytest.mark.parametrize(
    ("problem", "readings", "expected"),
    [
        ("fold_lag", [(0, 60), (5, 60), (9, 60)], []),
        ("fold_lag", [(0, 60), (5, 1), (10, 60), (15, 60)], []),
        ("fold_lag", [(0, 11), (5, 30), (10, 60)], [(10, "system.troubled")]),
        # Between the two limits nothing turns: it neither begins nor ends.
        ("fold_lag", [(0, 9), (60, 9)], []),
        ("fold_lag", [(0, 60), (10, 60), (15, 9), (100, 9)], [(10, "system.troubled")]),
        (
            "fold_lag",
            [(0, 60), (10, 60), (15, 0), (30, 0), (35, 1), (40, 0)],
            [(10, "system.troubled"), (35, "system.recovered")],
        ),
        ("fold_lag", [(0, 60), (10, 60), (15, 0), (30, 60), (35, 1), (50, 0)], [(10, "system.troubled")]),
        ("due_backlog", [(second, 400) for second in range(0, 60, 5)], []),
        ("due_backlog", [(second, 6) for second in range(0, 66, 5)], [(60, "system.troubled")]),
        ("due_backlog", [(second, 5) for second in range(0, 600, 5)], []),
        ("skipped", [(second, 0.3) for second in range(0, 35, 5)] + [(35, 0)], []),
        ("skipped", [(second, 0.01) for second in range(0, 600, 5)], []),
        (
            "skipped",
            [(second, 0.05) for second in range(0, 90, 5)] + [(second, 0) for second in range(90, 200, 5)],
            [(60, "system.troubled"), (150, "system.recovered")],
        ),
        ("unreadable", [(0, 1), (5, 3), (600, 0)], [(0, "system.troubled"), (600, "system.recovered")]),
    ],
)
def test_trouble_has_to_last_and_so_has_its_end(
    problem: str, readings: list[tuple[int, float]], expected: list[tuple[int, str]]
) -> None:
    assert told(problem, readings) == expected


def test_subjects_are_apart_and_one_that_is_gone_has_no_trouble() -> None:
    watched: dict[Key, Watched] = {}
    events: list[DomainEvent] = []
    for second in (0, 60):
        signs = [Sign("due_backlog", "eu", 50, "w"), Sign("due_backlog", "us", 0, "w")]
        watched, events = decide_welfare(watched, signs, T + second * 1000)
    assert events == [SystemTroubled(at_ms=T + 60_000, problem="due_backlog", subject="eu", reason="w")]
    watched, events = decide_welfare(watched, [Sign("due_backlog", "us", 0, "w")], T + 90_000)
    assert [(event.type, event.seconds) for event in events if isinstance(event, SystemRecovered)] == [
        ("system.recovered", 90)
    ]
    assert set(watched) == {("due_backlog", "us")}


def test_who_comes_next_knows_what_stands() -> None:
    begun = [
        SystemTroubled(at_ms=T, problem="outbox", reason="w"),
        SystemTroubled(at_ms=T, problem="fold_lag", reason="w"),
        SystemRecovered(at_ms=T + 1, problem="outbox", reason="w", seconds=1),
    ]
    watched = recall(begun)
    assert watched == {("fold_lag", ""): Watched(troubled_ms=T)}
    assert told("fold_lag", [(5, 60), (15, 60)], watched) == []
    assert told("fold_lag", [(5, 0), (25, 0)], watched) == [(25, "system.recovered")]


@pytest.mark.parametrize(
    ("interval_seconds", "age_seconds", "may"),
    [
        (60, 1, True),
        (60, 90, True),
        (60, 91, False),
        (5, 89, True),
        (5, 91, False),
        (3600, 3000, True),
        (3600, 3631, False),
        (60, None, False),
        (None, 1, False),
    ],
)
def test_the_switch_is_told_only_when_something_went_the_whole_way(
    interval_seconds: int | None, age_seconds: int | None, may: bool
) -> None:
    flow = Flow(
        None if interval_seconds is None else interval_seconds * 1000,
        None if age_seconds is None else T - age_seconds * 1000,
    )
    decision = decide_push(flow, T)
    assert isinstance(decision, Push) is may
    if isinstance(decision, Withheld):
        assert ("no monitor" if interval_seconds is None else "no result") in decision.reason
