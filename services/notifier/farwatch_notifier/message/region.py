"""A place of ours that went silent or is not to be trusted, and its return. Pure."""

from farwatch_events.events import RegionCleared, RegionReturned, RegionSilenced, RegionSuspected
from farwatch_notifier.facts import Facts
from farwatch_notifier.message.parts import Described, Fields, because


def describe_silent(event: RegionSilenced, _facts: Facts, _by: str) -> Described:
    return Described("region_silent", _where(event.region) | {"since_ms": event.last_seen_ms})


def describe_returned(event: RegionReturned, _facts: Facts, _by: str) -> Described:
    seconds = event.silent_seconds
    fields = {"duration_seconds": seconds, "since_ms": event.at_ms - seconds * 1000}
    return Described("region_returned", _where(event.region) | fields)


def describe_suspect(event: RegionSuspected, _facts: Facts, _by: str) -> Described:
    return Described("region_suspect", _where(event.region) | because(event.reason))


def describe_cleared(event: RegionCleared, _facts: Facts, _by: str) -> Described:
    return Described("region_cleared", _where(event.region) | because(event.reason))


def _where(region: str) -> Fields:
    return {"region": region, "regions": [region]}
