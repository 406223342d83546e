"""What several messages have in common: cause, answer, monitor, link. What others wrote becomes one line. Pure."""

from typing import Any, NamedTuple

from farwatch_events.events import DomainEvent
from farwatch_events.results import Evidence
from farwatch_notifier.facts import Facts
from farwatch_notifier.message.alert import Kind
from farwatch_notifier.text import lines, one_line

EXCERPT_LIMIT = 500

Fields = dict[str, Any]
"""Fields of Alert, by name."""


class Described(NamedTuple):
    """What one event tells; `by` and `problem` as in `words.compose`."""

    kind: Kind
    fields: Fields
    by: str = ""
    problem: str = ""


def monitor_fields(event: DomainEvent, facts: Facts) -> Fields:
    """The name at the time of the event, where it tells it, stands before the name now."""
    fields: Fields = {
        "monitor_id": getattr(event, "monitor_id", None),
        "incident_id": getattr(event, "incident_id", None),
    }
    if facts.monitor is not None:
        fields["monitor_name"] = one_line(facts.monitor.name, 200)
        fields |= target_fields(facts)
    name = getattr(event, "monitor_name", "")
    return fields | ({"monitor_name": one_line(name, 200)} if name else {})


def target_fields(facts: Facts) -> Fields:
    monitor = facts.monitor
    return {} if monitor is None else {"monitor_type": monitor.type, "target": one_line(monitor.target, 500)}


def because(reason: str) -> Fields:
    return {"reason": one_line(reason, 500)}


def cause_fields(error_class: str | None, error: str | None) -> Fields:
    if error_class is None and not error:
        return {}
    return {"error_class": error_class and str(error_class), "error": one_line(error or str(error_class), 500)}


def answer_fields(evidence: Evidence | None) -> Fields:
    if evidence is None:
        return {}
    return {
        "answered_status": one_line(evidence.status_line, 200),
        "answered_excerpt": lines(evidence.body, EXCERPT_LIMIT),
        "answered_address": one_line(evidence.address or "", 100),
    }


def make_link(public_url: str, incident_id: int | None, monitor_id: int | None) -> str | None:
    """None without a public address."""
    base = public_url.rstrip("/")
    if not base:
        return None
    if incident_id is not None:
        return f"{base}/incidents/{incident_id}"
    return f"{base}/monitors/{monitor_id}" if monitor_id is not None else base
