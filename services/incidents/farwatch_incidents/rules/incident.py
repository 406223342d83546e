"""The life of an incident: opened, raised, acknowledged, noted, unsuppressed, resolved."""

from dataclasses import dataclass, field, replace
from typing import Any

from farwatch_events.events import (
    Cause,
    DomainEvent,
    HowResolved,
    IncidentAcknowledged,
    IncidentGrouped,
    IncidentNoted,
    IncidentOpened,
    IncidentResolved,
    IncidentSeverityRaised,
    IncidentUnsuppressed,
    LeadUp,
    RegionVote,
    Severity,
    VoteChanged,
)
from farwatch_events.results import ErrorClass, Evidence
from farwatch_incidents.rules.reasons import lasting

MAINTENANCE = "maintenance"
FLAPPING = "flapping"


@dataclass(frozen=True, slots=True)
class Entry:
    """A line of the timeline. Its number is given when it is stored, in order."""

    at_ms: int
    kind: str
    sentence: str
    actor: str | None = None
    data: dict[str, Any] = field(default_factory=dict)
    event: DomainEvent | None = None


@dataclass(frozen=True, slots=True)
class Incident:
    """`entries` counts the stored lines of the timeline, `last_ms` is the time of the last: it never runs backwards."""

    incident_id: int
    monitor_id: int
    monitor_name: str
    state: str
    severity: Severity
    opened_ms: int
    reason: str
    error_class: ErrorClass | None = None
    error: str | None = None
    regions: tuple[str, ...] = ()
    votes: tuple[RegionVote, ...] = ()
    evidence: Evidence | None = None
    suppressed: str | None = None
    acknowledged_ms: int | None = None
    acknowledged_by: str | None = None
    resolved_ms: int | None = None
    how_resolved: HowResolved | None = None
    group_id: int | None = None
    group_by: str | None = None
    group_key: str | None = None
    entries: int = 0
    last_ms: int = 0


Life = tuple[Incident, DomainEvent, Entry]


@dataclass(frozen=True, slots=True)
class Finding:
    """What was found wrong: everything an incident is opened or raised with."""

    severity: Severity
    reason: str
    cause: Cause
    regions: tuple[str, ...]
    votes: tuple[RegionVote, ...]
    evidence: Evidence | None = None
    lead_up: tuple[LeadUp, ...] = ()
    failed_ms: int = 0


def vote_entry(event: VoteChanged) -> Entry:
    data = {"region": event.region, "vote": event.after, "slot_ms": event.slot_ms}
    return Entry(event.at_ms, "vote", event.reason, data=data, event=event)


def lead_up_entry(vote: LeadUp) -> Entry:
    data = {"region": vote.region, "vote": vote.vote, "slot_ms": vote.slot_ms}
    return Entry(vote.at_ms, "vote", vote.sentence, data=data)


def open_incident(
    incident_id: int, monitor_id: int, name: str, found: Finding, suppressed: str | None, now_ms: int
) -> Life:
    event = IncidentOpened(
        at_ms=now_ms,
        incident_id=incident_id,
        monitor_id=monitor_id,
        monitor_name=name,
        severity=found.severity,
        cause=found.cause,
        regions=list(found.regions),
        reason=found.reason,
        votes=list(found.votes),
        evidence=found.evidence,
        suppressed=suppressed,
        lead_up=list(found.lead_up),
        failed_ms=found.failed_ms,
    )
    return opened_as(event), event, opened_entry(event)


def opened_as(event: IncidentOpened) -> Incident:
    return Incident(
        incident_id=event.incident_id,
        monitor_id=event.monitor_id,
        monitor_name=event.monitor_name,
        state="open",
        severity=event.severity,
        opened_ms=event.at_ms,
        reason=event.reason,
        error_class=event.cause.error_class,
        error=event.cause.error,
        regions=tuple(event.regions),
        votes=tuple(event.votes),
        evidence=event.evidence,
        suppressed=event.suppressed,
    )


def opened_entry(event: IncidentOpened) -> Entry:
    sentence = event.reason
    if event.suppressed is not None:
        sentence = f"{event.reason}. Nobody is told: {event.suppressed}"
    return Entry(event.at_ms, "opened", sentence, event=event)


def raise_severity(incident: Incident, found: Finding, now_ms: int) -> Life:
    event = IncidentSeverityRaised(
        at_ms=now_ms,
        incident_id=incident.incident_id,
        monitor_id=incident.monitor_id,
        severity=found.severity,
        cause=found.cause,
        reason=found.reason,
        votes=list(found.votes),
        regions=list(found.regions),
        evidence=incident.evidence or found.evidence,
        failed_ms=found.failed_ms,
    )
    return raised_as(incident, event), event, Entry(now_ms, "raised", found.reason, event=event)


def raised_as(incident: Incident, event: IncidentSeverityRaised) -> Incident:
    return replace(
        incident,
        severity=event.severity,
        reason=event.reason,
        error_class=event.cause.error_class,
        error=event.cause.error,
        regions=tuple(event.regions),
        votes=tuple(event.votes),
        evidence=event.evidence,
    )


def resolve(incident: Incident, how: HowResolved, reason: str, now_ms: int, actor: str | None = None) -> Life:
    resolved = replace(incident, state="resolved", resolved_ms=now_ms, how_resolved=how)
    seconds = max(0, now_ms - incident.opened_ms) // 1000
    event = IncidentResolved(
        at_ms=now_ms,
        incident_id=incident.incident_id,
        monitor_id=incident.monitor_id,
        monitor_name=incident.monitor_name,
        how=how,
        duration_seconds=seconds,
        reason=reason,
        actor=actor,
        suppressed=incident.suppressed,
    )
    return resolved, event, resolved_entry(event)


def resolved_entry(event: IncidentResolved) -> Entry:
    sentence = f"{event.reason}. It lasted {lasting(event.duration_seconds)}"
    return Entry(event.at_ms, "resolved", sentence, event.actor, event=event)


def acknowledge(incident: Incident, actor: str, now_ms: int) -> Life | None:
    """None when it is acknowledged already: the first one stands."""
    if incident.state != "open":
        return None
    event = IncidentAcknowledged(
        at_ms=now_ms, incident_id=incident.incident_id, monitor_id=incident.monitor_id, actor=actor
    )
    after = replace(incident, state="acknowledged", acknowledged_ms=now_ms, acknowledged_by=actor)
    return after, event, Entry(now_ms, "acknowledged", "Acknowledged", actor, event=event)


def note(incident: Incident, actor: str, text: str, now_ms: int) -> Life:
    event = IncidentNoted(
        at_ms=now_ms, incident_id=incident.incident_id, monitor_id=incident.monitor_id, actor=actor, text=text
    )
    return incident, event, Entry(now_ms, "noted", text, actor, event=event)


def unsuppress(incident: Incident, now_ms: int) -> Life:
    reason = f"{incident.suppressed or MAINTENANCE} ended and the monitor is still not up".capitalize()
    event = IncidentUnsuppressed(
        at_ms=now_ms, incident_id=incident.incident_id, monitor_id=incident.monitor_id, reason=reason
    )
    return replace(incident, suppressed=None), event, Entry(now_ms, "unsuppressed", reason, event=event)


def join_group(incident: Incident, group_id: int, by: str, key: str, reason: str, now_ms: int) -> Life:
    """The incident stays one of its own: it only says which others broke with it."""
    event = IncidentGrouped(
        at_ms=now_ms,
        incident_id=incident.incident_id,
        monitor_id=incident.monitor_id,
        group_id=group_id,
        by=by,
        key=key,
        reason=reason,
    )
    joined = replace(incident, group_id=group_id, group_by=by, group_key=key)
    return joined, event, Entry(now_ms, "grouped", reason, event=event)
