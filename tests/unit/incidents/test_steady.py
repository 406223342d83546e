"""The short way for ordinary results is the rules' own, wherever it is taken."""

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import event, example, given, settings
from hypothesis import strategies as st

from farwatch_events.guard import Page
from farwatch_events.results import CheckResult, ErrorClass, Evidence, PushCall, Try
from farwatch_incidents.rules import monitor as rules
from farwatch_incidents.rules.config import MonitorConfig
from farwatch_incidents.rules.draft import Around, Decision, MonitorState
from farwatch_incidents.rules.flapping import Flapping
from farwatch_incidents.rules.identity import EMPTY, of_slots
from farwatch_incidents.rules.incident import Incident
from farwatch_incidents.rules.regions import RegionState
from farwatch_incidents.rules.steady import stay
from farwatch_incidents.rules.votes import LocalState
from tests.unit.incidents.cases import MINUTE, REFUSED, START, Game, config, result

REGIONS = ("eu", "us", "ap")
INCIDENT = Incident(1, 1, "site 1", "open", "down", START, "Down", entries=1, last_ms=START)
SLOTS = [START + slot * MINUTE for slot in (1, 2, 3, 5, 8, 9, 10, 11, 14)]
LOCAL: dict[str, list[Any]] = {
    "vote": ["down", "degraded", "unknown"], "voted_ms": SLOTS, "slot_ms": [0, *SLOTS], "rank": [1, 2],
    "config_version": [0, 2], "failed_tries": [1, 3], "attempts": [2], "degraded_run": [1, 2], "down_slots": [1],
    "failing_since_ms": SLOTS, "answered": [False], "shares": [("address 192.0.2.1",)], "run_since_ms": SLOTS,
    "stale": [True], "error_class": [ErrorClass.TIMEOUT], "error": ["timed out"], "evidence": [Evidence(body="no")],
    "confirmed": [True], "asked_slot_ms": SLOTS, "asked_at_ms": SLOTS, "deadline_ms": SLOTS, "run_started_ms": SLOTS,
    "run_id": ["a"], "scheduled": [EMPTY, of_slots(SLOTS, 64), of_slots(range(START, SLOTS[4], 5_000), 64)],
    "confirmation": [of_slots(SLOTS, 4)], "manual": [of_slots(SLOTS, 4)],
}  # fmt: skip
CHANGES: dict[str, dict[str, list[Any]]] = {
    "here": LOCAL,
    "elsewhere": LOCAL,
    "state": {
        "verdict": ["down", "degraded", "unknown", "pending"], "is_down": [True], "held": [True],
        "incident": [INCIDENT], "flapping": [Flapping((START,), flag=True), Flapping((START,))],
        "active_since_ms": SLOTS,
    },
    "region": {"heard": [False], "silent": [True], "suspect": ["alone"], "watermark_ms": SLOTS},
    "other region": {"heard": [False], "silent": [True], "suspect": ["alone"], "watermark_ms": SLOTS},
    "config": {
        "config_version": [0, 2], "enabled": [False], "retries": [0, 2], "interval_ms": [10_000, 3 * MINUTE],
        "push_grace_ms": [30_000],
    },
    "result": {
        "outcome": ["down", "degraded", "unknown"], "slot_ms": SLOTS, "kind": ["confirmation", "manual"],
        "config_version": [0, 2], "attempts": [2], "error_class": [ErrorClass.SKIPPED, ErrorClass.TIMEOUT],
        "tries": [[Try(started_ms=0)], [Try(started_ms=0, **REFUSED), Try(started_ms=1)]],
        "page": [Page(content_type="text/html")], "push": [PushCall()],
    },
    "around": {"regions": [("us",), ("eu", "us"), ("eu", "us", "ap")], "healthy": [False]},
}  # fmt: skip
EACH_CHANGE = [
    (what, name, value) for what, fields in CHANGES.items() for name, values in fields.items() for value in values
]


def ordinary() -> dict[str, Any]:
    """A monitor that is up, with one region or two that agree, and the result that comes next."""
    local = LocalState(
        vote="up", voted_ms=START, slot_ms=SLOTS[5], config_version=1, attempts=1, answered=True,
        run_since_ms=START, scheduled=of_slots(SLOTS[:6], 64),
    )  # fmt: skip
    return {
        "here": local,
        "elsewhere": local,
        "state": MonitorState(1, verdict="up", since_ms=START),
        "region": RegionState("eu", heard=True),
        "other region": RegionState("us", heard=True),
        "config": config(),
        "result": result("up", 10),
        "around": {"regions": ("eu",), "healthy": True},
    }


def changed(value: Any, name: str, to: Any) -> Any:
    if isinstance(value, CheckResult):
        return value.model_copy(update={name: to})
    return {**value, name: to} if isinstance(value, dict) else replace(value, **{name: to})


def both_ways(
    state: MonitorState, plan: MonitorConfig, region: str, said: CheckResult, around: Around, *, healthy: bool
) -> bool:
    """Whether the short way was open. Where it was, the rules say the same and tell nothing."""
    local = stay(state, plan, region, said, around.regions, around.world, healthy=healthy)
    if local is None:
        return False
    decision = rules.decide_result(state, plan, region, said, around, healthy=healthy)
    assert decision == Decision(replace(state, local={**state.local, region: local}))
    return True


@given(st.sets(st.sampled_from(range(len(EACH_CHANGE))), max_size=4))
@settings(deadline=None, max_examples=1_500)
@example(set())
def test_the_short_way_is_the_rules_own(which: set[int]) -> None:
    case = ordinary()
    for what, name, value in (EACH_CHANGE[number] for number in which):
        case[what] = changed(case[what], name, value)
    state = replace(case["state"], local={"eu": case["here"], "us": case["elsewhere"]})
    world = {"eu": case["region"], "us": case["other region"]}
    around = Around(case["result"].finished_ms, world, case["around"]["regions"], askable=REGIONS)
    healthy = case["around"]["healthy"]
    event(f"short: {both_ways(state, case['config'], 'eu', case['result'], around, healthy=healthy)}")


@given(
    st.lists(
        st.tuples(
            st.sampled_from(REGIONS),
            st.sampled_from(["up", "up", "up", "down", "degraded", "skipped", "skipped"]),
            st.integers(0, 3),
        ),
        max_size=40,
    )
)
@settings(deadline=None)
def test_along_a_history_too(spoken: list[tuple[str, str, int]]) -> None:
    game, slot = Game(*REGIONS), 0
    for region, outcome, steps in spoken:
        slot += steps
        said, board = result(outcome, slot), game.board
        around = Around(said.finished_ms, board.regions, REGIONS, askable=REGIONS)
        both_ways(board.states[1], board.configs[1], region, said, around, healthy=True)
        game.say(region, said)


def test_the_ordinary_result_goes_the_short_way() -> None:
    game = Game(*REGIONS)
    for slot in range(3):
        for region in REGIONS:
            game.say(region, result("up", slot))
    for region in REGIONS:
        around = Around(START + 3 * MINUTE, game.board.regions, REGIONS)
        said = result("up", 3, tries=[Try(started_ms=0)])
        assert both_ways(game.board.states[1], game.board.configs[1], region, said, around, healthy=True)


@pytest.mark.parametrize("before", ["up", "down", "degraded", None])
def test_a_skipped_slot_goes_the_short_way(before: str | None) -> None:
    game = Game(*REGIONS)
    if before is not None:
        game.say("eu", result(before, 0))
    for slot in (1, 2):
        around = Around(START + slot * MINUTE, game.board.regions, REGIONS)
        said = result("skipped", slot)
        assert both_ways(game.board.states[1], game.board.configs[1], "eu", said, around, healthy=True)
        assert not both_ways(game.board.states[1], game.board.configs[1], "eu", said, around, healthy=False)
        game.say("eu", said)
