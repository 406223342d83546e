"""Policies applied to events: every route answers, nothing is told twice, and a recovery is always owed."""

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from farwatch_events.events import DeliveryFailed, DomainEvent, FirstFailure, IncidentSeverityRaised, RegionSilenced
from farwatch_events.matching import NumberedPolicy, NumberedSilence
from farwatch_events.policies import Match, Policy
from farwatch_notifier.breaker import FIRST_PAUSE_MS, LONGEST_PAUSE_MS, OPEN_AFTER, Breaker, is_stale, note_failure
from farwatch_notifier.facts import Facts, GroupItem, Intent, ParentDown, Prior
from farwatch_notifier.policy.fallback import FailedDelivery, find_fallback, route_failed
from farwatch_notifier.policy.grouping import decide_flush, flush_at_ms
from farwatch_notifier.routing import route
from tests.unit.notifier.samples import CAUSE, EVENT_ID, NOW_MS, channel, facts, incident, monitor, opened, recorded
from tests.unit.notifier.samples import resolved as ended


def policy(number: int = 1, **fields: Any) -> NumberedPolicy:
    return NumberedPolicy(number, Policy.model_validate({"name": f"p{number}", **fields}))


def intents_of(event: DomainEvent, known: Facts) -> list[Intent]:
    found = route(recorded(event), known, NOW_MS)
    return [*found.intents, *(intent for pursuit in found.pursuits for intent in pursuit.intents)]


def step(*channels: int, after: int = 0) -> dict[str, Any]:
    return {"after_seconds": after, "target": {"channels": list(channels)}}


def test_a_policy_names_the_channels_of_its_first_step() -> None:
    known = facts(channel(1), channel(2), policies=(policy(steps=[step(2), step(1, after=60)]),))
    (told,) = intents_of(opened(), known)
    assert (told.channel_id, told.suppressed, told.policy_id, told.step) == (2, False, 1, 0)
    assert told.reason == "incident 3 opened; the policy names this channel; policy “p1”, step 1"


@pytest.mark.parametrize(
    ("fields", "why"),
    [
        ({"policies": (policy(steps=[]),)}, "policy “p1” tells nobody"),
        ({"policies": (policy(moments=["up"]),)}, "the policy does not take the moment down"),
        ({"untrusted": frozenset({"eu", "us", "asia"})}, "only regions that are not to be trusted now see it: eu, us"),
        ({"parent": ParentDown(9, "Router", 2)}, "Router, which it stands behind, is down (incident 2)"),
        (
            {"policies": (policy(quiet=[{"starts": "00:00", "ends": "24:00"}]),)},
            "quiet hours of policy “p1”",
        ),
        (
            {"silences": (NumberedSilence(4, Match(), "moving", 0, NOW_MS + 1),)},
            "silence 4 until 18 Nov 2026, 11:06:40 UTC: moving",
        ),
    ],
)
def test_what_holds_an_alert_back_is_its_reason(fields: dict[str, Any], why: str) -> None:
    held = [each for each in intents_of(opened(), facts(channel(1), **fields)) if each.suppressed]
    assert [each.reason for each in held] == [why]


def test_one_region_that_is_trusted_is_enough() -> None:
    (told,) = intents_of(opened(), facts(channel(1), untrusted=frozenset({"eu"})))
    assert not told.suppressed


def test_a_recovery_comes_through_silence_quiet_hours_and_a_policy_that_tells_nobody() -> None:
    known = facts(
        channel(1),
        prior=(Prior(1, "down", "delivered", "incident-3"),),
        policies=(policy(steps=[], quiet=[{"starts": "00:00", "ends": "24:00"}]),),
        silences=(NumberedSilence(4, Match(), "moving", 0, NOW_MS * 2),),
    )
    (told,) = intents_of(ended(), known)
    assert (told.moment, told.suppressed) == ("up", False)


def test_what_was_told_in_a_group_recovers_in_it() -> None:
    grouped = policy(grouping={"by": "tag"}, match={"tags": ["db"]})
    known = facts(channel(1), monitor=monitor(tags=frozenset({"db", "a"})), policies=(grouped,))
    (told,) = intents_of(opened(), known)
    assert told.group is not None
    assert told.group.key == "1/tag/db"
    known = facts(channel(1), prior=(Prior(1, "down", "delivered", told.group.thread),), policies=(grouped,))
    (recovery,) = intents_of(ended(), known)
    assert recovery.group is not None
    assert recovery.group.key == "1/tag/db"


def item(number: int, moment: str = "down") -> GroupItem:
    return GroupItem(1, f"incident-{number}", moment, number, "e", number, number, f"m{number}", NOW_MS, "why")


def test_a_group_leaves_out_what_is_no_longer_true() -> None:
    troubles = {
        "incident-1": incident(id=1),
        "incident-2": incident(id=2, resolved_ms=NOW_MS),
        "incident-3": incident(id=3, acknowledged_ms=NOW_MS + 1, acknowledged_by="user:2"),
    }
    flush = decide_flush(1, [item(1), item(2), item(3), item(4), item(2, "up"), item(1, "behind")], troubles)
    assert [each.thread for each in flush.problems] == ["incident-1"]
    assert [each.thread for each in flush.recoveries] == ["incident-2"]
    assert [each.thread for each in flush.behind] == ["incident-1"]
    assert [why for _, why in flush.dropped] == [
        "it was over before its group was told",
        "acknowledged by user:2 before its group was told",
        "the incident is not known any more",
    ]


def test_a_group_waits_and_keeps_its_distance() -> None:
    assert flush_at_ms(5_000, 60, None, NOW_MS) == NOW_MS + 5_000
    assert flush_at_ms(5_000, 60, NOW_MS - 10_000, NOW_MS) == NOW_MS + 50_000
    assert flush_at_ms(5_000, 60, NOW_MS - 90_000, NOW_MS) == NOW_MS + 5_000


def test_a_channel_rests_longer_the_longer_it_fails() -> None:
    breaker, pauses = Breaker(), []
    for _ in range(OPEN_AFTER + 8):
        breaker, until_ms = note_failure(breaker, NOW_MS)
        pauses.append(None if until_ms is None else until_ms - NOW_MS)
    assert pauses[: OPEN_AFTER - 1] == [None] * (OPEN_AFTER - 1)
    assert pauses[OPEN_AFTER - 1 : OPEN_AFTER + 1] == [FIRST_PAUSE_MS, 2 * FIRST_PAUSE_MS]
    assert pauses[-1] == LONGEST_PAUSE_MS


@pytest.mark.parametrize(
    ("thread", "superseded", "age_ms", "stale"),
    [
        ("incident-3", True, 60_000, True),
        ("incident-3", True, 59_999, False),
        ("incident-3", False, 9_000_000, False),
        ("group-1/policy/", True, 9_000_000, False),
    ],
)
def test_what_gives_way(thread: str, superseded: bool, age_ms: int, stale: bool) -> None:
    assert is_stale(thread=thread, superseded=superseded, created_ms=0, now_ms=age_ms) is stale


def test_a_dead_letter_goes_to_the_fallback_of_its_policy_and_never_back_to_itself() -> None:
    failed = FailedDelivery(1, "down", "incident-3", 1, 1, 3, {"kind": "down"}, [(7, "incident-3", "down")])
    event = DeliveryFailed(at_ms=NOW_MS, channel_id=1, delivery_id=5, moment="down", error="answered 400")
    found = route_failed(event, EVENT_ID, 9, failed, [channel(1), channel(2)], 2)
    assert found is not None
    assert (found[0].channel_id, found[0].thread) == (2, "incident-3")
    assert found[1]["reason"].startswith("Sent here because channel “channel 1” did not take it (answered 400)")
    for fallback in (1, 3, None):
        assert route_failed(event, EVENT_ID, 9, failed, [channel(1), channel(2)], fallback) is None
    assert find_fallback([policy(fallback_channel=4)], 1, 2) == 4
    assert find_fallback([policy()], 1, 2) == 2


ids = st.lists(st.integers(1, 4), max_size=3)
matches = st.fixed_dictionaries(
    {
        "monitors": st.lists(st.integers(1, 3), max_size=2),
        "tags": st.lists(st.sampled_from(["a", "b"]), max_size=2),
        "types": st.lists(st.sampled_from(["http", "ping"]), max_size=2),
        "severities": st.lists(st.sampled_from(["down", "degraded"]), max_size=2),
        "regions": st.lists(st.sampled_from(["eu", "us"]), max_size=2),
    }
)
policies = st.builds(
    lambda number, match, steps, moments, proceed, grouping, quiet, enabled: policy(
        number,
        match=match,
        steps=[step(*channels, after=60 * place) for place, channels in enumerate(steps)],
        moments=moments,
        proceed=proceed,
        grouping=grouping,
        quiet=[{"starts": "00:00", "ends": "12:00"}] if quiet else [],
        enabled=enabled,
    ),
    st.integers(1, 5),
    matches,
    st.lists(ids, max_size=3),
    st.one_of(st.none(), st.lists(st.sampled_from(["down", "up", "degraded", "first_failure"]), max_size=3)),
    st.booleans(),
    st.one_of(st.none(), st.fixed_dictionaries({"by": st.sampled_from(["policy", "tag", "parent"])})),
    st.booleans(),
    st.booleans(),
)
channels = st.lists(
    st.builds(
        lambda number, moments, enabled: channel(number, *moments, enabled=enabled),
        st.integers(1, 4),
        st.lists(st.sampled_from(["down", "up", "degraded", "first_failure", "region"]), max_size=4),
        st.booleans(),
    ),
    max_size=4,
    unique_by=lambda each: each.id,
)
events = st.sampled_from(
    [
        opened(),
        opened(severity="degraded", regions=[]),
        opened(suppressed="maintenance"),
        ended(),
        ended(how="deleted"),
        IncidentSeverityRaised(
            at_ms=NOW_MS, incident_id=3, monitor_id=1, severity="down", cause=CAUSE, reason="worse", votes=[]
        ),
        FirstFailure(at_ms=NOW_MS, monitor_id=1, region="eu", slot_ms=NOW_MS),
        RegionSilenced(at_ms=NOW_MS, region="eu", last_seen_ms=NOW_MS),
    ]
)


@settings(max_examples=300, deadline=None)
@given(
    events,
    st.lists(policies, max_size=4, unique_by=lambda each: each.id),
    channels,
    st.booleans(),
    st.booleans(),
    st.booleans(),
    st.sampled_from(
        [None, monitor(), monitor(tags=frozenset("ab"), channels=(1, 9), parents=(2,)), monitor(deleted=True)]
    ),
)
def test_no_policy_or_empty_route_raises_and_told_recoveries_come(
    event: DomainEvent,
    found: list[NumberedPolicy],
    known_channels: list[Any],
    told: bool,
    silenced: bool,
    behind: bool,
    of: Any,
) -> None:
    known = facts(
        *known_channels,
        monitor=of,
        policies=tuple(found),
        prior=tuple(Prior(each.id, "down", "delivered", "incident-3") for each in known_channels) if told else (),
        silences=(NumberedSilence(1, Match(), "x", 0, NOW_MS * 2),) if silenced else (),
        parent=ParentDown(2, "Router", 8) if behind else None,
    )
    intents = intents_of(event, known)
    active = [each for each in intents if not each.suppressed and each.item_moment != "behind"]
    assert len({each.dedup_key for each in active}) == len({(e.channel_id, e.moment) for e in active})
    assert all(each.reason for each in intents)
    if told and event == ended():
        owed = {each.id for each in known_channels if each.enabled and "up" in each.moments}
        without_moments = all(each.policy.moments is None for each in found)
        if without_moments:
            assert {each.channel_id for each in active} == owed
