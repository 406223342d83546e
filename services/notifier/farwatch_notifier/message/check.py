"""A single check that failed or succeeded, before anything is confirmed. Pure."""

from farwatch_events.events import FirstFailure, FirstSuccess
from farwatch_notifier.facts import Facts
from farwatch_notifier.message.parts import Described, cause_fields


def describe_first_failure(event: FirstFailure, _facts: Facts, _by: str) -> Described:
    return Described("first_failure", {"regions": [event.region], **cause_fields(event.error_class, event.error)})


def describe_first_success(event: FirstSuccess, _facts: Facts, _by: str) -> Described:
    return Described("first_success", {"regions": [event.region]})
