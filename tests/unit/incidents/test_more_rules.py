"""Votes that nobody renews, flapping that is told, incidents that broke together, messages that are put aside."""

from dataclasses import replace
from typing import Any

import pytest

from farwatch_events.events import (
    FlappingEnded,
    FlappingStarted,
    IncidentGrouped,
    IncidentOpened,
    IncidentResolved,
    IncidentUnsuppressed,
    VerdictChanged,
    VoteChanged,
)
from farwatch_events.maintenance import Weekly
from farwatch_events.monitor import dump_monitor, parse_monitor
from farwatch_events.results import Certificate, ErrorClass
from farwatch_incidents.board import Board
from farwatch_incidents.parking import Notices, Parked, Poison
from farwatch_incidents.rules.config import SPEC_FIELDS, Maintenance, config_of, expand
from tests.unit.incidents.cases import MINUTE, START, Game, config, result

SECONDS = 60


def watch(game: Game, first: float, last: float, *regions: str) -> None:
    """Every second of the slots between, with a heartbeat every other; no check is asked for."""
    for second in range(int(first * SECONDS), int(last * SECONDS)):
        if second % 2 == 0:
            game.beat(second / SECONDS, *regions)
        game.tick(second / SECONDS)


def restart(game: Game, *dark: tuple[int, int]) -> None:
    """What the next fold knows is what the one before had committed."""
    before, game.board = game.board, Board()
    game.board.go_on(before.now_ms, before.pushes.clock_ms, dark)
    game.board.next_incident_id = before.next_incident_id
    for state in before.states.values():
        game.board.adopt(state)
    game.board.regions = {name: replace(each, quiet_ms=0, probers={}) for name, each in before.regions.items()}
    game.board.set_regions(before.enabled_regions)
    for each in before.configs.values():
        game.board.set_config(each)
    game.board.review_all()
    game.board.take_changes()


class TestNobodyAsks:
    def test_votes_become_unknown_and_say_since_when(self) -> None:
        game = Game("eu", "us")
        for region in ("eu", "us"):
            game.say(region, result("up", 0))
        watch(game, 0, 3, "eu", "us")
        assert game.verdict == "up"
        watch(game, 3, 4, "eu", "us")
        assert game.verdict == "unknown"
        assert game.state.reason == (
            "Unknown: no region can vote (eu: not checked since 2026-09-21 14:13:00 UTC; "
            "us: not checked since 2026-09-21 14:13:00 UTC)"
        )
        votes = [(event.region, event.after) for event in game.of(VoteChanged)]
        assert votes == [("eu", "up"), ("us", "up"), ("eu", "unknown"), ("us", "unknown")]
        game.say("eu", result("up", 4))
        assert game.verdict == "up"

    def test_a_region_that_returns_does_not_decide_with_its_old_vote(self) -> None:
        game = Game("ap", "eu", "us")
        for slot in range(5):
            for region in ("ap", "eu", "us"):
                game.say(region, result("down" if (slot, region) == (4, "eu") else "up", slot))
        game.beat(4.1, "ap", "eu", "us", watermark_ms=START + 4 * MINUTE)
        watch(game, 4.2, 5, "ap", "eu", "us")
        for second in range(5 * SECONDS, 12 * SECONDS, 2):
            game.beat(second / SECONDS, "ap", "us")
            game.tick(second / SECONDS, 2_000)
        assert (game.board.regions["eu"].silent, game.verdict) == (True, "unknown")
        watch(game, 12, 13, "ap", "eu", "us")
        assert [event.after for event in game.of(VerdictChanged)] == ["up", "unknown"]
        assert game.of(IncidentOpened) == []
        game.say("eu", result("up", 13))
        assert game.verdict == "up"

    def test_the_first_region_that_answers_again_does_not_decide_alone(self) -> None:
        game = Game("eu", "us", "ap")
        for region in ("eu", "us", "ap"):
            game.say(region, result("up", 0))
        watch(game, 0, 5, "eu", "us", "ap")
        assert game.verdict == "unknown"
        game.say("us", result("down", 5))
        assert (game.verdict, game.of(IncidentOpened)) == ("unknown", [])
        game.say("ap", result("up", 5))
        game.say("eu", result("up", 5))
        assert (game.verdict, game.of(IncidentOpened)) == ("up", [])

    @pytest.mark.parametrize(
        ("why", "last_slots"),
        [
            ("all at one slot", "ap up 4, af up 4, us up 4, eu down 4, sa down 4"),
            ("two lost a slot", "ap up 4, af up 4, us up 5, eu down 5, sa down 5"),
            ("one after another", "ap up 4, af up 4, us up 5, eu down 6, sa down 6"),
            ("the failing first", "ap down 4, af down 4, us up 5, eu up 4, sa up 5"),
        ],
    )
    def test_a_minority_is_no_quorum_when_the_votes_run_out(self, why: str, last_slots: str) -> None:
        told = [each.split() for each in last_slots.split(", ")]
        regions = [region for region, _, _ in told]
        game = Game(*regions)
        for slot in range(7):
            for region, outcome, last in told:
                if slot <= int(last):
                    game.say(region, result(outcome if slot >= 4 else "up", slot))
            game.beat(slot + 0.1, *regions, watermark_ms=START + min(slot, 4) * MINUTE)
        assert game.verdict in ("up", "degraded"), why
        stopped_ms = game.board.now_ms
        watch(game, 6.2, 13, *regions)
        after = [event.after for event in game.of(VerdictChanged) if event.at_ms > stopped_ms]
        assert after == ["unknown"], why

    def test_they_run_out_together_however_many_monitors_do(self) -> None:
        """The votes of one monitor are not split between two steps, each of which takes a thousand."""
        game = Game("ap", "eu")
        for monitor_id in range(1, 502):
            game.board.set_config(config(monitor_id, regions=("ap",) if monitor_id == 1 else ("ap", "eu")))
        for slot in (0, 1):
            for monitor_id in range(1, 502):
                game.say("ap", result("up", slot, monitor_id))
                if monitor_id > 1:
                    outcome = "down" if slot and monitor_id == 501 else "up"
                    game.say("eu", result(outcome, slot, monitor_id))
        game.beat(1.1, "ap", "eu", watermark_ms=START + 2 * MINUTE + 3_000)
        for second in range(69, 269, 5):
            game.beat(second / SECONDS, "ap", "eu")
            game.tick(second / SECONDS)
        changes = [(event.before, event.after) for event in game.of(VerdictChanged)]
        assert {each for each in changes if each[0] != "pending"} == {("up", "unknown")}

    def test_the_region_that_stops_alone_runs_out_alone(self) -> None:
        game = Game("ap", "eu", "us")
        for region in ("ap", "eu", "us"):
            game.say(region, result("up", 0))
        for slot in range(1, 8):
            for region in ("eu", "us"):
                game.say(region, result("up", slot))
            watch(game, slot + 0.1, slot + 1, "ap", "eu", "us")
        assert [event.region for event in game.of(VoteChanged) if event.after == "unknown"] == ["ap"]
        assert game.verdict == "up"

    def test_those_that_stay_away_are_left_out_in_the_end(self) -> None:
        game = Game("eu", "us", "ap")
        for region in ("eu", "us", "ap"):
            game.say(region, result("up", 0))
        watch(game, 0, 5, "eu", "us", "ap")
        for slot in (5, 6, 7, 8, 9):
            game.say("us", result("down", slot))
            game.beat(slot + 0.1, "eu", "us", "ap", watermark_ms=START + slot * MINUTE)
            assert game.verdict == ("unknown" if slot < 9 else "down")

    def test_an_outage_goes_on_through_not_knowing(self) -> None:
        game = Game("eu")
        game.say("eu", result("down", 0))
        watch(game, 0, 4, "eu")
        assert (game.verdict, game.state.incident.state) == ("unknown", "open")
        game.say("eu", result("down", 5))
        assert len(game.of(IncidentOpened)) == 1

    def test_farwatchs_own_absence_is_not_held_against_the_monitors(self) -> None:
        game = Game("eu")
        game.say("eu", result("up", 0))
        watch(game, 0, 1, "eu")
        game.beat(600, "eu")
        watch(game, 600, 602, "eu")
        assert game.verdict == "up"
        watch(game, 602, 604, "eu")
        assert game.verdict == "unknown"

    def test_a_restart_gives_no_vote_its_whole_patience_again(self) -> None:
        """With an incidents service that starts every minute, and is away for 20 s, nobody would ever know."""
        game = Game("eu")
        game.say("eu", result("up", 0))
        for minute in range(4):
            watch(game, minute + 0.3, minute + 1, "eu")
            if minute == 2:
                assert game.verdict == "up"
            restart(game)
        watch(game, 4.3, 4.5, "eu")
        assert game.verdict == "unknown"
        assert [event.after for event in game.of(VoteChanged)] == ["up", "unknown"]

    def test_a_restart_after_a_long_time_leaves_what_is_left_of_the_patience(self) -> None:
        game = Game("eu")
        game.say("eu", result("up", 0))
        watch(game, 0, 1, "eu")
        restart(game)
        game.beat(600, "eu")
        assert game.verdict == "up"
        watch(game, 600, 602, "eu")
        assert game.verdict == "up"
        watch(game, 602, 602.2, "eu")
        assert game.verdict == "unknown"

    def test_the_next_fold_but_one_knows_of_a_long_absence_too(self) -> None:
        game = Game("eu")
        game.say("eu", result("up", 0))
        watch(game, 0, 1, "eu")
        restart(game)
        watch(game, 600, 601, "eu")
        restart(game, (START + MINUTE, START + 600 * MINUTE))
        watch(game, 601.1, 602, "eu")
        assert game.verdict == "up"
        watch(game, 602, 602.2, "eu")
        assert game.verdict == "unknown"

    def test_what_is_read_late_is_not_taken_for_silence(self) -> None:
        """The time of a message is seen before those behind it: only a fold that has caught up may miss something."""
        game = Game("eu")
        game.say("eu", result("up", 0))
        watch(game, 0, 1, "eu")
        restart(game)
        game.beat(10, "eu")
        game.tick(10, observed_ms=0)
        assert game.verdict == "up"
        game.say("eu", result("up", 10))
        watch(game, 10.1, 12, "eu")
        assert game.verdict == "up"
        assert [event.after for event in game.of(VerdictChanged)] == ["up"]

    def test_paused_and_push_monitors_are_not_waited_for(self) -> None:
        paused, pushed = Game("eu"), Game("push", retries=0, push_grace_ms=3_600_000)
        paused.say("eu", result("up", 0))
        paused.board.set_config(config(enabled=False, config_version=2))
        paused.board.pause(1)
        pushed.say("push", result("up", 0))
        watch(paused, 0, 5, "eu")
        watch(pushed, 0, 5, "push")
        assert (paused.verdict, pushed.verdict) == ("pending", "up")


class TestSkippedSlots:
    """An overloaded prober answers what it comes to too late with `skipped`."""

    @pytest.mark.parametrize("outcome", ["up", "down"])
    def test_every_other_slot_costs_no_event(self, outcome: str) -> None:
        game = Game("eu")
        game.say("eu", result(outcome, 0))
        first = len(game.events)
        for slot in range(1, 20):
            assert game.say("eu", result("skipped" if slot % 2 else outcome, slot)) == []
            game.beat(slot + 0.1, "eu", watermark_ms=START + slot * MINUTE)
            game.tick(slot + 0.1)
        assert len(game.events) == first
        assert game.verdict == outcome

    def test_they_are_history_and_known_by_their_slot(self) -> None:
        game = Game("eu")
        game.say("eu", result("up", 0), result("skipped", 1))
        assert [row[12] for row in game.changes.history] == ["up", "unknown"]
        assert game.changes.last_checks[1, "eu"]["error_class"] == ErrorClass.SKIPPED
        assert (game.changes.counts.answered, game.changes.counts.skipped) == ({"eu": 2}, {"eu": 1})
        game.say("eu", result("up", 1))
        assert game.changes.counts.dropped == 1

    def test_when_it_lasts_not_knowing_is_said_once(self) -> None:
        game = Game("eu")
        game.say("eu", result("up", 0))
        for slot in range(1, 10):
            game.say("eu", result("skipped", slot))
            game.beat(slot + 0.1, "eu", watermark_ms=START + slot * MINUTE)
            game.tick(slot + 0.1)
            assert game.verdict == ("up" if slot <= 2 else "unknown")
        assert [event.after for event in game.of(VerdictChanged)] == ["up", "unknown"]
        assert [event.after for event in game.of(VoteChanged)] == ["up", "unknown"]

    def test_before_the_first_check_a_monitor_is_pending_still(self) -> None:
        game = Game("eu")
        for slot in range(8):
            assert game.say("eu", result("skipped", slot)) == []
            game.beat(slot + 0.1, "eu", watermark_ms=START + slot * MINUTE)
            game.tick(slot + 0.1)
        assert (game.verdict, game.events) == ("pending", [])
        game.say("eu", result("up", 8))
        assert [event.after for event in game.of(VerdictChanged)] == ["up"]
        assert [(event.before, event.after) for event in game.of(VoteChanged)] == [(None, "up")]

    def test_a_vote_that_ages_is_waited_for_so_that_one_region_does_not_decide_alone(self) -> None:
        game = Game("eu", "us")
        for region in ("eu", "us"):
            game.say(region, result("up", 0))
        for slot in (1, 2):
            game.say("eu", result("skipped", slot))
            game.say("us", result("down", slot))
        assert game.of(IncidentOpened) == []
        game.beat(3, "eu", "us", watermark_ms=START + 3 * MINUTE)
        game.tick(3)
        assert game.verdict == "down"


class TestFlapping:
    def flap(self, game: Game) -> int:
        slot = 0
        while not game.of(FlappingStarted):
            game.say("eu", result("up" if slot % 2 else "down", slot))
            slot += 1
        return slot

    def test_the_outage_that_begins_it_is_told_and_those_after_it_are_not(self) -> None:
        game = Game("eu")
        slot = self.flap(game)
        assert slot == 7
        assert [event.suppressed for event in game.of(IncidentOpened)] == [None] * 4
        game.say("eu", result("up", slot))
        assert game.of(IncidentResolved)[-1].suppressed is None
        game.say("eu", result("down", slot + 1))
        assert game.of(IncidentOpened)[-1].suppressed == "flapping"

    def test_when_it_ends_what_is_still_down_is_told(self) -> None:
        game = Game("eu")
        slot = self.flap(game)
        game.say("eu", result("up", slot))
        for later in range(slot + 1, slot + 25):
            game.say("eu", result("down", later))
            game.tick(later + 0.5)
        (ended,) = game.of(FlappingEnded)
        assert ended.percent <= 20
        (told,) = game.of(IncidentUnsuppressed)
        assert told.reason == "Flapping ended and the monitor is still not up"
        assert told.at_ms >= ended.at_ms


CERTIFICATE = Certificate(not_after_ms=1_789_000_000_000, days=-1, subject="CN=*.example.com", issuer="CN=R3")
EXPIRED: dict[str, Any] = {
    "error_class": ErrorClass.TLS, "error": "The certificate has expired", "certificate": CERTIFICATE,
    "tries": [], "attempts": 1,
}  # fmt: skip


def game_of(number: int) -> Game:
    game = Game("eu")
    for monitor_id in range(2, number + 1):
        game.board.set_config(config(monitor_id))
    return game


class TestGroups:
    def test_eleven_monitors_and_one_expired_certificate(self) -> None:
        game = game_of(11)
        for monitor_id in range(1, 12):
            game.say("eu", result("down", 1, monitor_id, address=f"192.0.2.{monitor_id}", retries=0, **EXPIRED))
            game.say("eu", result("down", 2, monitor_id, address=f"192.0.2.{monitor_id}", retries=0, **EXPIRED))
        assert len(game.of(IncidentOpened)) == 11
        grouped = game.of(IncidentGrouped)
        assert [event.incident_id for event in grouped] == list(range(1, 12))
        assert {(event.group_id, event.by) for event in grouped} == {(1, "certificate")}
        assert grouped[-1].reason == "11 monitors fail with one certificate: CN=*.example.com"

    def test_each_ends_by_itself_and_the_group_outlives_its_first(self) -> None:
        game = game_of(3)
        for monitor_id in (1, 2):
            game.say("eu", result("down", 1, monitor_id, address="192.0.2.1"))
        game.say("eu", result("up", 2, 1))
        game.say("eu", result("down", 2, 3, address="192.0.2.1"))
        assert [(event.incident_id, event.group_id) for event in game.of(IncidentGrouped)] == [(1, 1), (2, 1), (3, 1)]
        assert [event.incident_id for event in game.of(IncidentResolved)] == [1]

    def test_what_a_page_says_is_no_affair_of_its_address(self) -> None:
        game = game_of(2)
        for monitor_id in (1, 2):
            odd: dict[str, Any] = {"error_class": ErrorClass.STATUS, "error": "Answered 500"}
            game.say("eu", result("down", 1, monitor_id, address="192.0.2.1", **odd))
        assert len(game.of(IncidentOpened)) == 2
        assert game.of(IncidentGrouped) == []

    def test_seen_from_one_region_only(self) -> None:
        game = Game("eu", "us")
        game.board.set_config(config(2))
        for slot in range(4):
            for monitor_id in (1, 2):
                game.say("us", result("up", slot, monitor_id))
                game.say("eu", result("down" if slot > 1 else "up", slot, monitor_id, address=f"192.0.2.{monitor_id}"))
        assert {event.severity for event in game.of(IncidentOpened)} == {"degraded"}
        assert {(event.by, event.key) for event in game.of(IncidentGrouped)} == {("region", "eu")}


SPECS: list[dict[str, Any]] = [
    {"type": "http", "url": "https://a.test/"},
    {"type": "http", "url": "https://a.test/", "interval_seconds": 5, "retries": 0, "tags": ["a"], "regions": ["eu"]},
    {"type": "ping", "host": "a.test", "timeout_seconds": 7.5, "retries": 10, "retry_interval_seconds": 300},
    {"type": "push", "interval_seconds": 86400, "grace_seconds": 0},
    {"type": "push"},
]


@pytest.mark.parametrize("fields", SPECS)
def test_what_is_read_of_a_specification_is_what_it_says(fields: dict[str, Any]) -> None:
    spec = parse_monitor({"name": "site", **fields})
    whole, given = dump_monitor(spec), {"name": "site", **fields}
    expected = (spec.interval_ms, round(spec.max_check_seconds * 1000), tuple(spec.regions), frozenset(spec.tags))
    for stored in (whole, given):
        read = config_of(7, [stored.get(name) for name in SPEC_FIELDS], 3, enabled=True)
        assert (read.interval_ms, read.max_check_ms, read.regions, read.tags) == expected
        assert read.is_push == (spec.type == "push")
        assert read.retries == (0 if read.is_push else spec.retries)


@pytest.mark.parametrize("spec", [[None] * 9, ["http", None, *[None] * 7], ["http", "a", "soon", *[None] * 6]])
def test_what_is_no_monitor_is_said(spec: list[Any]) -> None:
    with pytest.raises((ValueError, TypeError)):
        config_of(7, spec, 1, enabled=True)


def test_a_weekly_window_opens_in_silence_in_its_hours_only() -> None:
    # START is a Monday, 14:13 UTC
    series = Weekly(weekdays=["mon"], starts="16:15", duration_minutes=10, time_zone="Europe/Berlin")
    window = Maintenance(1, "weekly", START - 86_400_000, START + 30 * 86_400_000, all_monitors=True, weekly=series)
    game = Game("eu")
    for slot, told in ((1, None), (3, "maintenance"), (14, None)):
        game.board.set_windows(expand(window, game.board.now_ms))
        game.say("eu", result("down", slot), result("up", slot, slot_ms=START + slot * MINUTE + 1000))
        assert game.of(IncidentOpened)[-1].suppressed == told


class TestPoison:
    def test_a_batch_is_tried_five_times_then_its_messages_one_by_one(self) -> None:
        poison, batch = Poison(), [("RESULTS_eu", sequence) for sequence in range(10, 15)]
        for _ in range(4):
            assert poison.failed(batch, "DataError")
            assert not poison.one_by_one
        assert poison.failed(batch, "DataError")
        assert poison.one_by_one
        poison.passed(batch[:1])
        assert poison.failed(batch[1:2], "DataError")
        assert poison.condemned == {("RESULTS_eu", 11): "DataError"}
        for sequence in range(11, 14):
            poison.passed([("RESULTS_eu", sequence)])
            assert poison.one_by_one
        poison.passed([("RESULTS_eu", 14)])
        assert (poison.one_by_one, poison.condemned) == (False, {})

    def test_when_everything_fails_it_is_not_the_messages(self) -> None:
        poison, batch = Poison(), [("RESULTS_eu", sequence) for sequence in range(10, 20)]
        for _ in range(5):
            poison.failed(batch, "no")
        blamed = []
        for place in batch[:4]:
            blamed.append(poison.failed([place], "no"))
            if blamed[-1]:
                poison.passed([place])
        assert blamed == [True, True, True, False]
        assert not poison.one_by_one

    def test_a_success_in_between_forgives(self) -> None:
        poison = Poison()
        for _ in range(20):
            poison.failed([("a", 1), ("a", 2)], "no")
            poison.passed([("a", 1), ("a", 2)])
        assert not poison.one_by_one

    def test_without_messages_nobody_is_to_blame(self) -> None:
        assert not Poison().failed([], "no")

    def test_a_flood_is_told_once_a_minute(self) -> None:
        notices, told = Notices(), []
        for second in range(150):
            parked = Parked("RESULTS_eu", second, START + second * 1000, "not a message", b"{")
            if event := notices.of(parked, START + second * 1000):
                told.append((event.sequence, event.count))
        assert told == [(0, 1), (60, 60), (120, 60)]


def test_the_verdict_that_a_result_brings_names_it() -> None:
    game = Game("eu")
    game.say("eu", result("down", 1))
    causes = {type(event): game.changes.causes.get(id(event)) for event in game.changes.events}
    identity = f"result:1/eu/{START + MINUTE}/scheduled"
    assert causes[VerdictChanged] == causes[IncidentOpened] == causes[VoteChanged] == identity
