"""Steps, repeats, reminders and holds over time, by a clock that is an argument."""

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from farwatch_events.escalation import (
    DEFAULT_REMINDER_SECONDS,
    RECHECK_MS,
    Advance,
    Escalation,
    Hold,
    Situation,
    advance,
    dump_escalation,
    load_escalation,
    start,
)
from farwatch_events.matching import IMPLICIT, NumberedPolicy
from farwatch_events.policies import Policy

T0 = 1_795_000_000_000
OPEN = Situation()


def numbered(**fields: Any) -> NumberedPolicy:
    return NumberedPolicy(1, Policy.model_validate({"name": "ops", **fields}))


def channels(*ids: int, after: int = 0) -> dict[str, Any]:
    return {"after_seconds": after, "target": {"channels": list(ids)}}


def told_over(policy: NumberedPolicy, seconds: int, situation: Situation = OPEN) -> list[tuple[int, str, list[int]]]:
    """(seconds since the start, kind, channels) of everything told when each due time is kept."""
    told: list[tuple[int, str, list[int]]] = []
    state, now = start(policy, "down", T0, has_parents=False), T0
    while now <= T0 + seconds * 1000:
        found = advance(policy, state, situation, now)
        told += [((now - T0) // 1000, t.kind, t.target.channels if t.target else []) for t in found.tellings]
        state = found.escalation
        if state.due_ms is None:
            break
        now = max(state.due_ms, now)
    return told


def test_the_default_policy_tells_at_once_and_reminds_once_a_day() -> None:
    assert told_over(IMPLICIT, 3600) == [(0, "step", [])]
    assert told_over(IMPLICIT, DEFAULT_REMINDER_SECONDS) == [(0, "step", []), (86_400, "reminder", [])]


def test_steps_come_after_their_time_and_repeat_until_the_limit() -> None:
    policy = numbered(steps=[channels(1), channels(2, after=300)], repeat_seconds=600, repeat_limit=1)
    assert told_over(policy, 7200) == [
        (0, "step", [1]),
        (300, "step", [2]),
        (900, "step", [1]),
        (1200, "step", [2]),
    ]


def test_delay_comes_before_everything() -> None:
    policy = numbered(delay_seconds=120, steps=[channels(1), channels(2, after=60)])
    assert told_over(policy, 3600) == [(120, "step", [1]), (180, "step", [2])]


def test_reminders_come_at_their_interval() -> None:
    told = told_over(numbered(reminder_seconds=1000), 3500)
    assert told == [(0, "step", []), (1000, "reminder", []), (2000, "reminder", []), (3000, "reminder", [])]


def test_monitors_with_parents_wait_for_them() -> None:
    assert start(IMPLICIT, "down", T0, has_parents=True).due_ms == T0 + 30_000
    assert start(numbered(parent_wait_seconds=5, delay_seconds=60), "down", T0, has_parents=True).due_ms == T0 + 60_000


def step(policy: NumberedPolicy, situation: Situation, now_ms: int = T0, **state: Any) -> Advance:
    base: dict[str, Any] = {"moment": "down", "started_ms": T0, "round_ms": T0, "due_ms": T0}
    return advance(policy, Escalation(**(base | state)), situation, now_ms)


def test_acknowledging_stops_it_but_not_when_it_was_about_the_lesser_problem() -> None:
    policy = numbered(steps=[channels(1), channels(2, after=60)])
    after = step(policy, Situation(acknowledged_ms=T0 + 5), T0 + 60_000, step=1)
    assert (after.tellings, after.escalation.state, after.escalation.due_ms) == ((), "acknowledged", None)
    assert step(policy, Situation(acknowledged_ms=T0 - 1)).tellings


@pytest.mark.parametrize(
    ("policy", "situation", "reason"),
    [
        (numbered(steps=[]), OPEN, "policy “ops” tells nobody"),
        (numbered(moments=["up"]), OPEN, "policy “ops” does not take the moment down"),
        (IMPLICIT, Situation(over="it was over before its turn"), "it was over before its turn"),
    ],
)
def test_what_ends_it_says_why(policy: NumberedPolicy, situation: Situation, reason: str) -> None:
    found = step(policy, situation)
    assert (found.over, found.escalation.state, found.escalation.due_ms) == (reason, "ended", None)


def test_quiet_hours_hold_until_their_end_and_are_said_once() -> None:
    policy = numbered(quiet=[{"starts": "00:00", "ends": "23:00"}], time_zone="UTC")
    held = step(policy, OPEN)  # 11:06:40 UTC
    assert held.hold is not None
    assert held.hold.kind == "quiet"
    due_ms = held.escalation.due_ms
    assert due_ms is not None
    assert due_ms % 86_400_000 == 23 * 3_600_000
    assert advance(policy, held.escalation, OPEN, due_ms).tellings


def test_a_hold_is_recorded_once_and_looked_at_again() -> None:
    hold = Hold("regions", "only region eu sees it")
    first = step(IMPLICIT, Situation(regions=hold))
    assert first.hold == hold
    again = advance(IMPLICIT, first.escalation, Situation(regions=hold), T0 + RECHECK_MS)
    assert (again.hold, again.tellings) == (None, ())
    assert advance(IMPLICIT, again.escalation, OPEN, T0 + 2 * RECHECK_MS).tellings


def test_what_came_due_while_nobody_looked_is_told_once_each() -> None:
    policy = numbered(steps=[channels(1), channels(2, after=60), channels(3, after=120)], repeat_seconds=60)
    late = step(policy, OPEN, T0 + 3_600_000)
    assert [each.target.channels for each in late.tellings if each.target] == [[1], [2], [3]]
    assert late.escalation.due_ms == T0 + 3_660_000


def test_it_reads_back_from_the_store() -> None:
    state = step(numbered(), OPEN).escalation
    assert load_escalation(dump_escalation(state)) == state


zones = st.sampled_from(["UTC", "Europe/Berlin", "Australia/Lord_Howe", "America/Sao_Paulo", "Asia/Kathmandu"])
clock = st.integers(0, 1439).map(lambda minute: f"{minute // 60:02}:{minute % 60:02}")
quiet = (
    st.tuples(clock, clock)
    .filter(lambda pair: pair[0] != pair[1])
    .map(lambda pair: {"starts": pair[0], "ends": pair[1]})
)
policies = st.fixed_dictionaries(
    {
        "delay_seconds": st.integers(0, 86_400),
        "steps": st.lists(st.integers(0, 3600), max_size=5).map(
            lambda after: [channels(*([1] * (n % 2)), after=each) for n, each in enumerate(sorted(after))]
        ),
        "repeat_seconds": st.one_of(st.none(), st.integers(30, 86_400)),
        "repeat_limit": st.integers(1, 5),
        "reminder_seconds": st.one_of(st.none(), st.integers(60, 86_400)),
        "time_zone": zones,
        "quiet": st.lists(quiet, max_size=3),
        "parent_wait_seconds": st.integers(0, 3600),
        "moments": st.one_of(st.none(), st.lists(st.sampled_from(["down", "up", "degraded"]), max_size=3)),
    }
)


@settings(max_examples=200, deadline=None)
@given(policies, st.integers(0, 4_000_000_000_000), st.lists(st.integers(0, 200_000_000), max_size=12), st.booleans())
def test_no_policy_raises_and_looking_never_stalls(
    fields: dict[str, Any], at_ms: int, waits: list[int], parents: bool
) -> None:
    policy = numbered(**fields)
    state, now = start(policy, "down", at_ms, has_parents=parents), at_ms
    for wait in waits:
        now += wait
        found = advance(policy, state, OPEN, now)
        state = found.escalation
        assert len(found.tellings) <= max(1, len(policy.policy.steps))
        if state.state == "running":
            assert state.due_ms is not None
            assert state.due_ms > now, "the same moment would be looked at for ever"
        same = advance(policy, state, OPEN, now)
        assert same.tellings == (), "looking twice tells nobody twice"
