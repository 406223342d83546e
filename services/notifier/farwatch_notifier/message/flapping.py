"""A monitor that goes to and fro, and one that is steady again. Pure."""

from farwatch_events.events import FlappingEnded, FlappingStarted
from farwatch_notifier.facts import Facts
from farwatch_notifier.message.parts import Described, because


def describe_flapping(event: FlappingStarted, _facts: Facts, _by: str) -> Described:
    return Described("flapping", because(event.reason))


def describe_steady(event: FlappingEnded, _facts: Facts, _by: str) -> Described:
    return Described("steady", because(event.reason))
