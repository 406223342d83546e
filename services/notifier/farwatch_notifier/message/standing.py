"""An open incident told later than it opened, or told again: as it stands now, not as it was. Pure."""

from farwatch_notifier.facts import Facts, IncidentFacts
from farwatch_notifier.message.alert import Alert
from farwatch_notifier.message.parts import (
    Fields,
    answer_fields,
    because,
    cause_fields,
    make_link,
    target_fields,
)
from farwatch_notifier.message.words import compose
from farwatch_notifier.text import one_line


def build_reminder(incident: IncidentFacts, facts: Facts, now_ms: int, public_url: str) -> Alert:
    fields = _standing(incident, facts, now_ms, public_url)
    fields["duration_seconds"] = max(0, now_ms - incident.opened_ms) // 1000
    return compose("reminder", fields)


def build_standing(incident: IncidentFacts, facts: Facts, now_ms: int, public_url: str) -> Alert:
    """The first that a channel hears of it: after a delay, a step of an escalation, the end of quiet hours."""
    return compose(incident.severity, _standing(incident, facts, now_ms, public_url))


def _standing(incident: IncidentFacts, facts: Facts, now_ms: int, public_url: str) -> Fields:
    """A drill has no page of an incident."""
    fields: Fields = {
        "at_ms": now_ms,
        "thread": incident.thread,
        "since_ms": incident.opened_ms,
        "monitor_id": incident.monitor_id,
        "monitor_name": one_line(incident.monitor_name, 200),
        "incident_id": None if incident.drill else incident.id,
        "severity": incident.severity,
        "regions": list(incident.regions),
        "drill": incident.drill,
        **because(incident.reason),
        **cause_fields(incident.error_class, incident.error),
        **answer_fields(incident.evidence),
        **target_fields(facts),
    }
    return fields | {"link": make_link(public_url, fields["incident_id"], incident.monitor_id)}
