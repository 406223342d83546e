"""A fire drill, told like an outage and marked in every title. Pure."""

from farwatch_events.events import DrillEnded, DrillStarted
from farwatch_notifier.facts import Facts
from farwatch_notifier.message.parts import Described, because


def describe_drill_started(event: DrillStarted, _facts: Facts, by: str) -> Described:
    fields = {"drill": True, "since_ms": event.at_ms, "severity": event.severity, **because(say_drill(by))}
    return Described(event.severity, fields)


def say_drill(by: str) -> str:
    return f"A fire drill, started by {by}: nothing is down. Acknowledge it as if it were."


def describe_drill_ended(event: DrillEnded, _facts: Facts, _by: str) -> Described:
    return Described(
        "up",
        {
            "drill": True,
            "since_ms": event.at_ms - event.duration_seconds * 1000,
            "duration_seconds": event.duration_seconds,
            **because(f"The drill is over: {event.reason}"),
        },
    )
