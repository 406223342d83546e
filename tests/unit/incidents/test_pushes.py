"""Push monitors: periods, schedules through changes of the clocks, runs, dark time, restarts, what is expected."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime
from itertools import count
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from farwatch_events.assertions import Assertion
from farwatch_events.events import IncidentOpened
from farwatch_events.monitor import dump_monitor, parse_monitor
from farwatch_events.results import CheckResult, ErrorClass, Heartbeat, PushCall, ResultBatch
from farwatch_incidents.board import Board
from farwatch_incidents.rules.codec import dump_local, load_local
from farwatch_incidents.rules.config import PUSH_FIELDS, SPEC_FIELDS, MonitorConfig, PushPlan, config_of
from farwatch_incidents.rules.pushing import complete, due_after, due_after_miss, ends_run, lost_in, note_lost
from farwatch_incidents.rules.votes import UNSEEN, LocalState
from tests.unit.incidents.cases import MINUTE, START, config

BEAT_MS = 2_000
HOUR = 60 * MINUTE
DAY = 24 * HOUR


def ms(text: str) -> int:
    return round(datetime.fromisoformat(text).timestamp() * 1000)


def scheduled(cron: str, zone: str = "UTC", grace_ms: int = 5 * MINUTE, **plan: Any) -> MonitorConfig:
    return config(push_grace_ms=grace_ms, retries=0, plan=PushPlan(cron=cron, time_zone=zone, **plan))


class Api:
    """One push monitor on a board, with an api that beats while it lives."""

    def __init__(self, at_ms: int, watched: MonitorConfig) -> None:
        self.board, self.config, self.now_ms, self.started_ms = Board(), watched, at_ms, at_ms
        self.board.at(at_ms)
        self.board.set_regions(["push"])
        self.opened: list[IncidentOpened] = []
        self._beat()
        self.board.set_config(watched)

    def _beat(self) -> None:
        self.board.at(self.now_ms)
        beat = Heartbeat(type="heartbeat", region="push", prober="api", sent_ms=self.now_ms, started_ms=self.started_ms)
        self.board.hear_heartbeat(beat)
        self._collect()

    def live_until(self, until_ms: int, every_ms: int = BEAT_MS) -> None:
        while self.now_ms < until_ms:
            self.now_ms = min(until_ms, self.now_ms + every_ms)
            self._beat()

    def die_until(self, until_ms: int) -> None:
        self.now_ms = self.started_ms = until_ms
        self._beat()

    def call(self, outcome: str = "up", signal: str = "finish", latency_ms: float | None = None, **call: Any) -> None:
        said = PushCall.model_validate({"signal": signal, **call})
        failed = {"error_class": ErrorClass.ASSERTION, "error": "it failed"} if outcome == "down" else {}
        result = CheckResult.model_validate(
            {"monitor_id": 1, "config_version": 1, "slot_ms": self.now_ms, "outcome": outcome, "push": said,
             "started_ms": self.now_ms, "finished_ms": self.now_ms, "latency_ms": latency_ms, **failed}
        )  # fmt: skip
        batch = ResultBatch(type="results", region="push", prober="api", results=[result])
        self.board.at(self.now_ms)
        self.board.hear_result("push", batch, result)
        self._collect()

    def restart(self) -> None:
        """What a new fold knows of it."""
        state, old = self.board.states[1], self.board
        self.board = Board()
        self.board.now_ms = old.now_ms
        self.board.pushes.go_on(old.pushes.clock_ms, old.now_ms)
        self.board.regions.update(old.regions)
        local = state.local["push"]
        self.board.adopt(replace(state, local={"push": load_local(local.vote, local.slot_ms, dump_local(local))}))
        self.board.set_regions(["push"])
        self.board.set_config(self.config)
        self.board.take_changes()

    def _collect(self) -> None:
        changes = self.board.take_changes()
        self.history = changes.history
        self.last_check = changes.last_checks.get((1, "push"))
        self.opened += [event for event in changes.events if isinstance(event, IncidentOpened)]

    @property
    def verdict(self) -> str:
        return self.board.states[1].verdict

    @property
    def local(self) -> LocalState:
        return self.board.states[1].local["push"]


@pytest.mark.parametrize(
    ("cron", "zone", "called", "due"),
    [
        ("0 3 * * *", "UTC", "2026-05-01T03:00:10Z", "2026-05-02T03:00:00Z"),
        ("0 3 * * *", "UTC", "2026-05-01T02:59:56Z", "2026-05-02T03:00:00Z"),
        ("0 3 * * *", "UTC", "2026-05-01T02:59:54Z", "2026-05-01T03:00:00Z"),
        ("30 2 * * *", "Europe/Berlin", "2026-03-28T02:00:00Z", "2026-03-29T01:00:00Z"),
        ("30 2 * * *", "Europe/Berlin", "2026-10-24T02:00:00Z", "2026-10-25T00:30:00Z"),
        ("30 2 * * *", "Europe/Berlin", "2026-10-25T00:31:00Z", "2026-10-26T01:30:00Z"),
        ("0 9 * * 1-5", "America/New_York", "2026-03-06T14:30:00Z", "2026-03-09T13:00:00Z"),
    ],
)
def test_when_the_next_is_due(cron: str, zone: str, called: str, due: str) -> None:
    assert due_after(scheduled(cron, zone), ms(called)) == ms(due)


def test_a_damaged_schedule_is_never_due() -> None:
    assert due_after(scheduled("never ever"), START) > START + 99 * 365 * DAY


CRONS = st.sampled_from(["* * * * *", "*/7 * * * *", "0 * * * *", "30 2 * * *", "15 3 * * 0", "0 0 1 * *"])
ZONES = st.sampled_from(["UTC", "Europe/Berlin", "America/New_York", "Australia/Lord_Howe"])


@given(CRONS, ZONES, st.integers(START, START + 365 * DAY), st.integers(0, 40 * DAY), st.integers(0, 2 * DAY))
def test_after_a_miss_the_next_is_due_later_and_not_over_already(
    cron: str, zone: str, missed_ms: int, late_ms: int, grace_ms: int
) -> None:
    watched = scheduled(cron, zone, grace_ms)
    now_ms = missed_ms + grace_ms + late_ms
    due_ms = due_after_miss(watched, missed_ms, now_ms)
    assert due_ms > missed_ms // 1000 * 1000
    assert due_ms + grace_ms > now_ms // 1000 * 1000


@given(st.integers(0, 3 * HOUR), st.integers(1, 3 * HOUR), st.integers(0, HOUR))
def test_whatever_was_due_in_dark_time_may_have_been_lost(dark_ms: int, length_ms: int, at_ms: int) -> None:
    watched = config(interval_ms=DAY, push_grace_ms=30_000)
    dark = (START + dark_ms, START + dark_ms + length_ms)

    def lost(due_ms: int) -> tuple[int, int] | None:
        return lost_in(watched, LocalState(slot_ms=due_ms - DAY), dark)

    inside = dark[0] + at_ms % length_ms
    assert lost(inside) == (max(dark[0], inside - 30_000), min(dark[1], inside + 30_000))
    assert lost(inside - 30_000)
    assert lost(dark[0] - 30_001) is None
    assert lost(dark[1] + 30_001) is None


def test_more_lost_spans_than_are_kept_become_one() -> None:
    watched, local = config(interval_ms=DAY, push_grace_ms=0), LocalState(slot_ms=START)
    for number in range(20):
        local = note_lost(watched, local, (START + number * MINUTE, START + number * MINUTE + 1))
    assert len(local.unheard) == 8
    assert local.unheard[0] == (START, START + 12 * MINUTE + 1)
    assert local.unheard[-1][0] == START + 19 * MINUTE
    assert load_local("up", START, dump_local(local)).unheard == local.unheard
    assert note_lost(watched, local, (START + 3 * DAY, START + 3 * DAY)).unheard == (
        (START + 3 * DAY, START + 3 * DAY),
    )


def test_a_schedule_is_kept_and_missed_by_its_grace() -> None:
    api = Api(ms("2026-03-29T00:50:00Z"), scheduled("30 2 * * *", "Europe/Berlin"))
    api.call()
    api.live_until(ms("2026-03-29T01:04:58Z"))
    assert api.verdict == "up"
    api.live_until(ms("2026-03-29T01:05:04Z"))
    assert api.verdict == "down"
    assert api.opened[0].reason == ("Down: push failed: no push came that was due at 2026-03-29 03:00 (Europe/Berlin)")
    api.call()
    assert api.verdict == "up"


def test_each_missed_moment_is_a_result_of_its_own() -> None:
    api = Api(ms("2026-05-01T00:00:10Z"), scheduled("*/10 * * * *", grace_ms=MINUTE))
    api.call()
    missed = 0
    while api.now_ms < ms("2026-05-01T00:32:00Z"):
        api.live_until(api.now_ms + BEAT_MS)
        missed += len(api.history)
    assert missed == 3
    assert len(api.opened) == 1


def test_a_new_name_gives_nobody_a_new_period() -> None:
    api = Api(ms("2026-05-01T02:50:00Z"), scheduled("0 3 * * *"))
    api.call()
    api.live_until(ms("2026-05-01T03:02:00Z"))
    api.board.set_config(replace(api.config, name="renamed", config_version=2))
    api.live_until(ms("2026-05-01T03:05:04Z"))
    assert api.verdict == "down"


def test_the_duration_runs_from_start_to_end() -> None:
    api = Api(START, config(push_grace_ms=30_000, retries=0))
    api.call(signal="start")
    assert (api.verdict, api.history) == ("pending", [])
    api.live_until(START + 12_000)
    api.call(message="42 files")
    assert api.verdict == "up"
    assert api.last_check is not None
    assert (api.last_check["latency_ms"], api.last_check["message"]) == (12_000.0, "42 files")
    api.live_until(START + 20_000)
    api.call()
    assert api.last_check["latency_ms"] is None, "the run has ended"


def test_a_run_that_does_not_end_is_told_once_its_limit_is_over() -> None:
    api = Api(ms("2026-05-01T02:59:00Z"), scheduled("0 * * * *", run_limit_ms=30 * MINUTE))
    api.live_until(ms("2026-05-01T03:00:10Z"))
    api.call(signal="start")
    api.live_until(ms("2026-05-01T03:30:08Z"))
    assert api.verdict == "pending", "the schedule's grace is long over: the run is waited for"
    api.live_until(ms("2026-05-01T03:30:14Z"))
    assert api.verdict == "down"
    assert api.opened[0].reason == "Down: push failed: started but did not finish within 30m 0s"
    api.live_until(ms("2026-05-01T04:05:04Z"))
    assert api.local.error == "no push came that was due at 2026-05-01 04:00 (UTC)"


def test_a_short_limit_is_noticed_before_a_long_period() -> None:
    api = Api(START, config(interval_ms=DAY, push_grace_ms=0, retries=0, plan=PushPlan(run_limit_ms=10_000)))
    api.call()
    api.call(signal="start")
    assert api.local.run_started_ms == 0, "a start of the same moment as the end belongs to the run that ended"
    api.live_until(START + 4_000)
    api.call(signal="start")
    api.live_until(START + 16_000)
    assert api.verdict == "down"
    api.call()
    api.live_until(START + HOUR)
    assert api.verdict == "up"


def test_runs_with_names_do_not_end_each_other() -> None:
    api = Api(START, config(push_grace_ms=30_000, retries=0, plan=PushPlan(run_limit_ms=HOUR)))
    api.call(signal="start", run_id="a")
    api.live_until(START + 10_000)
    api.call(run_id="b")
    assert api.local.run_started_ms == START
    api.live_until(START + 20_000)
    api.call(run_id="a")
    assert api.last_check is not None
    assert api.last_check["latency_ms"] == 20_000.0


@pytest.mark.parametrize(
    ("started", "run_id", "named", "ends"),
    [(0, "", None, False), (START, "", None, True), (START, "a", None, True), (START, "", "a", True),
     (START, "a", "a", True), (START, "a", "b", False), (START + 1, "", None, False)],
)  # fmt: skip
def test_which_end_belongs_to_which_start(started: int, run_id: str, named: str | None, ends: bool) -> None:
    local = LocalState(run_started_ms=started, run_id=run_id)
    call = CheckResult(
        monitor_id=1, config_version=1, slot_ms=START, outcome="up", started_ms=START, finished_ms=START,
        push=PushCall(run_id=named),
    )  # fmt: skip
    assert ends_run(local, call) is ends


def test_nobody_is_missed_who_may_have_called_in_vain() -> None:
    """The one call of the hour falls into a restart of Farwatch; the next hour counts."""
    api = Api(ms("2026-05-01T02:50:00Z"), scheduled("0 * * * *"))
    api.live_until(ms("2026-05-01T02:59:50Z"))
    api.die_until(ms("2026-05-01T03:01:00Z"))
    api.live_until(ms("2026-05-01T04:04:58Z"))
    assert api.verdict == "pending"
    api.live_until(ms("2026-05-01T04:05:02Z"))
    assert api.verdict == "down"


def test_a_short_restart_loses_calls_too() -> None:
    api = Api(START, config(push_grace_ms=20_000, retries=0))
    api.call()
    api.live_until(START + 58_000)
    api.die_until(START + 62_000)
    api.live_until(START + 118_000)
    assert api.verdict == "up"
    api.live_until(START + 144_000)
    assert api.verdict == "down"


def test_a_short_restart_is_noticed_although_a_call_comes_before_the_heartbeat() -> None:
    api = Api(START, config(push_grace_ms=20_000, retries=0))
    api.call()
    api.live_until(START + 58_000)
    api.now_ms = api.started_ms = START + 62_000
    api.call(signal="start")
    api.live_until(START + 118_000)
    assert api.verdict == "up"


def test_an_api_that_was_away_when_the_fold_began_was_away_since_it_was_last_heard() -> None:
    """The call of the hour fell into it; the fold before saw nothing of that and wrote down the time."""
    api = Api(START, config(interval_ms=HOUR, push_grace_ms=30_000, retries=0))
    api.call()
    api.live_until(START + 40 * MINUTE)
    api.now_ms = START + 70 * MINUTE
    api.board.at(api.now_ms)
    api.restart()
    api.die_until(api.now_ms + 2_000)
    api.live_until(START + 119 * MINUTE)
    assert api.verdict == "up"
    api.live_until(START + 132 * MINUTE)
    assert api.verdict == "down"


def test_dark_time_long_before_moves_no_moment() -> None:
    api = Api(ms("2026-05-01T01:00:00Z"), scheduled("0 3 * * *"))
    api.die_until(ms("2026-05-01T02:50:00Z"))
    api.live_until(ms("2026-05-01T03:05:04Z"))
    assert api.verdict == "down"


def test_a_run_through_dark_time_has_until_the_next_call_could_come() -> None:
    """Its end was lost, and so may have been the start of another: that has its limit too, and then a call is due."""
    api = Api(START, config(push_grace_ms=30_000, retries=0, plan=PushPlan(run_limit_ms=2 * MINUTE)))
    api.call(signal="start")
    api.live_until(START + MINUTE)
    api.die_until(START + 10 * MINUTE)
    api.live_until(START + 13 * MINUTE + 28_000)
    assert api.verdict == "pending"
    api.live_until(START + 13 * MINUTE + 32_000)
    assert api.verdict == "down"


SPANS = st.one_of(st.integers(1, 200), st.sampled_from([5, 6, 7]))
OFTEN = st.lists(st.tuples(st.sampled_from(["live", "dark", "restart"]), SPANS), min_size=1, max_size=12)
GRACE_MS = 20_000
Calls = Iterator[tuple[int, str, str]]


def play(api: Api, days: list[tuple[str, int]], calls: Calls) -> None:
    """What is called while the api is dark is lost."""
    at_ms, signal, run_id = next(calls)
    if at_ms == api.now_ms:
        api.call(signal=signal, run_id=run_id)
        at_ms, signal, run_id = next(calls)
    for what, seconds in days:
        until_ms = api.now_ms + seconds * 1000
        if what == "dark":
            api.die_until(until_ms)
        elif what == "restart":
            api.restart()
        while at_ms <= until_ms:
            if what != "dark":
                api.live_until(at_ms)
                api.call(signal=signal, run_id=run_id)
            at_ms, signal, run_id = next(calls)
        api.live_until(until_ms)


def punctual(watched: MonitorConfig, late: list[int], first_ms: int) -> Calls:
    """A job that is early and late by as much as it may. Each call comes after the last one, or by its schedule."""
    at_ms, limit_ms = first_ms, watched.plan.run_limit_ms
    for number in count():
        spare = late[number % len(late)]
        if limit_ms is None:
            yield at_ms, "finish", ""
        else:
            run_id = str(number) if spare % 2 else ""
            yield at_ms, "start", run_id
            at_ms += 1 + (limit_ms - 2 * BEAT_MS) * abs(spare) // 18
            yield at_ms, "finish", run_id
        if watched.plan.cron is None:
            at_ms += watched.interval_ms + spare * 1000
        else:
            at_ms = max(at_ms + 1, (at_ms + 5_000) // MINUTE * MINUTE + MINUTE + max(spare, -4) * 1000)


@settings(max_examples=100, deadline=None)
@example([("live", 174), ("dark", 6), ("live", 20)], "interval", [0], None, 0)
@example([("dark", 87), ("live", 27), ("dark", 6), ("live", 47)], "interval", [0], None, 0)
@example([("live", 5), ("dark", 25), ("live", 20), ("dark", 11), ("live", 65)], "interval", [0], None, 0)
@example([("live", 2), ("dark", 6), ("live", 2), ("dark", 6), ("live", 80)], "cron", [18], None, 0)  # fmt: skip
@example([("live", 30), ("dark", 7), ("live", 56)], "interval", [0], None, 35)
@given(
    OFTEN,
    st.sampled_from(["interval", "cron"]),
    st.lists(st.integers(-18, 18), min_size=1, max_size=5),
    st.sampled_from([None, 10_000, 50_000, 150_000]),
    st.integers(0, 59),
)
def test_a_job_that_calls_in_time_is_never_missed(
    days: list[tuple[str, int]], kind: str, late: list[int], run_limit_ms: int | None, first_seconds: int
) -> None:
    """Whatever becomes of the api and of the fold, and however the times are broken up in which calls are lost."""
    plan = PushPlan(cron="* * * * *" if kind == "cron" else None, run_limit_ms=run_limit_ms)
    watched = config(push_grace_ms=GRACE_MS, retries=0, plan=plan)
    api = Api(START, watched)
    first_ms = START if kind == "cron" else START + first_seconds * 1000
    play(api, days, punctual(watched, late, first_ms))
    assert not api.opened


@pytest.mark.parametrize(
    ("restarts", "told_minutes"),
    [([7, 14, 21, 28, 35, 42, 49, 56], 60), ([60, 67, 74, 81, 88, 95, 102, 109, 116], 120), ([60, 120, 122], 180)],
)
def test_a_job_that_is_dead_is_told_although_the_api_restarts(restarts: list[int], told_minutes: int) -> None:
    """Only where its call may have been lost the next one is waited for."""
    api = Api(START, config(interval_ms=HOUR, push_grace_ms=30_000, retries=0))
    api.call()
    for minutes in restarts:
        api.live_until(START + minutes * MINUTE - 3_000)
        api.die_until(START + minutes * MINUTE + 2_000)
        assert not api.opened
    api.live_until(START + told_minutes * MINUTE + 28_000)
    assert not api.opened
    api.live_until(START + told_minutes * MINUTE + 36_000)
    assert len(api.opened) == 1


@settings(max_examples=20, deadline=None)
@given(st.integers(1, 50), st.sampled_from(["interval", "cron"]))
def test_a_restart_keeps_the_deadline(restart_at: int, kind: str) -> None:
    watched = scheduled("* * * * *", grace_ms=20_000) if kind == "cron" else config(push_grace_ms=20_000, retries=0)
    api = Api(START + 1_000, watched)
    api.call()
    api.live_until(START + restart_at * 1_000)
    api.restart()
    api.live_until(START + 79_000)
    assert api.verdict == "up"
    api.live_until(START + 90_000)
    assert api.verdict == "down"


def test_a_run_outlives_a_restart() -> None:
    api = Api(START, config(push_grace_ms=30_000, retries=0, plan=PushPlan(run_limit_ms=HOUR)))
    api.call(signal="start", run_id="night")
    api.live_until(START + 10_000)
    api.restart()
    assert (api.local.run_started_ms, api.local.run_id) == (START, "night")
    api.live_until(START + 30_000)
    api.call(run_id="night")
    assert api.last_check is not None
    assert api.last_check["latency_ms"] == 30_000.0


def test_what_was_stored_before_there_were_runs_is_read() -> None:
    local = LocalState(deadline_ms=7, run_started_ms=5, run_id="a")
    assert load_local("up", 0, dump_local(local)).run_started_ms == 5
    assert load_local("up", 0, dump_local(local)[:23]).run_started_ms == 0


def expected(subject: str, operator: str, value: Any, severity: str = "down") -> Assertion:
    return Assertion.model_validate({"subject": subject, "operator": operator, "value": value, "severity": severity})


@pytest.mark.parametrize(
    ("assertion", "call", "outcome", "words"),
    [
        (expected("latency", "less_than", 5_000), {}, "down", "The latency is 9,000 ms; expected less than 5000 ms"),
        (expected("latency", "less_than", 5_000, "degraded"), {}, "degraded", "The latency is 9,000 ms"),
        (expected("latency", "less_than", 10_000), {}, "up", ""),
        (expected("body", "contains", "done"), {"message": "all done"}, "up", ""),
        (expected("body", "contains", "done"), {"message": "half"}, "down", '"done" is missing from the answer'),
        (expected("body.json.rows", "greater_than", 0), {"message": '{"rows": 0}'}, "down", "$.rows in the JSON"),
        (expected("body.json.rows", "greater_than", 0), {"message": '{"rows": 7}'}, "up", ""),
        (expected("exit_code", "one_of", [0, 1]), {"exit_code": 1}, "up", ""),
        (expected("exit_code", "one_of", [0, 1]), {"exit_code": 2}, "down", "The exit code is 2; expected one of 0, 1"),
        (expected("exit_code", "equals", 0, "degraded"), {"exit_code": 2}, "degraded", "The exit code is 2"),
    ],
)
def test_what_a_call_is_worth(assertion: Assertion, call: dict[str, Any], outcome: str, words: str) -> None:
    watched = config(push_grace_ms=0, plan=PushPlan(assertions=(assertion,)))
    said = CheckResult(
        monitor_id=1, config_version=1, slot_ms=START + 9_000, started_ms=START, finished_ms=START,
        outcome="down" if call.get("exit_code") else "up", push=PushCall(**call),
    )  # fmt: skip
    judged = complete(watched, LocalState(run_started_ms=START), said)
    assert judged.outcome == outcome
    assert words in (judged.error or "; ".join(judged.reasons))
    assert [each.subject for each in judged.assertions] == [assertion.subject]


def test_a_failure_is_not_judged_better_and_its_own_time_counts() -> None:
    watched = config(push_grace_ms=0, plan=PushPlan(assertions=(expected("body", "contains", "x"),), degraded_ms=5))
    said = CheckResult(
        monitor_id=1, config_version=1, slot_ms=START + 9_000, started_ms=START, finished_ms=START, outcome="down",
        error="disk full", latency_ms=3.0, push=PushCall(message="x"),
    )  # fmt: skip
    assert complete(watched, LocalState(run_started_ms=START), said) == said
    slow = complete(watched, UNSEEN, said.model_copy(update={"outcome": "up", "error": None, "latency_ms": 7.0}))
    assert (slow.outcome, slow.reasons) == ("degraded", ["Slow: took 7 ms"])


def test_what_is_read_of_a_specification() -> None:
    spec = dump_monitor(
        parse_monitor(
            {"type": "push", "name": "job", "cron": "0 3 * * *", "time_zone": "Europe/Berlin", "run_limit_seconds": 90,
             "degraded_ms": 500, "assertions": [{"subject": "exit_code", "operator": "equals", "value": 0}]}
        )
    )  # fmt: skip
    stored = [spec.get(name) for name in SPEC_FIELDS]
    read = config_of(1, [*stored, {name: spec[name] for name in PUSH_FIELDS}], 1, enabled=True)
    assert read.plan == PushPlan("0 3 * * *", "Europe/Berlin", 90_000, (expected("exit_code", "equals", 0),), 500)
    assert config_of(1, [*stored, dict.fromkeys(PUSH_FIELDS)], 1, enabled=True).plan == PushPlan()
    assert config_of(1, stored, 1, enabled=True).plan == PushPlan()
