"""Farwatch itself has trouble, and the end of it. Pure."""

from farwatch_events.events import PROBLEMS, SystemRecovered, SystemTroubled
from farwatch_notifier.facts import Facts
from farwatch_notifier.message.parts import Described, because
from farwatch_notifier.text import one_line


def describe_troubled(event: SystemTroubled, _facts: Facts, _by: str) -> Described:
    fields = {"since_ms": event.at_ms, **because(event.reason)}
    return Described("system_troubled", fields, problem=_say_problem(event))


def describe_recovered(event: SystemRecovered, _facts: Facts, _by: str) -> Described:
    fields = {
        "since_ms": event.at_ms - event.seconds * 1000,
        "duration_seconds": event.seconds,
        **because(event.reason),
    }
    return Described("system_recovered", fields, problem=_say_problem(event))


def _say_problem(event: SystemTroubled | SystemRecovered) -> str:
    """In words, and whose where there are several."""
    words = PROBLEMS.get(event.problem, event.problem)
    return one_line(f"{words} ({event.subject})" if event.subject else words, 200)
