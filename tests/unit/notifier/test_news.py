"""News that is no incident: Farwatch itself, flapping, acknowledgements."""

from dataclasses import replace
from typing import Any

import pytest

from farwatch_events.events import (
    DomainEvent,
    DrillAcknowledged,
    FlappingEnded,
    FlappingStarted,
    IncidentAcknowledged,
    SystemRecovered,
    SystemTroubled,
)
from farwatch_events.matching import NumberedPolicy, NumberedSilence
from farwatch_events.policies import Match, parse_policy
from farwatch_notifier.channels import discord, slack
from farwatch_notifier.channels.email_body import render_html
from farwatch_notifier.channels.pagerduty import ACTIONS, render
from farwatch_notifier.facts import DeliveryState, Facts, Intent, ParentDown, Prior
from farwatch_notifier.message import Alert, build_alert
from farwatch_notifier.routing import route
from tests.unit.notifier.samples import NOW_MS, channel, facts, incident, monitor, recorded
from tests.unit.notifier.test_looks import HOSTILE, mrkdwn_of, parsed, unescaped
from tests.unit.notifier.test_looks_of_services import PAGERDUTY

TROUBLED = SystemTroubled(at_ms=NOW_MS, problem="due_backlog", subject="eu", reason="900 chunks wait")
RECOVERED = SystemRecovered(at_ms=NOW_MS, problem="due_backlog", subject="eu", reason="0 chunks wait", seconds=90)
FLAPS = FlappingStarted(at_ms=NOW_MS, monitor_id=1, percent=40, reason="Flapping: 40% changed the verdict")
STEADY = FlappingEnded(at_ms=NOW_MS, monitor_id=1, percent=10, reason="Steady again: 10% changed the verdict")
SEEN = IncidentAcknowledged(at_ms=NOW_MS, incident_id=3, monitor_id=1, actor="user:7")


def decide(event: DomainEvent, known: Facts) -> list[Intent]:
    return list(route(recorded(event), known, NOW_MS).intents)


def told(intents: list[Intent]) -> list[tuple[int, str]]:
    return [(each.channel_id, each.moment) for each in intents if not each.suppressed]


def alert(event: DomainEvent, known: Facts) -> Alert:
    found = build_alert(recorded(event), known, "")
    assert found is not None
    return found


def before(moment: str, channel_id: int = 1, state: DeliveryState = "delivered") -> Prior:
    return Prior(channel_id, moment, state)


def policy(spec: dict[str, Any]) -> NumberedPolicy:
    return NumberedPolicy(5, parse_policy(spec))


def silence(match: Match) -> NumberedSilence:
    return NumberedSilence(4, match, "deploy", NOW_MS - 1, NOW_MS + 60_000)


def test_trouble_of_farwatch_goes_to_those_who_want_it_and_to_channels_left_at_the_defaults() -> None:
    known = facts(
        channel(1), channel(2, "system"), channel(3, "down"), channel(4, "system", enabled=False), monitor=None
    )
    intents = decide(TROUBLED, known)
    assert told(intents) == [(1, "system"), (2, "system")]
    assert {each.thread for each in intents} == {"system-due_backlog-eu"}
    assert alert(TROUBLED, known).title == "Farwatch has trouble: Due checks wait for a prober (eu)"


def test_its_end_is_owed_to_who_was_told_and_to_nobody_else() -> None:
    channels = (channel(1), channel(2, "up"), channel(3, "system"))
    known = facts(*channels, monitor=None, prior=(before("system", 2), before("system", 3), before("system", 3)))
    intents = decide(RECOVERED, known)
    assert told(intents) == [(2, "system")]
    assert {each.channel_id: each.reason for each in intents if each.suppressed} == {
        1: "the channel was not told of the trouble",
        3: "the channel was not told of the trouble",
    }
    assert alert(RECOVERED, known).duration_seconds == 90


def test_a_subject_is_left_out_of_the_thread_where_there_is_one_only() -> None:
    event = SystemTroubled(at_ms=NOW_MS, problem="outbox", reason="old")
    assert decide(event, facts(channel(1)))[0].thread == "system-outbox"


def test_a_silence_of_everything_holds_trouble_of_farwatch_back_and_says_so() -> None:
    intents = decide(TROUBLED, facts(channel(1), silences=(silence(Match()),)))
    assert told(intents) == []
    assert "silence 4" in intents[0].reason


def test_flapping_is_told_once_to_who_takes_down_and_its_end_to_the_same() -> None:
    known = facts(channel(1), channel(2, "up"), incident=None)
    intents = decide(FLAPS, known)
    assert told(intents) == [(1, "flapping")]
    assert intents[1].reason == "the channel does not take the moment down"
    assert {each.thread for each in intents} == {"flapping-1"}
    known = replace(known, prior=(before("flapping"), before("flapping", 2, "suppressed")))
    assert told(decide(STEADY, known)) == [(1, "steady")]
    known = replace(known, prior=(before("flapping"), before("steady")))
    assert decide(STEADY, known) == []
    assert alert(FLAPS, facts()).sentence.startswith("Shop goes up and down too often")
    assert alert(STEADY, facts()).tone == "good"


def test_what_holds_an_alert_back_holds_flapping_back() -> None:
    all_day = {"name": "p", "quiet": [{"starts": "00:00", "ends": "24:00"}], "steps": [{}]}
    cases = {
        "suppressed: maintenance tonight": facts(channel(1), maintenance="tonight"),
        "Router, which it stands behind, is down": facts(channel(1), parent=ParentDown(2, "Router", 9)),
        "the monitor was paused since": facts(channel(1), monitor=monitor(enabled=False)),
        "silence 4": facts(channel(1), silences=(silence(Match(monitors=[1])),)),
        "the policy tells nobody": facts(channel(1), policies=(policy({"name": "p", "steps": []}),)),
        "quiet hours of policy “p”": facts(channel(1), policies=(policy(all_day),)),
    }
    for words, known in cases.items():
        intents = decide(FLAPS, known)
        assert [each.suppressed for each in intents] == [True], words
        assert words in intents[0].reason


def test_an_acknowledgement_reaches_pagerduty_and_who_asked_for_it() -> None:
    pager = replace(channel(1), type="pagerduty")
    known = facts(pager, channel(2, "down", "acknowledged"), channel(3), channel(4, "down", "acknowledged"))
    known = replace(known, prior=(before("down"), before("down", 2), before("down", 3)))
    assert told(decide(SEEN, known)) == [(1, "acknowledged"), (2, "acknowledged")]
    message = alert(SEEN, known)
    assert message.sentence.startswith("Acknowledged by user 7. Shop is down since")
    body = render(PAGERDUTY, message, "key")[0]
    assert (body["event_action"], body["dedup_key"]) == ("acknowledge", f"{PAGERDUTY.key_prefix}:incident-3")


def test_nobody_hears_of_an_acknowledgement_of_what_is_over_or_was_not_told() -> None:
    pager = replace(channel(1), type="pagerduty")
    over = facts(pager, incident=incident(resolved_ms=NOW_MS), prior=(before("down"),))
    assert decide(SEEN, over) == []
    assert decide(SEEN, facts(pager)) == []
    assert decide(SEEN, facts(pager, prior=(before("down"), before("up")))) == []


def test_an_acknowledged_drill_still_ends_its_escalation() -> None:
    event = DrillAcknowledged(at_ms=NOW_MS, drill_id=2, monitor_id=1, actor="link:channel-4", seconds=9)
    pager = replace(channel(1), type="pagerduty")
    known = facts(pager, incident=incident(id=2, drill=True), prior=(before("down"),))
    routed = route(recorded(event), known, NOW_MS)
    assert routed.acknowledges == "drill-2"
    assert [each.moment for each in routed.intents] == ["acknowledged"]
    message = alert(event, known)
    assert message.title.startswith("[Drill] ")
    assert message.sentence.startswith("Acknowledged by a link that channel 4 got. ")


def test_pagerduty_closes_what_these_kinds_opened() -> None:
    assert (ACTIONS["steady"], ACTIONS["system_recovered"]) == ("resolve", "resolve")
    keys = [
        render(PAGERDUTY, alert(event, facts()), "key")[0]["dedup_key"]
        for event in (FLAPS, STEADY, TROUBLED, RECOVERED)
    ]
    assert keys[0] == keys[1] != keys[2] == keys[3]


@pytest.mark.parametrize("text", HOSTILE)
def test_hostile_names_and_reasons_are_harmless_text_in_news_too(text: str) -> None:
    known = facts(monitor=monitor(name=text), incident=incident(monitor_name=text))
    events = (
        TROUBLED.model_copy(update={"subject": text, "reason": text}),
        FLAPS.model_copy(update={"reason": text}),
        SEEN.model_copy(update={"actor": text}),
    )
    for event in events:
        message = alert(event, known)
        assert not {"\r", "\n", "\u202e", "\u2066"} & set(message.title + message.sentence)
        body = discord.render(message)
        assert body["allowed_mentions"] == {"parse": []}
        for shown in (body["embeds"][0]["title"], body["embeds"][0]["description"]):
            assert not set("*_~`|<>[]@#") & set(unescaped(shown))
        assert not set("<>") & set(slack.render(message)["text"])
        assert not [part for part in mrkdwn_of(slack.render(message)["blocks"]) if "channel" in part]
        assert "<script>" not in render_html(message)
        assert parsed(message)["Bcc"] is None
