"""What must hold whatever arrives, in whatever order, however often."""

import json
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from farwatch_events.events import IncidentOpened, IncidentResolved, VerdictChanged
from farwatch_events.results import CheckResult
from farwatch_incidents.board import Board
from farwatch_incidents.projection import Projection, VerdictRow
from farwatch_incidents.rules import codec
from farwatch_incidents.rules import monitor as rules
from farwatch_incidents.rules.config import Maintenance
from tests.unit.incidents.cases import MINUTE, START, Game, config, result

REGIONS = ("eu", "us", "ap")
OUTCOMES = st.sampled_from(["up", "up", "up", "down", "down", "degraded", "unknown", "skipped"])
KINDS = st.sampled_from(["scheduled", "scheduled", "scheduled", "confirmation", "manual"])


@dataclass
class Seen:
    """What an outsider concludes from the events alone."""

    open: set[int] = field(default_factory=set)
    opened: int = 0
    verdict: str = "pending"


class Monitoring(RuleBasedStateMachine):
    @initialize(regions=st.integers(1, 3))
    def begin(self, regions: int) -> None:
        self.regions = REGIONS[:regions]
        self.game = Game(*self.regions)
        self.slot = 0
        self.seen = Seen()
        self.line = 0
        self.last_ms = 0
        self.said: list[tuple[str, CheckResult]] = []
        self.told = Projection()
        self.lines: dict[int, list[tuple[Any, ...]]] = {}

    @rule(region=st.integers(0, 2), outcome=OUTCOMES, kind=KINDS, back=st.integers(0, 5), tries=st.integers(1, 3))
    def say(self, region: int, outcome: str, kind: Any, back: int, tries: int) -> None:
        name = self.regions[region % len(self.regions)]
        told = result(outcome, self.slot - back, failed=tries, kind=kind)
        self.said.append((name, told))
        self.game.say(name, told)
        self.look()

    @rule(which=st.integers(0, 1000))
    def repeat(self, which: int) -> None:
        if self.said:
            before = self.game.board.states[1]
            assert self.game.say(*self.said[which % len(self.said)]) == []
            assert self.game.board.states[1] == before

    @rule(steps=st.integers(1, 4))
    def go_on(self, steps: int) -> None:
        self.slot += steps

    @rule(region=st.integers(0, 2), behind=st.integers(0, 4), healthy=st.booleans())
    def beat(self, region: int, behind: int, healthy: bool) -> None:
        name = self.regions[region % len(self.regions)]
        self.game.beat(self.slot, name, watermark_ms=START + (self.slot - behind) * MINUTE, healthy=healthy)
        self.look()

    @rule(observed_ms=st.sampled_from([0, 1_000, 11_000]))
    def pass_time(self, observed_ms: int) -> None:
        self.game.tick(self.slot, observed_ms)
        self.look()

    @rule()
    def pause_and_resume(self) -> None:
        self.game.board.pause(1)
        self.game.board.resume(1)
        self.game._collect()
        self.look()

    @rule()
    def resolve_by_hand(self) -> None:
        self.game.board.decide(1, partial(rules.resolve_by_hand, actor="user:1"))
        self.game._collect()
        self.look()

    @rule(minutes=st.integers(0, 3))
    def plan_maintenance(self, minutes: int) -> None:
        begins_ms = START + self.slot * MINUTE
        window = Maintenance(1, "deploy", begins_ms, begins_ms + minutes * MINUTE, all_monitors=True)
        self.game.board.set_windows([window] if minutes else [])

    @rule(number=st.integers(1, 3))
    def enable_regions(self, number: int) -> None:
        self.game.board.set_regions(self.regions[:number])
        self.game.board.review_some()
        self.game._collect()
        self.look()

    @rule()
    def nobody_asks_for_checks(self) -> None:
        for step in range(24):
            moment = self.slot + step / 6
            self.game.beat(moment, *self.regions)
            self.look()
            self.game.tick(moment, 1_000)
            self.look()
        self.slot += 4

    @rule()
    def start_anew(self) -> None:
        """As after a crash: what a fold knows comes from its rows."""
        before, board = self.game.board, Board()
        state = before.states[1]
        row = {
            "verdict": state.verdict, "since_ms": state.since_ms, "reason": state.reason, "rule": state.rule,
            "votes": codec.dump_votes(state.votes), "flapping": state.flapping.flag,
            "state": json.loads(json.dumps(codec.dump_monitor_state(state))),
        }  # fmt: skip
        local = {
            region: codec.load_local(each.vote, each.slot_ms, json.loads(json.dumps(codec.dump_local(each))))
            for region, each in state.local.items()
        }
        board.go_on(before.now_ms)
        board.next_incident_id = before.next_incident_id
        board.adopt(replace(codec.load_monitor_state(1, row), local=local, incident=state.incident))
        board.regions = {name: replace(each, quiet_ms=0, probers={}) for name, each in before.regions.items()}
        board.set_regions(before.enabled_regions)
        board.set_config(before.configs[1])
        board.take_changes()
        self.game.board = board
        assert board.states[1] == state

    def look(self) -> None:
        for event in self.game.changes.events:
            self.told.apply(event)
            if isinstance(event, IncidentOpened):
                self.seen.open.add(event.incident_id)
                self.seen.opened += 1
            elif isinstance(event, IncidentResolved):
                self.seen.open.remove(event.incident_id)
            elif isinstance(event, VerdictChanged):
                assert event.before == self.seen.verdict
                assert event.after != event.before
                assert event.reason
                self.seen.verdict = event.after
                votes = {vote.vote for vote in event.votes if vote.counted}
                if event.after in ("up", "down", "degraded"):
                    assert votes
                if event.after == "down":
                    assert "down" in votes
                if event.after == "up":
                    assert votes & {"up", "degraded"}
        for line in self.game.changes.lines:
            self.line = line.seq if line.seq == 1 else self.line + 1
            self.last_ms = line.entry.at_ms if line.seq == 1 else max(self.last_ms, line.entry.at_ms)
            assert (line.seq, line.entry.at_ms) == (self.line, self.last_ms)
            self.lines.setdefault(line.incident_id, []).append((line.entry.at_ms, line.entry.kind, line.entry.sentence))
        for incident_id, lines in self.lines.items():
            told = self.told.incidents[incident_id].entries
            assert [(entry.at_ms, entry.kind, entry.sentence) for entry in told] == lines

    @invariant()
    def at_most_one_incident(self) -> None:
        incident = self.game.board.states[1].incident
        assert self.seen.open == ({incident.incident_id} if incident else set())

    @invariant()
    def an_incident_has_its_reason(self) -> None:
        state = self.game.board.states[1]
        assert state.verdict == self.seen.verdict
        if state.verdict == "up":
            assert state.incident is None
        if state.verdict == "down" and not state.held:
            assert state.incident is not None

    @invariant()
    def the_log_tells_the_same(self) -> None:
        state = self.game.board.states[1]
        if state.incident:
            assert self.told.incidents[state.incident.incident_id].incident == state.incident
        row = self.told.verdicts.get(1, VerdictRow())
        assert (row.verdict, row.flapping) == (state.verdict, state.flapping.flag)

    @invariant()
    def states_survive_storing(self) -> None:
        for local in self.game.board.states[1].local.values():
            assert codec.load_local(local.vote, local.slot_ms, codec.dump_local(local)) == local


TestMonitoring = pytest.mark.timeout(600)(Monitoring.TestCase)
TestMonitoring.settings = settings(max_examples=200, stateful_step_count=50, deadline=None)


class Longer(Monitoring):
    """The same for `make faults`."""


TestLonger = pytest.mark.faults(pytest.mark.timeout(7200)(Longer.TestCase))
TestLonger.settings = settings(
    max_examples=2_000, stateful_step_count=50, deadline=None, suppress_health_check=list(HealthCheck)
)

SPOKEN = st.lists(st.tuples(st.sampled_from(REGIONS), OUTCOMES, st.integers(0, 30)), max_size=60)


def play(board: Board, spoken: list[tuple[str, str, int]]) -> None:
    game = Game(*REGIONS)
    game.board = board
    for region, outcome, slot in spoken:
        game.say(region, result(outcome, slot))


def fresh() -> Board:
    return Game(*REGIONS).board


@given(SPOKEN)
@settings(deadline=None)
def test_replay_equals_live(spoken: list[tuple[str, str, int]]) -> None:
    once, again = fresh(), fresh()
    play(once, spoken)
    play(again, spoken)
    assert once.states == again.states


@given(SPOKEN, st.lists(st.integers(0, 1000), max_size=60))
@settings(deadline=None)
def test_duplicates_change_nothing(spoken: list[tuple[str, str, int]], again: list[int]) -> None:
    single, doubled = fresh(), fresh()
    play(single, spoken)
    heard: list[tuple[str, str, int]] = []
    for number, each in enumerate(spoken):
        heard.append(each)
        heard.extend(spoken[which % (number + 1)] for which in again if which % 7 == number % 7)
    play(doubled, heard)
    assert single.states == doubled.states


@given(st.lists(st.tuples(OUTCOMES, st.integers(1, 30)), max_size=30))
@settings(deadline=None)
def test_what_comes_late_never_changes_a_vote(late: list[tuple[str, int]]) -> None:
    game = Game("eu")
    game.say("eu", result("up", 40))
    for outcome, slot in late:
        assert game.say("eu", result(outcome, slot)) == []
    assert game.verdict == "up"
    assert config().monitor_id == 1
