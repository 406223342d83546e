"""What the content guard has to say on the page of a monitor."""

from datetime import UTC, datetime
from typing import Any

from farwatch_api.presentation.guard import GuardView, guard_view

SLOT = datetime(2026, 1, 1, 12, 0, tzinfo=UTC)
SCRIPT = "A script from evil.example is new on the page"


def vote(region: str, answers: int = 3, differences: tuple[str, ...] = (), minute: int = 0) -> dict[str, Any]:
    guard = {"learned": answers >= 3, "answers": answers, "differences": list(differences)}
    return {"region": region, "last_check": {"slot": f"2026-01-01T12:{minute:02d}:00Z", "content_guard": guard}}


def test_it_learns_until_every_region_has() -> None:
    assert guard_view([], None) == GuardView("learning", 0)
    assert guard_view([vote("eu"), vote("us", 2)], None) == GuardView("learning", 2)
    assert guard_view([vote("eu"), vote("us")], None) == GuardView("watching", 3)


def test_a_difference_names_the_regions_that_saw_it() -> None:
    told = guard_view([vote("eu", differences=(SCRIPT,)), vote("us", differences=(SCRIPT, "The title is gone"))], None)
    assert told == GuardView("differs", 3, {SCRIPT: ["eu", "us"], "The title is gone": ["us"]})


def test_what_was_accepted_waits_for_the_next_check() -> None:
    votes = [vote("eu", differences=(SCRIPT,), minute=1)]
    assert guard_view(votes, SLOT.replace(minute=2)).state == "accepted"
    assert guard_view(votes, SLOT).state == "differs", "seen after it was accepted: something newer"


def test_a_check_that_failed_says_nothing_about_the_page() -> None:
    silent = {"region": "us", "last_check": {"slot": "2026-01-01T12:00:00Z", "content_guard": None}}
    older = {"region": "ap", "last_check": {"slot": "2026-01-01T12:00:00Z"}}
    never = {"region": "sa", "last_check": None}
    assert guard_view([vote("eu"), silent, older, never], None).state == "watching"
