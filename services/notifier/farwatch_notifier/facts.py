"""What a decision about an alert is made from, as plain values. Pure."""

from dataclasses import dataclass
from typing import Literal

from farwatch_events.channels import Moment
from farwatch_events.events import Severity
from farwatch_events.results import Evidence

DeliveryState = Literal["pending", "delivered", "failed", "suppressed"]


@dataclass(frozen=True, slots=True)
class ChannelFacts:
    id: int
    name: str
    enabled: bool
    moments: frozenset[str]


@dataclass(frozen=True, slots=True)
class MonitorFacts:
    """`channels` are the ids that the monitor names; none means every enabled channel."""

    id: int
    name: str
    type: str
    target: str
    channels: tuple[int, ...] = ()
    tags: frozenset[str] = frozenset()
    enabled: bool = True
    deleted: bool = False


@dataclass(frozen=True, slots=True)
class IncidentFacts:
    id: int
    monitor_id: int
    monitor_name: str
    severity: Severity
    opened_ms: int
    reason: str = ""
    error_class: str | None = None
    error: str | None = None
    regions: tuple[str, ...] = ()
    evidence: Evidence | None = None
    suppressed: str | None = None
    acknowledged_ms: int | None = None
    acknowledged_by: str | None = None
    resolved_ms: int | None = None

    def is_open_at(self, at_ms: int) -> bool:
        return self.opened_ms < at_ms and (self.resolved_ms is None or self.resolved_ms > at_ms)


@dataclass(frozen=True, slots=True)
class Prior:
    """A delivery that exists already, in the order of its making."""

    channel_id: int
    moment: str
    state: DeliveryState


@dataclass(frozen=True, slots=True)
class Facts:
    """Everything known around one event. `incident` is the event's own, or the monitor's open one.

    `prior` are the deliveries of that incident, `maintenance` the name of the window the monitor was in.
    """

    channels: tuple[ChannelFacts, ...] = ()
    monitor: MonitorFacts | None = None
    incident: IncidentFacts | None = None
    prior: tuple[Prior, ...] = ()
    maintenance: str | None = None


@dataclass(frozen=True, slots=True)
class Intent:
    """One channel to be told, or, when `suppressed`, not told; `reason` says why in both cases."""

    channel_id: int
    moment: Moment
    dedup_key: str
    thread: str
    positions: tuple[int, ...]
    reason: str
    suppressed: bool = False
    monitor_id: int | None = None
    incident_id: int | None = None
