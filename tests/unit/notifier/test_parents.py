"""How long an alert waits for what its monitor stands behind to be looked at."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from farwatch_events.channels import Moment
from farwatch_events.escalation import Escalation, Hold, dump_escalation, load_escalation
from farwatch_events.events import DomainEvent, IncidentSeverityRaised, IncidentUnsuppressed, RegionVote
from farwatch_events.matching import IMPLICIT
from farwatch_events.policies import DEFAULT_POLICY, Policy
from farwatch_notifier.facts import Facts, Look, Origin, ParentDown, ParentLooks, Pursuit
from farwatch_notifier.policy.parents import LONGEST_WAIT_MS, wait_for_check, why_undecided
from farwatch_notifier.policy.pursuit import begin, pursue
from farwatch_notifier.routing import route
from tests.unit.notifier.samples import CAUSE, NOW_MS, channel, facts, incident, monitor, opened, recorded

FAILED = NOW_MS - 5_000
BEFORE, SINCE, LATER = FAILED - 1, FAILED, FAILED + 2_000


def router(*looks: Look, verdict: str = "up", interval_ms: int = 300_000, name: str = "Router") -> ParentLooks:
    return ParentLooks(9, name, verdict, interval_ms, 22_000, looks)


def up(slot_ms: int) -> Look:
    return Look(slot_ms, "up")


def failing(slot_ms: int) -> Look:
    """One try too few for a vote."""
    return Look(slot_ms, "up", failed=True)


def down(slot_ms: int) -> Look:
    return Look(slot_ms, "down", failed=True)


def unknown(slot_ms: int) -> Look:
    return Look(slot_ms, "unknown")


@pytest.mark.parametrize(
    ("looks", "verdict", "why"),
    [
        ((), "up", None),  # nobody can look
        ((up(BEFORE),), "up", "checked"),
        ((up(SINCE),), "up", None),
        ((Look(SINCE, "degraded"),), "degraded", None),
        ((unknown(SINCE),), "unknown", "checked"),  # looked, and saw nothing
        ((up(BEFORE),), "unknown", "checked"),
        ((failing(BEFORE),), "up", "checked"),
        ((failing(SINCE),), "up", "confirmed"),
        ((down(SINCE),), "down", None),  # resolved by hand: people know
        ((up(SINCE), up(BEFORE)), "up", None),  # down would need both
        ((up(SINCE), down(BEFORE)), "up", None),
        ((up(SINCE), down(LATER)), "up", "confirmed"),
        ((up(LATER), down(LATER)), "up", "confirmed"),
        ((up(LATER), down(LATER)), "degraded", None),  # from one only, and that is told as such
        ((up(LATER), down(SINCE)), "up", None),
        ((up(SINCE), up(BEFORE), up(BEFORE)), "up", "checked"),
        ((up(SINCE), down(SINCE), up(BEFORE)), "up", "confirmed"),
        ((up(SINCE), up(SINCE), up(BEFORE)), "up", None),
        ((up(SINCE), up(SINCE), up(BEFORE), up(BEFORE), up(BEFORE)), "up", "checked"),
        ((up(SINCE), up(SINCE), up(SINCE), up(BEFORE), unknown(BEFORE)), "up", None),
    ],
)
def test_when_a_parent_is_known_to_be_up(looks: tuple[Look, ...], verdict: str, why: str | None) -> None:
    assert why_undecided(router(*looks, verdict=verdict), FAILED) == why


def hold(parent: ParentLooks, waited_ms: int, moment: str = "down", failed_ms: int = FAILED, **fields: Any) -> Any:
    policy = Policy.model_validate({"name": "p", **fields})
    escalation = Escalation(moment, NOW_MS, NOW_MS, NOW_MS, failed_ms=failed_ms)
    return wait_for_check(policy, escalation, (parent,), NOW_MS + waited_ms)


@pytest.mark.parametrize(
    ("interval_ms", "parent_wait_seconds", "longest_ms"),
    [
        (60_000, 30, 82_000),
        (5_000, 30, 30_000),  # the policy's own, if that is longer
        (300_000, 30, LONGEST_WAIT_MS),
        (86_400_000, 30, LONGEST_WAIT_MS),
        (86_400_000, 3_600, 3_600_000),
        (5_000, 0, 27_000),
    ],
)
def test_it_waits_for_one_more_check_of_the_parent_at_most(
    interval_ms: int, parent_wait_seconds: int, longest_ms: int
) -> None:
    parent = router(up(BEFORE), interval_ms=interval_ms)
    assert hold(parent, longest_ms - 1, parent_wait_seconds=parent_wait_seconds) == Hold(
        "check", "waits for Router to be checked", NOW_MS + longest_ms
    )
    assert hold(parent, longest_ms, parent_wait_seconds=parent_wait_seconds) is None


@pytest.mark.parametrize(("waited_ms", "pause_ms"), [(0, 2_000), (8_000, 2_000), (30_000, 7_500), (120_000, 15_000)])
def test_it_looks_again_soon_at_first(waited_ms: int, pause_ms: int) -> None:
    assert hold(router(up(BEFORE)), waited_ms).until_ms == NOW_MS + waited_ms + pause_ms


def test_only_down_waits_and_only_when_it_is_known_since_when() -> None:
    assert hold(router(up(BEFORE)), 0) is not None
    assert hold(router(up(BEFORE)), 0, moment="degraded") is None
    assert hold(router(up(BEFORE)), 0, failed_ms=0) is None


def test_any_of_several_is_waited_for() -> None:
    escalation = Escalation("down", NOW_MS, NOW_MS, NOW_MS, failed_ms=FAILED)
    quick, slow = router(up(BEFORE), interval_ms=5_000, name="Switch"), router(up(BEFORE))
    first, later = (wait_for_check(DEFAULT_POLICY, escalation, (quick, slow), NOW_MS + at) for at in (0, 31_000))
    assert first is not None
    assert later is not None
    assert (first.reason, later.reason) == ("waits for Switch to be checked", "waits for Router to be checked")


ORIGIN = Origin("incident-3", "e", 7, 1, 3)


def known(**fields: Any) -> Facts:
    return facts(channel(1), **{"monitor": monitor(parents=(9,)), **fields})


def look(before: Pursuit, at_ms: int, **fields: Any) -> Pursuit:
    stored = load_escalation(dump_escalation(before.escalation))
    current = known(incident=incident(opened_ms=NOW_MS), **fields)
    return pursue(ORIGIN, IMPLICIT, stored, "incident 3 is open", current, at_ms)


def reasons(pursuit: Pursuit) -> list[tuple[str, bool]]:
    return [(each.reason, each.suppressed) for each in pursuit.intents]


@pytest.fixture
def begun() -> Pursuit:
    found = begin(
        ORIGIN, IMPLICIT, "down", "it opened", ("eu",), known(above=(router(up(BEFORE)),)), NOW_MS, NOW_MS, FAILED
    )
    assert (found.intents, found.escalation.due_ms) == ((), NOW_MS + 30_000)
    return found


def test_a_parent_that_is_up_since_delays_nothing(begun: Pursuit) -> None:
    told = look(begun, NOW_MS + 30_000, above=(router(up(LATER)),))
    assert [suppressed for _, suppressed in reasons(told)] == [False]


def test_what_was_waited_for_is_recorded_once_and_then_told(begun: Pursuit) -> None:
    waiting = look(begun, NOW_MS + 30_000, above=(router(up(BEFORE)),))
    assert reasons(waiting) == [("waits for Router to be checked", True)]
    assert (waiting.escalation.due_ms, waiting.waits_for) == (NOW_MS + 37_500, None)
    again = look(waiting, NOW_MS + 37_500, above=(router(up(BEFORE)),))
    assert again.intents == ()
    told = look(again, NOW_MS + 46_875, above=(router(up(LATER)),))
    assert [suppressed for _, suppressed in reasons(told)] == [False]


def test_a_parent_found_down_meanwhile_holds_the_alert(begun: Pursuit) -> None:
    waiting = look(begun, NOW_MS + 30_000, above=(router(up(BEFORE)),))
    held = look(waiting, NOW_MS + 37_500, parent=ParentDown(9, "Router", 8))
    assert [(each.suppressed, each.item_moment) for each in held.intents] == [(True, ""), (False, "behind")]
    assert held.waits_for == "incident-8"


def test_what_is_over_meanwhile_tells_nobody(begun: Pursuit) -> None:
    waiting = look(begun, NOW_MS + 30_000, above=(router(up(BEFORE)),))
    over = pursue(
        ORIGIN,
        IMPLICIT,
        waiting.escalation,
        "x",
        known(incident=incident(resolved_ms=NOW_MS + 31_000)),
        NOW_MS + 37_500,
    )
    assert reasons(over) == [("it was over before its turn", True)]


def test_escalations_of_an_older_version_wait_for_nobody() -> None:
    stored = dump_escalation(Escalation("down", NOW_MS, NOW_MS, NOW_MS))
    del stored["failed_ms"]
    assert load_escalation(stored).failed_ms == 0


VOTES = [
    RegionVote(region="eu", vote="down", slot_ms=FAILED - 9),
    RegionVote(region="us", vote="down", slot_ms=FAILED),
    RegionVote(region="ap", vote="up", slot_ms=FAILED + 9),
]
RAISED: dict[str, Any] = {"at_ms": NOW_MS, "incident_id": 3, "monitor_id": 1, "cause": CAUSE, "reason": "Down: eu"}


@pytest.mark.parametrize(
    ("event", "failed_ms"),
    [
        (opened(failed_ms=FAILED + 1, votes=VOTES), FAILED + 1),
        (opened(votes=VOTES), FAILED),  # as events before version 3 say it
        (opened(), 0),
        (IncidentSeverityRaised(**RAISED, severity="down", failed_ms=FAILED), FAILED),
        (IncidentUnsuppressed(at_ms=NOW_MS, incident_id=3, monitor_id=1, reason="Maintenance ended"), NOW_MS - 60_000),
    ],
)
def test_since_when_a_parent_has_to_be_looked_at(event: DomainEvent, failed_ms: int) -> None:
    (pursuit,) = route(recorded(event), known(), NOW_MS).pursuits
    assert pursuit.escalation.failed_ms == failed_ms


looks = st.lists(
    st.builds(
        Look, st.integers(FAILED - 2, FAILED + 2), st.sampled_from(["up", "down", "degraded", "unknown"]), st.booleans()
    ),
    max_size=5,
)


@given(
    looks,
    st.sampled_from(["pending", "up", "degraded", "down", "unknown"]),
    st.integers(5, 86_400),
    st.integers(0, 3_600),
)
def test_no_alert_waits_for_ever(found: list[Look], verdict: str, interval_seconds: int, wait_seconds: int) -> None:
    policy = Policy.model_validate({"name": "p", "parent_wait_seconds": wait_seconds})
    parent = router(*found, verdict=verdict, interval_ms=1000 * interval_seconds)
    moment: Moment = "down"
    escalation, now_ms, looked = Escalation(moment, NOW_MS, NOW_MS, NOW_MS, failed_ms=FAILED), NOW_MS, 0
    while (held := wait_for_check(policy, escalation, (parent,), now_ms)) is not None:
        assert held.until_ms is not None
        assert held.until_ms > now_ms
        now_ms, looked = held.until_ms, looked + 1
    assert now_ms - NOW_MS <= max(1000 * wait_seconds, LONGEST_WAIT_MS)
    assert looked < 300
