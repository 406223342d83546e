"""What a decision about an alert is made from, as plain values. Pure."""

from dataclasses import dataclass
from typing import Literal

from farwatch_events.channels import Moment
from farwatch_events.escalation import Escalation
from farwatch_events.events import Severity
from farwatch_events.matching import NumberedPolicy, NumberedSilence, Subject
from farwatch_events.recipients import ChannelFacts
from farwatch_events.results import Evidence

__all__ = [
    "ChannelFacts",
    "DeliveryState",
    "Facts",
    "GroupItem",
    "GroupRef",
    "IncidentFacts",
    "Intent",
    "Look",
    "MonitorFacts",
    "Origin",
    "ParentDown",
    "ParentLooks",
    "Prior",
    "Pursuit",
    "Routed",
    "Told",
]

DeliveryState = Literal["pending", "delivered", "failed", "suppressed"]

Told = Moment | Literal["flapping", "steady"]
"""What a message tells: a moment that channels choose, or that a monitor goes to and fro, which nobody chooses: whoever
takes `down` must know why it grows quiet."""


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
    parents: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class IncidentFacts:
    """An incident, or a drill, which is told like one. `acknowledged_by` is in words that people read."""

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
    drill: bool = False

    @property
    def title(self) -> str:
        return f"drill {self.id}" if self.drill else f"incident {self.id}"

    @property
    def thread(self) -> str:
        return self.title.replace(" ", "-")

    def is_open_at(self, at_ms: int) -> bool:
        return self.opened_ms < at_ms and (self.resolved_ms is None or self.resolved_ms > at_ms)


@dataclass(frozen=True, slots=True)
class Prior:
    """A delivery that exists already, in the order of its making; `via` is the thread in which it was sent."""

    channel_id: int
    moment: str
    state: DeliveryState
    via: str = ""


@dataclass(frozen=True, slots=True)
class ParentDown:
    """A monitor that this one stands behind, directly or not, with its open incident."""

    monitor_id: int
    name: str
    incident_id: int


@dataclass(frozen=True, slots=True)
class Look:
    """What a region last saw of a monitor: the slot of its newest check that counted, its vote, and whether its newest
    check failed, which may still be too little for a vote."""

    slot_ms: int
    vote: str
    failed: bool = False


@dataclass(frozen=True, slots=True)
class ParentLooks:
    """A monitor that this one stands behind, which is checked and not known as down. `looks` are of the regions that
    live; `longest_check_ms` is with all retries."""

    monitor_id: int
    name: str
    verdict: str
    interval_ms: int
    longest_check_ms: int
    looks: tuple[Look, ...] = ()


@dataclass(frozen=True, slots=True)
class Facts:
    """Everything known around one event. `incident` is the event's own, or the monitor's open one.

    `prior` are the deliveries of that incident, `maintenance` the name of the window the monitor was in, `untrusted`
    the regions that are silent or suspect. `parent` is one that is down, `above` are those that are not.
    """

    channels: tuple[ChannelFacts, ...] = ()
    monitor: MonitorFacts | None = None
    incident: IncidentFacts | None = None
    prior: tuple[Prior, ...] = ()
    maintenance: str | None = None
    policies: tuple[NumberedPolicy, ...] = ()
    silences: tuple[NumberedSilence, ...] = ()
    parent: ParentDown | None = None
    above: tuple[ParentLooks, ...] = ()
    untrusted: frozenset[str] = frozenset()

    def subject(self, severity: str | None, regions: tuple[str, ...]) -> Subject:
        monitor = self.monitor
        if monitor is None:
            return Subject(severity=severity, regions=regions)
        return Subject(monitor.id, monitor.type, monitor.tags, severity, regions)


@dataclass(frozen=True, slots=True)
class GroupRef:
    """Where an alert waits for others. `thread` is where its messages are sent in order."""

    key: str
    policy_id: int
    thread: str
    title: str
    wait_ms: int
    interval_seconds: int


@dataclass(frozen=True, slots=True)
class Intent:
    """One channel to be told, or, when `suppressed`, not told; `reason` says why in both cases.

    `again` asks for the words of a reminder. With `group` it is told together with others.
    """

    channel_id: int
    moment: Told
    dedup_key: str
    thread: str
    positions: tuple[int, ...]
    reason: str
    suppressed: bool = False
    monitor_id: int | None = None
    incident_id: int | None = None
    again: bool = False
    policy_id: int | None = None
    step: int | None = None
    group: GroupRef | None = None
    item_moment: str = ""
    """What the trail calls it for the trouble itself; empty: as `moment`."""
    via: str = ""
    """The thread to be sent in, behind what was told there; empty: the trouble's own."""

    @property
    def sent_in(self) -> str:
        return self.group.thread if self.group is not None else self.via or self.thread


@dataclass(frozen=True, slots=True)
class Origin:
    """The event that began an escalation: what every later telling of it refers to."""

    thread: str
    event_id: str
    position: int
    monitor_id: int
    incident_id: int | None


@dataclass(frozen=True, slots=True)
class Pursuit:
    """How an escalation goes on: its new state, whom it tells now, and the thread it waits for."""

    origin: Origin
    policy_id: int
    escalation: Escalation
    intents: tuple[Intent, ...] = ()
    waits_for: str | None = None


@dataclass(frozen=True, slots=True)
class Routed:
    """What one event leads to. `ends` are threads whose escalations are over, `acknowledges` those that stop."""

    intents: tuple[Intent, ...] = ()
    pursuits: tuple[Pursuit, ...] = ()
    ends: str | None = None
    acknowledges: str | None = None

    def all_intents(self) -> list[Intent]:
        """Those of the escalations that begin included."""
        return [*self.intents, *(intent for pursuit in self.pursuits for intent in pursuit.intents)]


@dataclass(frozen=True, slots=True)
class GroupItem:
    """An alert that waits in a group for one channel."""

    channel_id: int
    thread: str
    moment: str
    position: int
    event_id: str
    monitor_id: int | None
    incident_id: int | None
    name: str
    at_ms: int
    reason: str
    seconds: int | None = None
