"""What down means, as cases: each names who said what, and what follows."""

from functools import partial
from typing import Any

import pytest

from farwatch_events.events import (
    ConfirmationRequested,
    FirstFailure,
    FirstSuccess,
    IncidentOpened,
    IncidentResolved,
    RegionSuspected,
    VerdictChanged,
)
from farwatch_events.results import ErrorClass, Try
from farwatch_incidents.rules import monitor as rules
from farwatch_incidents.rules.config import Maintenance
from farwatch_incidents.rules.flapping import POSSIBLE_CHANGES, STEADY, note_change, percent_changed, reconsider, weight
from farwatch_incidents.rules.quorum import quorum_of
from farwatch_incidents.rules.suspicion import wilson_lower_bound
from tests.unit.incidents.cases import MINUTE, REFUSED, START, Game, config, result

FOUR = "eu failed 4 tries in a row: connection refused"
WORDS = {"u": "up", "d": "down", "g": "degraded", "-": "unknown", "s": "skipped"}


@pytest.mark.parametrize(
    ("rounds", "verdict", "reason"),
    [
        # one region
        ("u", "up", "Up: eu answered"),
        ("d", "down", "Down: eu failed 2 of 2 tries: connection refused"),
        ("u d", "down", "Down: eu failed 2 of 2 tries: connection refused"),
        ("d u", "up", "Up again: eu answered"),
        ("-", "unknown", "Unknown: no region can vote (eu: the prober failed)"),
        ("u -", "unknown", "Unknown: no region can vote (eu: the prober failed)"),
        # a slot that nobody looked at, while the vote is fresh and after it
        ("s", "pending", ""),
        ("u s s", "up", "Up: eu answered"),
        ("u s s s", "unknown", "Unknown: no region can vote (eu: the slot was too old)"),
        ("u s s s u", "up", "Up: eu answered"),
        ("d s s", "down", "Down: eu failed 2 of 2 tries: connection refused"),
        ("d s s s", "unknown", "Unknown: no region can vote (eu: the slot was too old)"),
        ("- s u", "up", "Up: eu answered"),
        ("uu sd dd", "down", "Down: eu and us both failed 2 of 2 tries: connection refused"),
        ("uu sd", "up", "Up: eu answered"),
        ("g", "up", "Up: eu answered"),
        ("g g", "degraded", "Degraded: seen from eu: answered in 2300 ms, more than 1000 ms"),
        ("g g u", "up", "Up again: eu answered"),
        # two regions: all of them
        ("dd", "down", "Down: eu and us both failed 2 of 2 tries: connection refused"),
        ("uu du", "up", "Up: eu answered"),
        ("uu du du", "degraded", f"Degraded: down from eu only: {FOUR} (us saw it up)"),
        ("dd du", "down", "Down: eu and us both failed 2 of 2 tries: connection refused"),
        ("dd uu", "up", "Up again: eu and us answered"),
        ("d-", "down", "Down: eu failed 2 of 2 tries: connection refused"),
        # three: more than half
        ("uuu ddu", "down", "Down: eu and us both failed 2 of 2 tries: connection refused (ap saw it up)"),
        ("uuu duu", "up", "Up: eu answered"),
        ("uuu duu duu", "degraded",
         f"Degraded: down from eu only: {FOUR} (us and ap saw it up)"),
        ("ddd uud", "degraded", f"Degraded: down from ap only: {FOUR.replace('eu', 'ap')} (eu and us saw it up)"),
        ("ddd uuu", "up", "Up again: eu and us answered (ap did not, so far)"),
        ("ggu ggu", "degraded", "Degraded: seen from eu and us: answered in 2300 ms, more than 1000 ms"),
        ("guu guu", "up", "Up: eu answered"),
        ("d--", "down", "Down: eu failed 2 of 2 tries: connection refused; only 1 of 3 regions votes"),
        # four: three of them
        ("uuuu dduu", "up", "Up: eu answered"),
        ("uuuu dddu", "down", "Down: eu, us and ap all failed 2 of 2 tries: connection refused (sa saw it up)"),
    ],
)  # fmt: skip
def test_verdicts(rounds: str, verdict: str, reason: str) -> None:
    regions = ("eu", "us", "ap", "sa")[: len(rounds.split(maxsplit=1)[0])]
    game = Game(*regions, regions=regions)
    for slot, says in enumerate(rounds.split()):
        for region, word in zip(regions, says, strict=True):
            game.say(region, result(WORDS[word], slot))
    assert (game.verdict, game.state.reason) == (verdict, reason)


@pytest.mark.parametrize(("voters", "needed"), [(1, 1), (2, 2), (3, 2), (4, 3), (5, 3), (6, 4)])
def test_quorum(voters: int, needed: int) -> None:
    assert quorum_of(voters) == needed


def test_a_new_monitor_waits_for_its_other_regions() -> None:
    game = Game("eu", "us")
    assert "incident.opened" not in game.say("eu", result("down", 0))
    assert game.verdict == "pending"
    game.say("us", result("down", 0))
    assert game.verdict == "down"


def test_a_region_that_lags_behind_is_waited_for_and_in_the_end_left_out() -> None:
    game = Game("eu", "us")
    for region in ("eu", "us"):
        game.say(region, result("up", 0))
    game.say("eu", result("down", 2))
    assert game.verdict == "up"
    game.beat(2, "us", watermark_ms=START + 3 * MINUTE)
    game.tick(2)
    assert game.verdict == "down"
    assert game.state.votes[1].why_not == "its last result is too old"


def test_failed_tries_count_across_slots() -> None:
    game = Game("eu", retries=2)
    game.say("eu", result("up", 0))
    game.say("eu", result("down", 1, failed=1))
    game.say("eu", result("down", 2, failed=1))
    assert game.verdict == "up"
    game.say("eu", result("down", 3, failed=1))
    assert game.state.reason == "Down: eu failed 3 tries in a row: connection refused"


def test_an_older_configuration_is_history_only() -> None:
    game = Game("eu")
    game.board.set_config(config(config_version=2))
    game.say("eu", result("down", 0))
    assert (game.verdict, len(game.changes.history)) == ("pending", 1)


def test_tries_of_an_older_configuration_do_not_count_together() -> None:
    game = Game("eu")
    game.say("eu", result("up", 0))
    game.say("eu", result("down", 1, failed=1))
    game.board.set_config(config(config_version=2))
    game.say("eu", result("down", 2, failed=1, config_version=2))
    assert game.verdict == "up"


def test_late_results_are_history_only_and_known_ones_nothing() -> None:
    game = Game("eu")
    game.say("eu", result("up", 0), result("up", 2))
    assert game.say("eu", result("down", 1)) == []
    assert (len(game.changes.history), game.changes.counts.late) == (1, 1)
    game.say("eu", result("down", 1), result("down", 2))
    assert (game.changes.history, game.changes.counts.dropped) == ([], 2)


def test_an_unhealthy_prober_has_no_say() -> None:
    game = Game("eu")
    game.say("eu", result("down", 0), healthy=False)
    assert game.verdict == "unknown"


def test_silence_takes_the_vote_and_a_heartbeat_gives_it_back() -> None:
    game = Game("eu")
    game.say("eu", result("up", 0))
    for second in range(10):
        game.tick(second / 60)
    assert game.verdict == "up"
    assert "region.silenced" in game.tick(11 / 60)
    assert game.verdict == "unknown"
    game.beat(0.5, "eu")
    game.tick(0.51)
    assert game.verdict == "up"
    assert [event.after for event in game.of(VerdictChanged)] == ["up", "unknown", "up"]


def test_time_in_which_nobody_listened_is_no_silence() -> None:
    game = Game("eu")
    for second in range(60):
        game.tick(second / 60, observed_ms=0)
    assert not game.board.regions["eu"].silent


def test_down_survives_not_knowing() -> None:
    game = Game("eu")
    game.say("eu", result("down", 0))
    game.say("eu", result("unknown", 1))
    assert game.verdict == "unknown"
    assert game.state.incident is not None
    game.say("eu", result("down", 2))
    assert len(game.of(IncidentOpened)) == 1
    game.say("eu", result("up", 3))
    assert [event.how for event in game.of(IncidentResolved)] == ["recovered"]


def test_degraded_rises_to_down_and_stays_one_incident() -> None:
    game = Game("eu")
    game.say("eu", result("degraded", 0), result("degraded", 1))
    assert game.state.incident.severity == "degraded"
    assert "incident.severity_raised" in game.say("eu", result("down", 2))
    game.say("eu", result("degraded", 3), result("degraded", 4))
    assert (game.verdict, game.state.incident.severity) == ("degraded", "down")
    game.say("eu", result("up", 5))
    assert len(game.of(IncidentOpened)) == len(game.of(IncidentResolved)) == 1


def test_resolved_by_hand_holds_until_it_was_up_once() -> None:
    game = Game("eu")
    game.say("eu", result("down", 0))
    game.board.decide(1, partial(rules.resolve_by_hand, actor="user:1"))
    game.say("eu", result("down", 1))
    assert game.state.incident is None
    game.say("eu", result("up", 2), result("down", 3))
    assert game.state.incident is not None


def test_first_failure_and_first_success() -> None:
    game = Game("eu")
    game.say("eu", result("up", 0))
    saved = [Try(started_ms=0, **REFUSED), Try(started_ms=1)]
    game.say("eu", result("up", 1, attempts=2, tries=saved))
    assert [event.type for event in game.events[-2:]] == ["monitor.first_failure", "monitor.first_success"]
    game.say("eu", result("down", 2))
    assert [event.confirmed for event in game.of(FirstFailure)] == [False, True]
    game.say("eu", result("down", 3))
    game.say("eu", result("up", 4))
    assert [event.recovered for event in game.of(FirstSuccess)] == [False, True]
    assert len(game.of(FirstFailure)) == 2


def test_the_very_first_failure_is_no_failure_after_success() -> None:
    game = Game("eu")
    game.say("eu", result("down", 0))
    assert game.of(FirstFailure) == []


def test_those_who_saw_it_up_are_asked_once_and_again_while_they_fail() -> None:
    game = Game("eu", "us")
    for region in ("eu", "us"):
        game.say(region, result("up", 0))
    game.say("us", result("up", 1))
    game.say("eu", result("down", 1))
    asked = game.of(ConfirmationRequested)
    assert [(event.region, event.failed_slot_ms) for event in asked] == [("us", START + MINUTE)]
    confirmation: dict[str, Any] = {"kind": "confirmation", "confirmation_of_ms": START + MINUTE}
    game.say("us", result("down", 1, failed=1, slot_ms=START + MINUTE + 500, **confirmation))
    assert len(game.of(ConfirmationRequested)) == 2
    game.say("us", result("down", 1, failed=1, slot_ms=START + MINUTE + 900, **confirmation))
    assert game.state.reason == "Down: eu and us both failed: connection refused"
    assert len(game.of(ConfirmationRequested)) == 2


def test_a_confirmation_that_answers_ends_the_asking() -> None:
    game = Game("eu", "us")
    for region in ("eu", "us"):
        game.say(region, result("up", 0))
    game.say("us", result("up", 1))
    game.say("eu", result("down", 1))
    game.say("us", result("up", 1, kind="confirmation", slot_ms=START + MINUTE + 500))
    game.say("us", result("up", 2))
    game.say("eu", result("down", 2))
    assert len(game.of(ConfirmationRequested)) == 1
    assert game.verdict == "degraded"


def test_confirmations_are_few() -> None:
    game = Game("eu", "us")
    for monitor_id in range(2, 102):
        game.board.set_config(config(monitor_id))
    for monitor_id in range(2, 102):
        game.say("us", result("up", 0, monitor_id))
    for monitor_id in range(2, 102):
        game.say("eu", result("down", 0, monitor_id))
    assert 20 <= len(game.of(ConfirmationRequested)) <= 26


def test_a_region_alone_with_its_failures_loses_its_vote() -> None:
    game = Game("eu", "us", "ap")
    for monitor_id in range(2, 22):
        game.board.set_config(config(monitor_id))
        for region in ("us", "ap"):
            game.say(region, result("up", 0, monitor_id))
        game.say("eu", result("down", 0, monitor_id))
    game.tick(0.1)
    suspected = game.of(RegionSuspected)
    assert [event.region for event in suspected] == ["eu"]
    assert suspected[0].reason == "Region eu has no vote: other regions see 20 of the 20 monitors up that fail here"
    assert game.of(IncidentOpened) == []
    for monitor_id in range(2, 22):
        game.say("eu", result("up", 1, monitor_id))
    assert "region.cleared" in game.tick(1.1)


def test_a_burst_that_others_see_too_is_no_suspicion() -> None:
    game = Game("eu", "us")
    for monitor_id in range(2, 42):
        game.board.set_config(config(monitor_id))
        for region in ("eu", "us"):
            game.say(region, result("down", 0, monitor_id))
    game.tick(0.1)
    assert game.of(RegionSuspected) == []
    assert len(game.of(IncidentOpened)) == 40


def test_a_prober_that_says_it_is_unwell_is_believed() -> None:
    game = Game("eu")
    game.beat(0.1, "eu", healthy=False, reason="all resolvers are silent")
    assert "all resolvers are silent" in game.of(RegionSuspected)[0].reason
    game.beat(0.2, "eu")
    assert game.board.regions["eu"].suspect is None


def test_wilson() -> None:
    assert wilson_lower_bound(0, 0) == 0.0
    assert wilson_lower_bound(5, 10) == pytest.approx(0.2366, abs=1e-4)
    assert wilson_lower_bound(4, 10) < 0.20 < wilson_lower_bound(5, 10)


def test_flapping_as_nagios_weighs_it() -> None:
    assert (weight(POSSIBLE_CHANGES - 1), weight(0)) == (0.75, 1.25)
    flapping = STEADY
    for slot in range(0, 12, 2):
        flapping = note_change(flapping, slot * MINUTE, MINUTE)
    assert flapping.flag
    assert percent_changed(flapping, 10 * MINUTE, MINUTE) > 30
    assert not reconsider(flapping, 27 * MINUTE, MINUTE).flag


def test_flapping_is_flagged_on_the_verdict() -> None:
    game = Game("eu")
    for slot in range(12):
        game.say("eu", result("up" if slot % 2 else "down", slot))
    assert game.state.flapping.flag


def test_maintenance_opens_suppressed_and_tells_at_the_end() -> None:
    game = Game("eu")
    window = Maintenance(1, "deploy", START, START + 5 * MINUTE, all_monitors=True)
    game.board.set_windows([window])
    game.say("eu", result("down", 1))
    assert game.of(IncidentOpened)[0].suppressed == "maintenance"
    assert game.tick(4.9) == []
    assert game.tick(5) == ["incident.unsuppressed"]
    assert game.tick(5.1) == []


def test_pause_closes_and_resume_starts_at_pending() -> None:
    game = Game("eu")
    game.say("eu", result("down", 0))
    game.board.set_config(config(enabled=False, config_version=2))
    game.board.pause(1)
    assert game.state.incident is None
    game.say("eu", result("down", 1))
    game.board.set_config(config(config_version=3))
    game.board.resume(1)
    assert game.verdict == "pending"
    game.say("eu", result("up", 2, config_version=3))
    assert game.verdict == "up"
    assert [event.how for event in game.of(IncidentResolved)] == ["paused"]


def test_a_push_is_missed_only_while_the_api_could_have_heard_it() -> None:
    game = Game("push", retries=0, push_grace_ms=30_000)
    game.say("push", result("up", 0, slot_ms=START, finished_ms=START))
    for second in range(0, 60, 2):
        game.beat(second / 60, "push")
    game.beat(60, "push")  # an hour in which nobody could have pushed
    assert game.verdict == "up"
    for second in range(0, 90, 2):
        game.beat(60 + second / 60, "push")
        assert game.verdict == "up", "the push may have come in the hour: the next one is waited for"
    game.beat(61.5, "push")
    assert game.verdict == "down"
    assert game.state.local["push"].error_class is ErrorClass.MISSED
    assert game.state.reason == "Down: push failed: no push came for 1m 30s"


def test_manual_check_of_one_region_decides_nothing_alone() -> None:
    game = Game("eu", "us", retries=0)
    for region in ("eu", "us"):
        game.say(region, result("up", 0))
    game.say("eu", result("down", 1, failed=1, kind="manual", slot_ms=START + 90_000))
    assert game.verdict == "up"
