"""The content guard in the fold: learned from three good answers, degraded by two that differ, accepted by a click."""

from typing import Any

from farwatch_events.events import VerdictChanged
from farwatch_events.guard import Page
from farwatch_incidents.rules.codec import dump_local, last_check, load_local
from tests.unit.incidents.cases import Game, result

GOOD = Page(of="a", content_type="text/html", title="Shop", size_bytes=9000, script=("cdn.example",))
BAD = GOOD.model_copy(update={"script": ("cdn.example", "evil.example")})


def say(game: Game, slot: int, page: Page, **fields: Any) -> None:
    game.beat(slot, "eu")
    game.say("eu", result("up", slot, page=page, **fields))


def learned() -> Game:
    game = Game("eu")
    for slot in range(1, 4):
        say(game, slot, GOOD)
    return game


def test_two_answers_that_differ_are_degraded_with_the_difference_named() -> None:
    game = learned()
    say(game, 4, BAD)
    assert game.state.verdict == "up", "degraded takes two in a row"
    assert game.changes.history[0][12] == "degraded"
    say(game, 5, BAD)
    assert game.state.verdict == "degraded"
    assert "A script from evil.example is new on the page" in game.of(VerdictChanged)[-1].reason
    say(game, 6, GOOD)
    assert game.state.verdict == "up"


def test_the_first_pages_are_learned_whatever_they_are() -> None:
    game = Game("eu")
    for slot, page in enumerate((GOOD, BAD, GOOD, BAD, BAD), 1):
        say(game, slot, page)
    assert game.state.verdict == "up"


def test_accepting_makes_the_new_page_the_known_one() -> None:
    game = learned()
    say(game, 4, BAD)
    say(game, 5, BAD)
    game.board.accept_content(1)
    assert game.board.take_changes().local == {(1, "eu")}
    say(game, 6, BAD)
    assert game.state.verdict == "up"
    say(game, 7, BAD.model_copy(update={"link": ("pills.example",)}))
    assert game.changes.history[0][12] == "degraded"


def test_a_slow_answer_keeps_its_own_reason() -> None:
    game = learned()
    seen = result("degraded", 4, page=BAD)
    game.beat(4, "eu")
    game.say("eu", seen)
    told = game.changes.last_checks[1, "eu"]["reasons"]
    assert told == ["answered in 2300 ms, more than 1000 ms", "A script from evil.example is new on the page"]


def test_failures_and_unhealthy_probers_teach_nothing() -> None:
    game = Game("eu")
    game.beat(1, "eu")
    game.say("eu", result("up", 1, page=GOOD), healthy=False)
    game.say("eu", result("down", 2))
    assert game.state.local["eu"].guard.samples == 0


def test_what_was_learned_outlives_a_pause_and_a_restart() -> None:
    game = learned()
    say(game, 4, BAD)
    game.board.pause(1)
    local = game.state.local["eu"]
    assert load_local(local.vote, local.slot_ms, dump_local(local)) == local
    assert local.guard.has_learned
    assert load_local("up", 1, dump_local(local)[:22]).guard.samples == 0, "stored before there was a guard"


def test_the_last_check_tells_what_the_guard_knows() -> None:
    game = learned()
    say(game, 4, BAD)
    differing = game.changes.last_checks[1, "eu"]["content_guard"]
    assert differing == {
        "learned": True,
        "answers": 3,
        "differences": ["A script from evil.example is new on the page"],
    }
    game.board.accept_content(1)
    say(game, 5, BAD)
    assert game.changes.last_checks[1, "eu"]["content_guard"]["differences"] == []
    assert last_check(result("up", 1), "eu")["content_guard"] is None


def test_the_last_check_names_assertions_and_reasons() -> None:
    told = last_check(
        result("down", 1, assertions=[{"subject": "status", "operator": "equals", "expected": "200", "seen": "503",
                                       "ok": False}]), "eu",
    )  # fmt: skip
    assert told["assertions"] == [
        {"subject": "status", "operator": "equals", "expected": "200", "seen": "503", "ok": False, "severity": "down"}
    ]
    assert told["reasons"] == []
