"""Whether Farwatch is well is seen from what its services left last, and from what they told."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import pytest

from farwatch_api.presentation.system import Facts, system_status
from farwatch_events.events import DomainEvent, SystemRecovered, SystemTroubled

NOW = datetime(2026, 1, 1, 12, tzinfo=UTC)
MS = int(NOW.timestamp() * 1000)
TROUBLED = SystemTroubled(at_ms=MS - 90_000, problem="due_backlog", subject="eu", reason="9 chunks wait")
RECOVERED = SystemRecovered(at_ms=MS, problem="due_backlog", subject="eu", reason="0 chunks wait", seconds=90)


def problems(
    folded_ms: int = MS, scheduled_ms: int = MS, behind: Mapping[str, float] | None = None,
    told: tuple[DomainEvent, ...] = (), connected: bool = True, running: float = 60,
) -> list[dict[str, Any]]:  # fmt: skip
    facts = Facts(folded_ms, scheduled_ms, behind or {}, told)
    status = system_status(facts, NOW, bus_connected=connected, running_seconds=running)
    assert status["ok"] is not bool(status["problems"])
    found: list[dict[str, Any]] = status["problems"]
    return found


@pytest.mark.parametrize(
    "facts",
    [
        {},
        {"folded_ms": MS - 15_000, "scheduled_ms": MS - 50_000},
        {"behind": {"relay": 10.0, "notifier": 29.0, "somebody": 1000.0}},
        {"folded_ms": 0, "scheduled_ms": 0, "running": 5},
        {"told": (TROUBLED, RECOVERED)},
        {"folded_ms": MS + 5000, "scheduled_ms": MS + 5000},
    ],
)
def test_well(facts: dict[str, Any]) -> None:
    assert problems(**facts) == []


@pytest.mark.parametrize(
    ("facts", "problem", "words"),
    [
        ({"folded_ms": MS - 95_000}, "fold", "Results have not been processed for 1m 35s."),
        ({"folded_ms": 0}, "fold", "The service has not started yet."),
        ({"scheduled_ms": MS - 61_000}, "scheduler", "Checks have not been scheduled for 1m 1s."),
        ({"behind": {"notifier": 45.0}}, "notifier", "Nobody has looked for alerts to send for 45s."),
        ({"behind": {"relay": 45.0}}, "outbox", "Events have waited 45s to be sent on."),
        ({"connected": False}, "bus", "No connection to the message bus: checks and alerts may stand still."),
        ({"told": (TROUBLED,)}, "due_backlog", "Due checks wait for a prober. 9 chunks wait."),
    ],
)
def test_unwell(facts: dict[str, Any], problem: str, words: str) -> None:
    [found] = problems(**facts)
    assert (found["problem"], found["reason"]) == (problem, words)


def test_what_was_told_has_its_beginning_and_its_subject() -> None:
    [found] = problems(told=(TROUBLED, RECOVERED, TROUBLED))
    assert (found["subject"], found["since"]) == ("eu", "2026-01-01T11:58:30Z")
