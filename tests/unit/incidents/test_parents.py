"""What a monitor stands behind is looked at when the monitor is found down: who is asked, and how often."""

from typing import Any

import pytest

from farwatch_events.events import ConfirmationRequested, IncidentOpened
from farwatch_events.monitor import dump_monitor, parse_monitor
from farwatch_incidents.rules.asking import (
    CONFIRMATION_PATIENCE_MS,
    Askable,
    Reserve,
    find_above,
)
from farwatch_incidents.rules.config import SPEC_FIELDS, Maintenance, config_of
from tests.unit.incidents.cases import MINUTE, START, Game, config, result
from tests.unit.incidents.test_more_rules import restart

ROUTER = 1
SLOW = 5 * MINUTE
FAILED = START + MINUTE


def behind(*regions: str, children: int = 1, parents: tuple[int, ...] = (ROUTER,), **router: Any) -> Game:
    """A router that is looked at every five minutes and was up at the start, and monitors behind it, from 10 on."""
    game = Game(*regions, **{"interval_ms": SLOW, **router})
    for region in regions:
        game.say(region, result("up", 0, ROUTER))
    for child in range(10, 10 + children):
        game.board.set_config(config(child, parents=parents))
        for region in regions:
            game.say(region, result("up", 0, child))
    return game


def fail(game: Game, child: int = 10, slot: int = 1, **fields: Any) -> None:
    for region in sorted(game.board.enabled_regions):
        game.say(region, result("down", slot, child, **fields))


def asked(game: Game) -> list[tuple[int, str, int]]:
    return [(each.monitor_id, each.region, each.failed_slot_ms) for each in game.of(ConfirmationRequested)]


def answer(game: Game, outcome: str, slot_ms: int, region: str = "eu", failed: int = 2) -> None:
    said = result(outcome, 0, ROUTER, failed, kind="confirmation", slot_ms=slot_ms, finished_ms=slot_ms + 100)
    game.say(region, said)


def test_a_parent_that_was_not_looked_at_since_is_asked_once_with_all_its_tries() -> None:
    game = behind("eu", children=3)
    for child in (10, 11, 12):
        fail(game, child)
    (request,) = game.of(ConfirmationRequested)
    assert (request.monitor_id, request.region, request.failed_slot_ms) == (ROUTER, "eu", FAILED)
    assert request.all_tries
    assert request.reason == "eu has not seen it up since site 10, which stands behind it, failed"
    assert {event.failed_ms for event in game.of(IncidentOpened)} == {FAILED}
    answer(game, "down", FAILED + 500)
    assert (game.verdict, len(game.of(IncidentOpened)), len(asked(game))) == ("down", 4, 1)
    fail(game, 12, slot=2)
    assert len(asked(game)) == 1


def test_a_parent_that_answers_up_is_asked_again_only_about_later_failures() -> None:
    game = behind("eu", children=4)
    fail(game, 10)
    answer(game, "up", FAILED + 500)
    fail(game, 11)
    fail(game, 12, started_ms=FAILED + 500)
    assert len(asked(game)) == 1
    fail(game, 13, started_ms=FAILED + 501, finished_ms=FAILED + 501)
    assert asked(game)[1:] == [(ROUTER, "eu", FAILED + 501)]


def test_a_check_that_began_late_failed_when_it_began() -> None:
    game = behind("eu", interval_ms=MINUTE)
    game.say("eu", result("up", 0, ROUTER, slot_ms=FAILED + 5_000))
    fail(game, started_ms=FAILED + 20_000, finished_ms=FAILED + 21_000)
    assert asked(game) == [(ROUTER, "eu", FAILED + 20_000)]


def test_clocks_that_run_ahead_fail_no_later_than_their_result_arrived() -> None:
    game = behind("eu")
    fail(game, started_ms=FAILED + 3_600_000)
    assert asked(game) == [(ROUTER, "eu", FAILED + 100)]


def test_a_request_without_an_answer_runs_out() -> None:
    game = behind("eu", children=3)
    fail(game, 10)
    patience_ms = game.board.configs[ROUTER].max_check_ms + CONFIRMATION_PATIENCE_MS
    fail(game, 11, finished_ms=FAILED + 100 + patience_ms)
    assert len(asked(game)) == 1
    fail(game, 12, finished_ms=FAILED + 101 + patience_ms)
    assert len(asked(game)) == 2


def test_every_region_that_has_not_looked_is_asked() -> None:
    game = behind("ap", "eu", "us")
    game.say("ap", result("up", 0, ROUTER, slot_ms=FAILED + 10))
    fail(game)
    of_router = [region for monitor_id, region, _ in asked(game) if monitor_id == ROUTER]
    assert of_router == ["eu", "us"]
    answer(game, "down", FAILED + 600, "eu")
    answer(game, "down", FAILED + 600, "us")
    assert game.verdict == "down"


@pytest.mark.parametrize("case", ["paused", "push", "down", "never looked at", "looked at since", "unknown to us"])
def test_who_is_not_asked(case: str) -> None:
    game = behind("eu", parents={"unknown to us": (99,), "never looked at": (2,)}.get(case, (ROUTER,)))
    game.board.set_config(config(2, interval_ms=SLOW))
    if case in ("paused", "push"):
        changed: dict[str, Any] = {"enabled": False} if case == "paused" else {"push_grace_ms": 1_000}
        game.board.set_config(config(ROUTER, interval_ms=SLOW, config_version=2, **changed))
    elif case == "down":
        game.say("eu", result("down", 0, ROUTER, slot_ms=START + 1_000))
    elif case == "looked at since":
        game.say("eu", result("up", 0, ROUTER, slot_ms=FAILED))
    fail(game)
    assert len(game.of(IncidentOpened)) == 1 + (case == "down")
    assert asked(game) == []


@pytest.mark.parametrize("trouble", ["silent", "suspect", None])
def test_a_region_without_a_vote_is_not_asked(trouble: str | None) -> None:
    game = behind("eu", "us", regions=("us",))
    game.board.set_config(config(10, parents=(ROUTER,), regions=("eu",)))
    for second in range(0, 40, 2):
        game.beat(second / 60, "eu")
        if trouble != "silent":
            game.beat(second / 60, "us", healthy=trouble is None)
        game.tick(second / 60, 2_000)
    fail(game)
    assert game.board.regions["us"].stands == (trouble or "live")
    assert game.board.states[10].verdict == "down"
    assert [each[:2] for each in asked(game)] == ([(ROUTER, "us")] if trouble is None else [])


@pytest.mark.parametrize("suppressed", [True, False])
def test_a_failure_that_nobody_is_told_of_asks_nobody(suppressed: bool) -> None:
    game = behind("eu")
    begins = START if suppressed else START + 60 * MINUTE
    game.board.set_windows([Maintenance(1, "move", begins, begins + 60 * MINUTE, monitor_ids=frozenset({10}))])
    fail(game)
    assert bool(asked(game)) is not suppressed


def test_degraded_asks_nobody_until_it_is_down() -> None:
    game = behind("eu")
    for slot in (1, 2):
        game.say("eu", result("degraded", slot, 10))
    assert (game.board.states[10].verdict, asked(game)) == ("degraded", [])
    fail(game, slot=3)
    assert asked(game) == [(ROUTER, "eu", START + 3 * MINUTE)]


def test_parents_of_parents_are_asked_too_and_a_circle_ends() -> None:
    game = behind("eu", parents=(2, 3))
    for number, parents in ((2, (ROUTER, 10)), (3, (ROUTER,)), (ROUTER, (10, 2))):
        game.board.set_config(config(number, interval_ms=SLOW, parents=parents))
        if number != ROUTER:
            game.say("eu", result("up", 0, number))
    assert [each.monitor_id for each in find_above(game.board.configs[10], game.board.configs)] == [2, 3, ROUTER]
    fail(game)
    assert [monitor_id for monitor_id, _, _ in asked(game)] == [2, 3, ROUTER]


def test_a_long_chain_is_followed_ten_steps() -> None:
    configs = {number: config(number, parents=(number + 1,)) for number in range(1, 40)}
    assert [each.monitor_id for each in find_above(configs[1], configs)] == list(range(2, 12))


def test_there_is_room_for_parents_when_the_storm_has_used_the_rest_and_it_ends_too() -> None:
    askable = Askable()
    first = Reserve(askable)
    for _ in range(20):
        assert "eu" in askable
        askable.spend("eu")
    assert "eu" not in askable
    for _ in range(20):
        assert "eu" in first
        askable.spend("eu")
    assert "eu" not in first
    assert "us" in first


def test_five_hundred_behind_one_parent_are_one_request_a_region() -> None:
    game = behind("eu", "us", children=500)
    for child in range(10, 510):
        fail(game, child)
    of_router = [region for monitor_id, region, _ in asked(game) if monitor_id == ROUTER]
    assert sorted(of_router) == ["eu", "us"]


@pytest.mark.parametrize("outcome", ["up", "down"])
def test_a_fold_that_begins_anew_knows_whom_it_asked(outcome: str) -> None:
    game = behind("eu", children=2)
    fail(game, 10)
    restart(game)
    fail(game, 11)
    assert len(asked(game)) == 1
    answer(game, outcome, FAILED + 500)
    assert game.verdict == outcome


def test_results_that_come_twice_ask_no_more() -> None:
    game = behind("eu", children=1)
    for _ in range(3):
        fail(game)
    answer(game, "up", FAILED + 500)
    answer(game, "up", FAILED + 500)
    fail(game)
    assert len(asked(game)) == 1


def test_the_answer_before_the_failure_and_after_it_leave_the_same_verdict() -> None:
    one, other = behind("eu"), behind("eu")
    fail(one)
    answer(one, "down", FAILED + 500)
    answer(other, "down", FAILED + 500)
    fail(other)
    assert one.verdict == other.verdict == "down"
    assert (len(asked(one)), asked(other)) == (1, [])


def test_parents_are_read_from_the_specification() -> None:
    spec = parse_monitor({"type": "http", "name": "x", "url": "https://x.example/", "parents": [3, 4]})
    stored = dump_monitor(spec)
    read = config_of(7, [stored.get(name) for name in SPEC_FIELDS], 1, enabled=True)
    assert read.parents == (3, 4)
