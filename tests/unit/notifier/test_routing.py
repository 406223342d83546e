"""Who is told, who is not, and why."""

from dataclasses import replace
from typing import Any

import pytest

from farwatch_events.events import (
    DomainEvent,
    FirstFailure,
    FirstSuccess,
    IncidentAcknowledged,
    IncidentSeverityRaised,
    IncidentUnsuppressed,
    MonitorPaused,
    RegionReturned,
    RegionSilenced,
)
from farwatch_notifier.facts import DeliveryState, Facts, Intent, Prior, Routed
from farwatch_notifier.policy.choosing import dedup_key
from farwatch_notifier.routing import STALE_AFTER_MS, route
from tests.unit.notifier.samples import CAUSE, EVENT_ID, NOW_MS, channel, facts, incident, monitor, opened, recorded
from tests.unit.notifier.samples import resolved as ended


def decide(event: DomainEvent, known: Facts, now_ms: int = NOW_MS) -> list[Intent]:
    found = route(recorded(event), known, now_ms)
    return [*found.intents, *(intent for pursuit in found.pursuits for intent in pursuit.intents)]


def told(intents: list[Intent]) -> list[tuple[int, str]]:
    return [(intent.channel_id, intent.moment) for intent in intents if not intent.suppressed]


def only(intents: list[Intent]) -> Intent:
    assert len(intents) == 1
    return intents[0]


def prior(*deliveries: tuple[str, DeliveryState], channel_id: int = 1) -> tuple[Prior, ...]:
    return tuple(Prior(channel_id, moment, state) for moment, state in deliveries)


def raised(**fields: Any) -> IncidentSeverityRaised:
    base: dict[str, Any] = {"incident_id": 3, "monitor_id": 1, "severity": "down", "cause": CAUSE, "reason": "worse"}
    return IncidentSeverityRaised(at_ms=NOW_MS, **(base | fields))


def unsuppressed() -> IncidentUnsuppressed:
    return IncidentUnsuppressed(at_ms=NOW_MS, incident_id=3, monitor_id=1, reason="maintenance ended")


def first_failure(**fields: Any) -> FirstFailure:
    return FirstFailure(at_ms=NOW_MS, monitor_id=1, region="eu", slot_ms=NOW_MS, error="refused", **fields)


def first_success(**fields: Any) -> FirstSuccess:
    return FirstSuccess(at_ms=NOW_MS, monitor_id=1, region="eu", slot_ms=NOW_MS, **fields)


def test_a_monitor_without_channels_uses_all_enabled_ones() -> None:
    intents = decide(opened(), facts(channel(1), channel(2), channel(3, enabled=False)))
    assert told(intents) == [(1, "down"), (2, "down")]
    assert len(intents) == 2
    assert intents[0].reason == "incident 3 opened; every enabled channel is used"


def test_a_monitor_that_names_channels_uses_those_and_says_when_one_is_off() -> None:
    known = facts(channel(1), channel(2), channel(3, enabled=False), monitor=monitor(channels=(2, 3)))
    intents = decide(opened(), known)
    assert told(intents) == [(2, "down")]
    assert [(i.channel_id, i.reason) for i in intents if i.suppressed] == [(3, "the channel is off")]


def test_an_intent_knows_its_event_incident_and_thread() -> None:
    intent = only(decide(opened(), facts(channel(1))))
    assert (intent.positions, intent.incident_id, intent.monitor_id) == ((7,), 3, 1)
    assert intent.thread == "incident-3"
    assert intent.dedup_key == dedup_key(EVENT_ID, 1, "down")
    assert "." not in intent.dedup_key


def test_a_replay_gives_the_same_keys_and_other_events_others() -> None:
    known = facts(channel(1), channel(2))
    keys = [i.dedup_key for i in decide(opened(), known)]
    assert keys == [i.dedup_key for i in decide(opened(), known)]
    assert len({*keys, dedup_key("other", 1, "down"), dedup_key(EVENT_ID, 1, "up")}) == 4


@pytest.mark.parametrize(
    ("event", "known", "why"),
    [
        (opened(severity="degraded"), facts(channel(1)), "the channel does not take the moment degraded"),
        (opened(), facts(channel(1, "up")), "the channel does not take the moment down"),
        (opened(suppressed="maintenance"), facts(channel(1)), "suppressed: maintenance"),
        (opened(), facts(channel(1), monitor=monitor(enabled=False)), "the monitor was paused since"),
        (opened(), facts(channel(1), monitor=monitor(deleted=True)), "the monitor was deleted since"),
        (opened(), facts(channel(1), monitor=None), "the monitor was deleted since"),
        (opened(), facts(channel(1), prior=prior(("down", "pending"))), "the channel was told already"),
        (raised(), facts(channel(1), incident=incident(suppressed="maintenance")), "suppressed: maintenance"),
        (raised(), facts(channel(1), prior=prior(("down", "delivered"))), "the channel was told already"),
        (
            unsuppressed(),
            facts(channel(1), incident=incident(acknowledged_ms=NOW_MS - 1, acknowledged_by="user:2")),
            "acknowledged by user:2 before",
        ),
        (ended(), facts(channel(1)), "the channel was not told of the incident"),
        (ended(suppressed="maintenance"), facts(channel(1)), "suppressed: maintenance"),
        (ended(how="paused"), facts(channel(1), prior=prior(("down", "delivered"))), "the monitor was paused"),
        (ended(how="deleted"), facts(channel(1), prior=prior(("down", "delivered"))), "the monitor was deleted"),
        (ended(), facts(channel(1), prior=prior(("down", "failed"))), "the channel was not told of the incident"),
        (ended(), facts(channel(1), prior=prior(("down", "suppressed"))), "the channel was not told of the incident"),
        (
            ended(),
            facts(channel(1), prior=prior(("down", "delivered"), ("up", "delivered"))),
            "the channel was not told of the incident",
        ),
        (
            ended(),
            facts(channel(1, "down"), prior=prior(("down", "delivered"))),
            "the channel does not take the moment up",
        ),
        (
            ended(),
            facts(channel(1, enabled=False), prior=prior(("down", "delivered"))),
            "the channel is off",
        ),
        (
            first_failure(confirmed=True),
            facts(channel(1, "down", "first_failure"), incident=None),
            "the same result is told as down",
        ),
        (
            first_failure(),
            facts(channel(1, "first_failure"), incident=None, maintenance="move"),
            "suppressed: maintenance move",
        ),
        (first_failure(), facts(channel(1, "first_failure")), "incident 3 is open and speaks for it"),
        (
            first_success(recovered=True),
            facts(channel(1, "up", "first_success"), incident=None),
            "the same result is told as the recovery",
        ),
    ],
)
def test_nobody_is_told_and_the_reason_is_kept(event: DomainEvent, known: Facts, why: str) -> None:
    intent = only(decide(event, known))
    assert intent.suppressed
    assert intent.reason == why


@pytest.mark.parametrize(
    ("event", "known", "moment"),
    [
        (opened(severity="degraded"), facts(channel(1, "degraded")), "degraded"),
        (opened(reopened=True), facts(channel(1), prior=prior(("down", "delivered"), ("up", "delivered"))), "down"),
        (raised(), facts(channel(1)), "down"),
        (raised(), facts(channel(1, "down", "degraded"), prior=prior(("degraded", "delivered"))), "down"),
        (raised(), facts(channel(1), incident=incident(acknowledged_ms=NOW_MS - 1)), "down"),
        (unsuppressed(), facts(channel(1)), "down"),
        (unsuppressed(), facts(channel(1), prior=prior(("down", "suppressed"))), "down"),
        (ended(), facts(channel(1), prior=prior(("down", "delivered"))), "up"),
        (ended(), facts(channel(1), prior=prior(("down", "pending"))), "up"),
        (ended(), facts(channel(1, "up", "degraded"), prior=prior(("degraded", "delivered"))), "up"),
        (ended(how="manual"), facts(channel(1), prior=prior(("down", "delivered"))), "up"),
        (ended(), facts(channel(1, "up")), "up"),
        (first_failure(), facts(channel(1, "first_failure"), incident=None), "first_failure"),
        (first_failure(confirmed=True), facts(channel(1, "first_failure"), incident=None), "first_failure"),
        (first_success(), facts(channel(1, "first_success"), incident=None), "first_success"),
        (first_success(recovered=True), facts(channel(1, "first_success"), incident=None), "first_success"),
    ],
)
def test_the_channel_is_told(event: DomainEvent, known: Facts, moment: str) -> None:
    assert told(decide(event, known)) == [(1, moment)]


def test_recovery_is_owed_to_a_channel_the_monitor_no_longer_names() -> None:
    known = facts(channel(1), channel(2), monitor=monitor(channels=(2,)), prior=prior(("down", "delivered")))
    assert told(decide(ended(), known)) == [(1, "up")]


def test_recovery_is_owed_although_the_monitor_was_paused_after_it() -> None:
    known = facts(channel(1), monitor=monitor(enabled=False), prior=prior(("down", "delivered")))
    assert told(decide(ended(), known)) == [(1, "up")]


def test_first_failure_and_down_from_one_result_are_one_message() -> None:
    both = channel(1, "down", "up", "first_failure", "first_success")
    before = facts(both, incident=None)
    told_of_both = told(decide(first_failure(confirmed=True), before)) + told(decide(opened(), facts(both)))
    assert told_of_both == [(1, "down")]


def test_a_check_saved_by_its_retry_is_first_failure_then_first_success() -> None:
    known = facts(channel(1, "down", "up", "first_failure", "first_success"), incident=None)
    assert told(decide(first_failure(), known)) == [(1, "first_failure")]
    assert told(decide(first_success(), known)) == [(1, "first_success")]


def test_single_failures_leave_no_trace_for_channels_that_do_not_take_them() -> None:
    assert decide(first_failure(), facts(channel(1), incident=None)) == []


def test_regions_are_news_for_those_who_take_them() -> None:
    known = Facts(channels=(channel(1), channel(2, "region"), channel(3, "region", enabled=False)))
    silenced = RegionSilenced(at_ms=NOW_MS, region="eu", last_seen_ms=NOW_MS - 10_000)
    intent = only(decide(silenced, known))
    assert (intent.channel_id, intent.moment, intent.thread) == (2, "region", "region-eu")
    assert told(decide(RegionReturned(at_ms=NOW_MS, region="eu", silent_seconds=60), known)) == [(2, "region")]


@pytest.mark.parametrize(
    "event",
    [
        IncidentAcknowledged(at_ms=NOW_MS, incident_id=3, monitor_id=1, actor="user:1"),
        MonitorPaused(at_ms=NOW_MS, monitor_id=1, config_version=2),
    ],
)
def test_other_events_tell_nobody(event: DomainEvent) -> None:
    assert decide(event, facts(channel(1))) == []


def test_an_unknown_event_type_of_a_newer_version_tells_nobody() -> None:
    newer = recorded(opened()).model_copy(update={"type": "incident.merged"})
    assert route(newer, facts(channel(1)), NOW_MS) == Routed()


def test_what_was_read_a_day_late_is_history() -> None:
    late = only(decide(opened(), facts(channel(1)), NOW_MS + STALE_AFTER_MS + 1))
    assert late.suppressed
    assert late.reason == "the event was over 24 hours old when it was read"
    assert told(decide(opened(), facts(channel(1)), NOW_MS + STALE_AFTER_MS)) == [(1, "down")]


def test_without_its_incident_an_unsuppressed_event_tells_nobody() -> None:
    assert decide(unsuppressed(), replace(facts(channel(1)), incident=None)) == []
