"""An incident that opened, became worse, is told after maintenance, or ended. Pure."""

from farwatch_events.events import IncidentOpened, IncidentResolved, IncidentSeverityRaised, IncidentUnsuppressed
from farwatch_notifier.facts import Facts
from farwatch_notifier.message.parts import Described, Fields, answer_fields, because, cause_fields


def describe_opened(event: IncidentOpened, facts: Facts, _by: str) -> Described:
    fields = _known(facts) | because(event.reason) | {"since_ms": event.at_ms, "severity": event.severity}
    fields |= cause_fields(event.cause.error_class, event.cause.error) | answer_fields(event.evidence)
    return Described(event.severity, fields | {"regions": event.regions})


def describe_raised(event: IncidentSeverityRaised, facts: Facts, _by: str) -> Described:
    """Where the votes name nobody, the regions that saw it before stand."""
    known = {"since_ms": event.at_ms} | _known(facts)
    fields = known | because(event.reason) | cause_fields(event.cause.error_class, event.cause.error)
    seen_from = [each.region for each in event.votes if each.vote == "down"] or known.get("regions", [])
    return Described(event.severity, fields | {"severity": event.severity, "regions": seen_from})


def describe_unsuppressed(event: IncidentUnsuppressed, facts: Facts, _by: str) -> Described | None:
    """None for an incident that is not known any more."""
    if facts.incident is None:
        return None
    return Described(facts.incident.severity, _known(facts) | because(event.reason))


def describe_resolved(event: IncidentResolved, facts: Facts, by: str) -> Described:
    fields: Fields = {
        "since_ms": event.at_ms - event.duration_seconds * 1000,
        "duration_seconds": event.duration_seconds,
        **because(event.reason),
    }
    if facts.incident is not None:
        fields |= {"severity": facts.incident.severity, "regions": list(facts.incident.regions)}
        fields |= cause_fields(facts.incident.error_class, facts.incident.error)
    return Described("resolved" if event.how == "manual" else "up", fields, by=by)


def _known(facts: Facts) -> Fields:
    """The incident as it was stored before the event."""
    incident = facts.incident
    if incident is None:
        return {}
    fields: Fields = {
        "since_ms": incident.opened_ms, "severity": incident.severity, "regions": list(incident.regions),
    }  # fmt: skip
    return fields | cause_fields(incident.error_class, incident.error) | answer_fields(incident.evidence)
