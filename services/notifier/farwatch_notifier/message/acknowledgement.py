"""Somebody is on it: of an incident, or of a drill. Pure."""

from farwatch_events.events import DrillAcknowledged, IncidentAcknowledged
from farwatch_notifier.facts import Facts
from farwatch_notifier.message.parts import Described, Fields, because
from farwatch_notifier.text import one_line


def describe_acknowledged(event: IncidentAcknowledged | DrillAcknowledged, facts: Facts, by: str) -> Described | None:
    """None for an incident that is not known any more."""
    incident = facts.incident
    if incident is None:
        return None
    fields: Fields = {
        "since_ms": incident.opened_ms,
        "severity": incident.severity,
        "drill": incident.drill,
        "monitor_name": one_line(incident.monitor_name, 200),
        "regions": list(incident.regions),
    }
    note = getattr(event, "note", None)
    return Described("acknowledged", fields | (because(note) if note else {}), by=by)
