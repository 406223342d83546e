"""Acknowledging one of many: its own repeats end, the others go on and are named without it, all of them is silence."""

from typing import Any

import pytest

from farwatch_events.escalation import Escalation
from farwatch_events.events import IncidentAcknowledged
from farwatch_events.matching import NumberedPolicy
from farwatch_events.policies import Policy
from farwatch_notifier.facts import ChannelFacts, GroupItem, IncidentFacts, Origin, Prior, Pursuit
from farwatch_notifier.policy.grouping import decide_flush
from farwatch_notifier.policy.pursuit import begin, pursue
from farwatch_notifier.routing import route
from farwatch_notifier.writing import Ledger
from tests.unit.notifier.samples import EVENT_ID, NOW_MS, channel, facts, incident, recorded

HOUR_MS = 3_600_000
GROUPED = NumberedPolicy(1, Policy.model_validate({"name": "ops", "reminder_seconds": 3600, "grouping": {}}))
ORIGIN = Origin("incident-3", EVENT_ID, 7, 1, 3)


def item(number: int, moment: str = "reminder", at_ms: int = NOW_MS) -> GroupItem:
    return GroupItem(
        channel_id=1, thread=f"incident-{number}", moment=moment, position=number, event_id=EVENT_ID, monitor_id=number,
        incident_id=number, name=f"m{number}", at_ms=at_ms, reason="still open",
    )  # fmt: skip


def troubles(*acknowledged: int, at_ms: int = NOW_MS + 1) -> dict[str, IncidentFacts]:
    """Incidents 1 to 3, some of them acknowledged at that time."""
    when = dict.fromkeys(acknowledged, at_ms)
    return {f"incident-{n}": incident(id=n, acknowledged_ms=when.get(n), acknowledged_by="Ada") for n in (1, 2, 3)}


def told_an_hour_ago(**fields: Any) -> Pursuit:
    """The reminder of an incident that was told in a group, looked at when it is due."""
    escalation = Escalation("down", NOW_MS - HOUR_MS, NOW_MS - HOUR_MS, NOW_MS, step=1, told_ms=NOW_MS - HOUR_MS)
    prior = (Prior(1, "down", "delivered", "group-1/policy/"),)
    return pursue(ORIGIN, GROUPED, escalation, "it is open", facts(channel(1), prior=prior, **fields), NOW_MS)


def test_the_reminder_of_a_group_names_those_that_nobody_acknowledged() -> None:
    flush = decide_flush(1, [item(1), item(2), item(3)], troubles(2))
    assert [each.name for each in flush.problems] == ["m1", "m3"]
    assert [(each.name, why) for each, why in flush.dropped] == [
        ("m2", "acknowledged by Ada before its group was told")
    ]


@pytest.mark.parametrize("moment", ["down", "degraded", "reminder", "behind"])
def test_when_all_are_acknowledged_nothing_is_told(moment: str) -> None:
    flush = decide_flush(1, [item(number, moment) for number in (1, 2, 3)], troubles(1, 2, 3))
    assert (flush.problems, flush.behind, flush.recoveries) == ((), (), ())
    assert len(flush.dropped) == 3


def test_what_got_worse_after_it_was_acknowledged_is_told_in_its_group() -> None:
    flush = decide_flush(1, [item(1, "down", NOW_MS)], troubles(1, at_ms=NOW_MS - 1))
    assert len(flush.problems) == 1


def test_recoveries_of_a_group_name_those_that_were_acknowledged_too() -> None:
    flush = decide_flush(1, [item(1, "up"), item(2, "up")], troubles(1))
    assert len(flush.recoveries) == 2


def test_one_that_was_acknowledged_has_no_reminder_and_is_never_looked_at_again() -> None:
    open_still, seen = told_an_hour_ago(), told_an_hour_ago(incident=incident(acknowledged_ms=NOW_MS - 1))
    assert [(each.moment, each.suppressed, each.group is not None) for each in open_still.intents] == [
        ("reminder", False, True)
    ]
    assert open_still.escalation.due_ms == NOW_MS + HOUR_MS
    assert (seen.intents, seen.escalation.state, seen.escalation.due_ms) == ((), "acknowledged", None)


def acknowledgement(prior: tuple[Prior, ...]) -> list[tuple[str, str]]:
    """The threads that the message belongs to and is sent in."""
    pagerduty = ChannelFacts(1, "on call", True, frozenset({"down", "up"}), "pagerduty")
    event = IncidentAcknowledged(at_ms=NOW_MS, incident_id=3, monitor_id=1, actor="user:1")
    found = route(recorded(event, by="Ada"), facts(pagerduty, prior=prior), NOW_MS)
    assert found.acknowledges == "incident-3"
    return [(each.thread, each.sent_in) for each in found.intents]


def test_an_acknowledgement_is_sent_behind_the_message_it_is_about() -> None:
    """Otherwise a service that was told in a group could hear of it before it heard of the trouble."""
    assert acknowledgement((Prior(1, "down", "pending", "group-1/policy/"),)) == [("incident-3", "group-1/policy/")]
    assert acknowledgement((Prior(1, "down", "pending", "incident-3"),)) == [("incident-3", "incident-3")]


def test_one_who_was_not_told_yet_hears_of_no_acknowledgement() -> None:
    assert acknowledgement(()) == []


def test_an_acknowledgement_before_it_got_worse_does_not_silence_what_is_worse() -> None:
    """Both may be read in one batch: what is written then is the last that was decided."""
    ledger = Ledger()
    ledger.acknowledge("incident-3")
    ledger.end("incident-3")
    ledger.pursue(begin(ORIGIN, GROUPED, "down", "it became down", ("eu",), facts(channel(1)), NOW_MS, NOW_MS))
    assert ledger.acknowledged == set()
    assert [pursuit.escalation.state for pursuit in ledger.pursuits.values()] == ["running"]
    ledger.acknowledge("incident-3")
    assert ledger.acknowledged == {"incident-3"}
