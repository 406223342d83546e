"""What must hold whatever arrives, in whatever order, however often."""

from dataclasses import dataclass, field
from functools import partial
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from farwatch_events.events import IncidentOpened, IncidentResolved, VerdictChanged
from farwatch_events.results import CheckResult
from farwatch_incidents.board import Board
from farwatch_incidents.rules import codec
from farwatch_incidents.rules import monitor as rules
from tests.unit.incidents.cases import MINUTE, START, Game, config, result

REGIONS = ("eu", "us", "ap")
OUTCOMES = st.sampled_from(["up", "up", "up", "down", "down", "degraded", "unknown"])
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

    def look(self) -> None:
        for event in self.game.changes.events:
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
    def states_survive_storing(self) -> None:
        for local in self.game.board.states[1].local.values():
            assert codec.load_local(local.vote, local.slot_ms, codec.dump_local(local)) == local


TestMonitoring = Monitoring.TestCase
TestMonitoring.settings = settings(max_examples=100, stateful_step_count=40, deadline=None)

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
