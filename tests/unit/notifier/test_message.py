"""The message model: what each event says."""

from typing import Any

import pytest

from farwatch_events.events import (
    DomainEvent,
    DrillStarted,
    FirstFailure,
    FirstSuccess,
    IncidentAcknowledged,
    IncidentSeverityRaised,
    IncidentUnsuppressed,
    RegionCleared,
    RegionReturned,
    RegionSilenced,
    RegionSuspected,
    RegionVote,
)
from farwatch_events.results import ErrorClass
from farwatch_notifier.facts import Facts
from farwatch_notifier.message import COLOURS, TEXTS, Alert, build_alert, sample_alert
from tests.unit.notifier.samples import CAUSE, EVIDENCE, NOW_MS, channel, facts, incident, monitor, opened, recorded
from tests.unit.notifier.samples import resolved as ended

PUBLIC = "https://watch.example"
SINCE = "18 Nov 2026, 11:06:40 UTC"


def alert_of(event: DomainEvent, known: Facts | None = None, public_url: str = PUBLIC) -> Alert:
    alert = build_alert(recorded(event), known or facts(channel(1)), public_url)
    assert alert is not None
    return alert


def test_down_says_what_since_when_from_where_why_and_what_answered() -> None:
    alert = alert_of(opened())
    assert alert.title == "Shop is down"
    assert alert.sentence == (
        f"Shop is down since {SINCE}, seen from eu and us: connection refused by 192.0.2.7:443"
    )  # fmt: skip
    assert (alert.tone, alert.colour, alert.symbol) == ("bad", COLOURS["bad"], "🔴")
    assert (alert.target, alert.monitor_type, alert.error_class) == ("https://shop.example/", "http", "connect_refused")
    assert (alert.answered_status, alert.answered_excerpt) == (EVIDENCE.status_line, EVIDENCE.body)
    assert (alert.reason, alert.regions, alert.thread) == ("2 of 2 regions say down", ["eu", "us"], "incident-3")
    assert alert.link == "https://watch.example/incidents/3"


def test_recovery_says_how_long_it_was_and_is_green() -> None:
    alert = alert_of(ended(duration_seconds=9000))
    assert (alert.title, alert.sentence) == ("Shop has recovered", "Shop is up again after 2h 30m.")
    assert (alert.duration, alert.since_ms, alert.tone) == ("2h 30m", NOW_MS - 9_000_000, "good")
    assert (alert.severity, alert.error) == ("down", CAUSE.error)


def severity_raised() -> IncidentSeverityRaised:
    votes = [RegionVote(region="eu", vote="down", slot_ms=1), RegionVote(region="us", vote="up", slot_ms=1)]
    return IncidentSeverityRaised(
        at_ms=NOW_MS, incident_id=3, monitor_id=1, severity="down", cause=CAUSE, reason="worse", votes=votes
    )


UNSUPPRESSED = IncidentUnsuppressed(at_ms=NOW_MS, incident_id=3, monitor_id=1, reason="maintenance ended")
FAILURE = FirstFailure(
    at_ms=NOW_MS, monitor_id=1, region="eu", slot_ms=NOW_MS, error_class=ErrorClass.TIMEOUT, error="no answer in 10 s"
)


@pytest.mark.parametrize(
    ("event", "title", "sentence"),
    [
        (opened(severity="degraded"), "Shop is degraded", f"Shop is degraded since {SINCE}: {CAUSE.error}"),
        (ended(how="manual"), "Shop: incident resolved", "The incident was resolved by somebody after 2h 30m."),
        (
            severity_raised(),
            "Shop is down",
            f"Shop is down since 18 Nov 2026, 11:05:40 UTC, seen from eu: {CAUSE.error}",
        ),
        (
            UNSUPPRESSED,
            "Shop is down",
            f"Shop is down since 18 Nov 2026, 11:05:40 UTC, seen from eu and us: {CAUSE.error}",
        ),
        (FAILURE, "Shop: first failure", "A check from eu failed after a success: no answer in 10 s"),
        (
            FirstSuccess(at_ms=NOW_MS, monitor_id=1, region="eu", slot_ms=NOW_MS),
            "Shop: answers again",
            "A check from eu succeeded after a failure.",
        ),
        (
            RegionSilenced(at_ms=NOW_MS + 10_000, region="eu", last_seen_ms=NOW_MS),
            "Region eu is silent",
            f"No prober of region eu has answered since {SINCE}. Its votes do not count until it returns.",
        ),
        (
            RegionReturned(at_ms=NOW_MS, region="eu", silent_seconds=75),
            "Region eu is back",
            "Region eu answers again after 1m 15s.",
        ),
        (
            RegionSuspected(at_ms=NOW_MS, region="eu", reason="it alone sees failures"),
            "Region eu is suspect",
            "Region eu has no vote for now: it alone sees failures",
        ),
        (
            RegionCleared(at_ms=NOW_MS, region="eu", reason="it agrees again"),
            "Region eu is trusted again",
            "Region eu votes again: it agrees again",
        ),
    ],
)
def test_what_each_event_says(event: DomainEvent, title: str, sentence: str) -> None:
    alert = alert_of(event)
    assert (alert.title, alert.sentence) == (title, sentence)


@pytest.mark.parametrize(
    ("event", "public_url", "link"),
    [
        (opened(), "", None),
        (opened(), "https://watch.example/base/", "https://watch.example/base/incidents/3"),
        (FAILURE, PUBLIC, "https://watch.example/monitors/1"),
        (RegionReturned(at_ms=1, region="eu", silent_seconds=1), PUBLIC, PUBLIC),
    ],
)
def test_links_lead_to_the_public_address(event: DomainEvent, public_url: str, link: str | None) -> None:
    assert alert_of(event, public_url=public_url).link == link


def test_hostile_names_and_answers_become_plain_single_lines() -> None:
    nasty = "Shop\r\nBcc: all@x.example\x00\u202e {since}"
    evil = EVIDENCE.model_copy(update={"status_line": "HTTP/1.1 200\r\nX: y", "body": "a\x1b[31m" + "b" * 900})
    alert = alert_of(opened(monitor_name=nasty, evidence=evil), facts(channel(1), monitor=monitor(name=nasty)))
    assert alert.monitor_name == "Shop Bcc: all@x.example {since}"
    assert alert.title == "Shop Bcc: all@x.example {since} is down"
    assert alert.answered_status == "HTTP/1.1 200 X: y"
    assert len(alert.answered_excerpt) == 500
    assert "\x1b" not in alert.answered_excerpt


def test_a_monitor_that_is_gone_keeps_the_name_of_the_event() -> None:
    assert alert_of(opened(), facts(channel(1), monitor=None, incident=None)).title == "Shop is down"


def test_events_that_nobody_is_told_of_have_no_message() -> None:
    event = IncidentAcknowledged(at_ms=NOW_MS, incident_id=3, monitor_id=1, actor="user:1")
    assert build_alert(recorded(event), facts(channel(1), incident=None), PUBLIC) is None
    assert build_alert(recorded(UNSUPPRESSED), facts(channel(1), incident=None), PUBLIC) is None


def test_a_message_reads_back_from_the_database() -> None:
    alert = alert_of(opened(), facts(channel(1), incident=incident()))
    stored: dict[str, Any] = alert.model_dump(mode="json")
    assert Alert.model_validate(stored) == alert


def test_the_sample_fills_every_part_that_channels_show() -> None:
    alert = sample_alert("Ops\r\nroom", NOW_MS, PUBLIC)
    assert alert.kind == "test"
    assert "Ops room" in alert.reason
    assert all([alert.target, alert.regions, alert.answered_status, alert.link, alert.since_ms])


def test_every_kind_has_its_texts() -> None:
    assert set(TEXTS) == set(Alert.model_fields["kind"].annotation.__args__)  # type: ignore[union-attr]


@pytest.mark.parametrize(
    ("actor", "name", "said"),
    [
        ("user:7", "Ada Lovelace", "Ada Lovelace"),
        ("user:7", None, "user 7"),
        ("token:5", "the API token “deploy”", "the API token “deploy”"),
        ("token:environment", None, "the API token of the environment"),
        ("link:channel-4", "a link in Discord (Ops)", "a link in Discord (Ops)"),
        ("link:channel-4", None, "a link that channel 4 got"),
        ("user:7", "A\u202eda\r\nBcc: all@example.com", "A da Bcc: all@example.com"),
    ],
)
def test_who_acted_is_told_by_name(actor: str, name: str | None, said: str) -> None:
    acknowledged = IncidentAcknowledged(at_ms=NOW_MS, incident_id=3, monitor_id=1, actor=actor)
    known = facts(channel(1), incident=incident())
    for event, words in (
        (acknowledged, f"Acknowledged by {said}. Shop is down since"),
        (ended(how="manual", actor=actor), f"The incident was resolved by {said} after 2h 30m."),
    ):
        alert = build_alert(recorded(event, by=name), known, "")
        assert alert is not None
        assert alert.sentence.startswith(words)
    drill = DrillStarted(at_ms=NOW_MS, drill_id=2, monitor_id=1, monitor_name="Shop", severity="down", actor=actor)
    alert = build_alert(recorded(drill, by=name), known, "")
    assert alert is not None
    assert alert.reason == f"A fire drill, started by {said}: nothing is down. Acknowledge it as if it were."
