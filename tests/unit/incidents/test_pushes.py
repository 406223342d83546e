"""Push monitors: periods, schedules through changes of the clocks, runs, dark time, restarts, what is expected."""

from dataclasses import replace
from datetime import datetime
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
from farwatch_incidents.rules.pushing import complete, due_after, due_after_miss, ends_run, may_have_been_lost
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
        while self.now_ms + every_ms <= until_ms:
            self.now_ms += every_ms
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
    watched = config(push_grace_ms=30_000)
    inside = dark_ms + at_ms % length_ms
    assert may_have_been_lost(watched, inside, dark_ms, dark_ms + length_ms)
    assert may_have_been_lost(watched, inside - 30_000, dark_ms, dark_ms + length_ms)
    assert not may_have_been_lost(watched, dark_ms + length_ms + 30_001, dark_ms, dark_ms + length_ms)


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


def test_dark_time_long_before_moves_no_moment() -> None:
    api = Api(ms("2026-05-01T01:00:00Z"), scheduled("0 3 * * *"))
    api.die_until(ms("2026-05-01T02:50:00Z"))
    api.live_until(ms("2026-05-01T03:05:04Z"))
    assert api.verdict == "down"


def test_a_run_through_dark_time_has_until_the_next_call_could_come() -> None:
    api = Api(START, config(push_grace_ms=30_000, retries=0, plan=PushPlan(run_limit_ms=2 * MINUTE)))
    api.call(signal="start")
    api.live_until(START + MINUTE)
    api.die_until(START + 10 * MINUTE)
    api.live_until(START + 11 * MINUTE + 28_000)
    assert api.verdict == "pending"
    api.live_until(START + 11 * MINUTE + 32_000)
    assert api.verdict == "down"


OFTEN = st.lists(st.tuples(st.sampled_from(["live", "dark", "restart"]), st.integers(1, 200)), min_size=1, max_size=12)


@settings(max_examples=40, deadline=None)
@example([("live", 174), ("dark", 6), ("live", 20)], "interval")
@given(OFTEN, st.sampled_from(["interval", "cron"]))
def test_a_job_that_calls_in_time_is_never_missed(days: list[tuple[str, int]], kind: str) -> None:
    """Every minute, on the minute, whatever becomes of the api and of the fold; calls in dark time are lost."""
    watched = scheduled("* * * * *", grace_ms=20_000) if kind == "cron" else config(push_grace_ms=20_000, retries=0)
    api = Api(START, watched)
    api.call()
    for what, seconds in days:
        until_ms = api.now_ms + seconds * 1000
        if what == "dark":
            api.die_until(until_ms)
        elif what == "restart":
            api.restart()
        while api.now_ms < until_ms:
            before_ms = api.now_ms
            api.now_ms = min(until_ms, api.now_ms + BEAT_MS)
            if before_ms // MINUTE < api.now_ms // MINUTE:
                api.call()
            api._beat()
    assert not api.opened


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
