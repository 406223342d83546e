"""The life of an incident."""

from typing import ClassVar, Final

from pydantic import Field

from farwatch_events.events.base import Cause, DomainEvent, HowResolved, RegionVote, Severity
from farwatch_events.events.monitors import LeadUp
from farwatch_events.results import Evidence


class _IncidentEvent(DomainEvent):
    incident_id: int
    monitor_id: int

    @property
    def stream(self) -> str:
        return f"incident-{self.incident_id}"


class IncidentOpened(_IncidentEvent):
    """`suppressed` is why nobody is told (for instance "maintenance"), None when people are told. `failed_ms` is when
    the check began that decided it, 0 where no check did or nobody said."""

    type: ClassVar[str] = "incident.opened"
    version: ClassVar[int] = 3
    monitor_name: str
    severity: Severity
    cause: Cause
    regions: list[str]
    reason: str
    votes: list[RegionVote] = Field(default_factory=list)
    evidence: Evidence | None = None
    suppressed: str | None = None
    reopened: bool = False
    lead_up: list[LeadUp] = Field(default_factory=list)
    failed_ms: int = 0


class IncidentSeverityRaised(_IncidentEvent):
    """Degraded became down. `failed_ms` as in IncidentOpened."""

    type: ClassVar[str] = "incident.severity_raised"
    version: ClassVar[int] = 3
    severity: Severity
    cause: Cause
    reason: str
    votes: list[RegionVote] = Field(default_factory=list)
    regions: list[str] = Field(default_factory=list)
    evidence: Evidence | None = None
    failed_ms: int = 0


class IncidentUnsuppressed(_IncidentEvent):
    """Whatever suppressed the alert ended while the monitor was still not up: now people are told."""

    type: ClassVar[str] = "incident.unsuppressed"
    reason: str


class IncidentAcknowledged(_IncidentEvent):
    type: ClassVar[str] = "incident.acknowledged"
    actor: str


class IncidentNoted(_IncidentEvent):
    type: ClassVar[str] = "incident.noted"
    actor: str
    text: str


class IncidentResolved(_IncidentEvent):
    type: ClassVar[str] = "incident.resolved"
    monitor_name: str
    how: HowResolved
    duration_seconds: int
    reason: str
    actor: str | None = None
    suppressed: str | None = None


class IncidentGrouped(_IncidentEvent):
    """Open incidents share what broke: `group_id` is the first one's id, `by` is what they share ("certificate",
    "address", "region"), `key` which one. Every incident stays an incident of its own."""

    type: ClassVar[str] = "incident.grouped"
    group_id: int
    by: str
    key: str
    reason: str


EVENTS: Final = (
    IncidentOpened,
    IncidentSeverityRaised,
    IncidentUnsuppressed,
    IncidentAcknowledged,
    IncidentNoted,
    IncidentResolved,
    IncidentGrouped,
)
