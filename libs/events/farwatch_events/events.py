"""Domain events: every fact that a person may ask about later, in the past tense.

Stored type names are explicit strings. A field is added with a default; a changed meaning is a new type.
`stream` of an event is its aggregate: "monitor-7", "incident-3", "region-eu".
"""

from typing import Any, ClassVar, Final, Literal

from pydantic import Field

from farwatch_events.model import Message
from farwatch_events.results import ErrorClass, Evidence

Verdict = Literal["pending", "up", "degraded", "down", "unknown"]
Vote = Literal["up", "degraded", "down", "unknown"]
Severity = Literal["degraded", "down"]
HowResolved = Literal["recovered", "manual", "paused", "deleted"]

PROBLEMS: Final[dict[str, str]] = {
    "fold_lag": "Results wait long before they count",
    "due_backlog": "Due checks wait for a prober",
    "outbox": "Events wait long before they are sent on",
    "no_results": "No check has come through",
    "unreadable": "Messages arrived that nobody can read",
    "deliveries": "Messages to channels ended without success",
}
"""What can be wrong with Farwatch itself, in words."""


class EventMeta(Message):
    """Who or what caused an event: `actor` is "user:3", "token:5", "incidents"; `cause` an event id or a result."""

    actor: str
    cause: str | None = None
    correlation: str | None = None


class DomainEvent(Message):
    """Base of all domain events; `type` and `aggregate` are class facts, `at_ms` is when the fact became true."""

    type: ClassVar[str]
    version: ClassVar[int] = 1
    at_ms: int

    @property
    def stream(self) -> str:
        raise TypeError(f"{type(self).__name__} names no stream")


class RecordedEvent(Message):
    """An event as it stands in the log: the envelope that travels on the EVENTS stream."""

    position: int
    id: str
    stream: str
    stream_version: int
    type: str
    version: int
    data: dict[str, Any]
    meta: EventMeta
    recorded_at_ms: int

    def to_bytes(self) -> bytes:
        """JSON in UTF-8, every field written: what is stored for years must not lean on today's defaults."""
        return self.model_dump_json().encode()

    def event(self) -> "DomainEvent | None":
        """The typed event, or None when this version does not know the type."""
        model = EVENT_TYPES.get(self.type)
        return None if model is None else model.model_validate(self.data)


class RegionVote(Message):
    """One region's say when a verdict was reached."""

    region: str
    vote: Vote
    slot_ms: int
    counted: bool = True
    why_not: str | None = None
    error_class: ErrorClass | None = None
    error: str | None = None


class Cause(Message):
    error_class: ErrorClass | None = None
    error: str | None = None


class _MonitorEvent(DomainEvent):
    monitor_id: int

    @property
    def stream(self) -> str:
        return f"monitor-{self.monitor_id}"


class MonitorCreated(_MonitorEvent):
    """`spec` has its secrets masked."""

    type: ClassVar[str] = "monitor.created"
    config_version: int
    spec: dict[str, Any]


class MonitorUpdated(_MonitorEvent):
    type: ClassVar[str] = "monitor.updated"
    config_version: int
    changed: list[str]
    spec: dict[str, Any]


class MonitorPaused(_MonitorEvent):
    type: ClassVar[str] = "monitor.paused"
    config_version: int


class MonitorResumed(_MonitorEvent):
    type: ClassVar[str] = "monitor.resumed"
    config_version: int


class MonitorDeleted(_MonitorEvent):
    type: ClassVar[str] = "monitor.deleted"
    name: str = ""


class ContentAccepted(_MonitorEvent):
    """Somebody said that what the content guard found to be new belongs to the page."""

    type: ClassVar[str] = "monitor.content_accepted"


class VoteChanged(_MonitorEvent):
    """A region's vote on a monitor became another one."""

    type: ClassVar[str] = "monitor.vote_changed"
    region: str
    before: Vote | None
    after: Vote
    slot_ms: int
    reason: str
    error_class: ErrorClass | None = None
    error: str | None = None
    attempts: int = 0


class VerdictChanged(_MonitorEvent):
    """The monitor's verdict became another one: with the votes, the rule applied and the sentence people read."""

    type: ClassVar[str] = "monitor.verdict_changed"
    before: Verdict
    after: Verdict
    slot_ms: int
    rule: str
    reason: str
    votes: list[RegionVote] = Field(default_factory=list)


class FirstFailure(_MonitorEvent):
    """A failed try after success; `confirmed` when the same result also reached a verdict of down."""

    type: ClassVar[str] = "monitor.first_failure"
    region: str
    slot_ms: int
    error_class: ErrorClass | None = None
    error: str | None = None
    confirmed: bool = False


class FirstSuccess(_MonitorEvent):
    """A success after a failed try; `recovered` when the same result also ended an incident."""

    type: ClassVar[str] = "monitor.first_success"
    region: str
    slot_ms: int
    latency_ms: float | None = None
    recovered: bool = False


class ConfirmationRequested(_MonitorEvent):
    """A region that voted up is asked once, at once, whether it sees the failure of `failed_slot_ms` too."""

    type: ClassVar[str] = "monitor.confirmation_requested"
    region: str
    failed_slot_ms: int
    reason: str


class FlappingStarted(_MonitorEvent):
    """The verdict changes to and fro: from here on incidents open in silence until it is steady again."""

    type: ClassVar[str] = "monitor.flapping_started"
    percent: float
    reason: str


class FlappingEnded(_MonitorEvent):
    type: ClassVar[str] = "monitor.flapping_ended"
    percent: float
    reason: str


class LeadUp(Message):
    """A region's vote that stood before an incident opened, as its timeline tells it."""

    at_ms: int
    region: str
    vote: Vote
    slot_ms: int
    sentence: str


class _IncidentEvent(DomainEvent):
    incident_id: int
    monitor_id: int

    @property
    def stream(self) -> str:
        return f"incident-{self.incident_id}"


class IncidentOpened(_IncidentEvent):
    """`suppressed` is why nobody is told (for instance "maintenance"), None when people are told."""

    type: ClassVar[str] = "incident.opened"
    version: ClassVar[int] = 2
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


class IncidentSeverityRaised(_IncidentEvent):
    """Degraded became down."""

    type: ClassVar[str] = "incident.severity_raised"
    version: ClassVar[int] = 2
    severity: Severity
    cause: Cause
    reason: str
    votes: list[RegionVote] = Field(default_factory=list)
    regions: list[str] = Field(default_factory=list)
    evidence: Evidence | None = None


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


class _RegionEvent(DomainEvent):
    region: str

    @property
    def stream(self) -> str:
        return f"region-{self.region}"


class RegionRegistered(_RegionEvent):
    """A region's first prober asked for its streams."""

    type: ClassVar[str] = "region.registered"


class RegionDeleted(_RegionEvent):
    type: ClassVar[str] = "region.deleted"


class RegionSilenced(_RegionEvent):
    """No heartbeat for 10 s although the fold was caught up: its votes are unknown."""

    type: ClassVar[str] = "region.silenced"
    last_seen_ms: int


class RegionReturned(_RegionEvent):
    type: ClassVar[str] = "region.returned"
    silent_seconds: int


class RegionSuspected(_RegionEvent):
    """The region alone sees failures, or its probers call themselves unhealthy: it has no vote."""

    type: ClassVar[str] = "region.suspected"
    reason: str


class RegionCleared(_RegionEvent):
    type: ClassVar[str] = "region.cleared"
    reason: str


class _ChannelEvent(DomainEvent):
    channel_id: int

    @property
    def stream(self) -> str:
        return f"channel-{self.channel_id}"


class ChannelCreated(_ChannelEvent):
    type: ClassVar[str] = "channel.created"
    name: str
    channel_type: str


class ChannelUpdated(_ChannelEvent):
    type: ClassVar[str] = "channel.updated"
    changed: list[str]


class ChannelDeleted(_ChannelEvent):
    type: ClassVar[str] = "channel.deleted"
    name: str = ""


class DeliveryFailed(_ChannelEvent):
    """A delivery ended without success: a final answer, or its time for retries ran out."""

    type: ClassVar[str] = "channel.delivery_failed"
    delivery_id: int
    moment: str
    error: str


class _MaintenanceEvent(DomainEvent):
    maintenance_id: int

    @property
    def stream(self) -> str:
        return f"maintenance-{self.maintenance_id}"


class MaintenanceScheduled(_MaintenanceEvent):
    type: ClassVar[str] = "maintenance.scheduled"
    name: str


class MaintenanceChanged(_MaintenanceEvent):
    type: ClassVar[str] = "maintenance.changed"
    changed: list[str]


class MaintenanceCancelled(_MaintenanceEvent):
    type: ClassVar[str] = "maintenance.cancelled"


class _PolicyEvent(DomainEvent):
    policy_id: int

    @property
    def stream(self) -> str:
        return f"policy-{self.policy_id}"


class PolicyCreated(_PolicyEvent):
    type: ClassVar[str] = "policy.created"
    name: str
    spec: dict[str, Any]


class PolicyUpdated(_PolicyEvent):
    type: ClassVar[str] = "policy.updated"
    changed: list[str]
    spec: dict[str, Any]


class PolicyDeleted(_PolicyEvent):
    type: ClassVar[str] = "policy.deleted"
    name: str = ""


class _SilenceEvent(DomainEvent):
    silence_id: int

    @property
    def stream(self) -> str:
        return f"silence-{self.silence_id}"


class SilenceStarted(_SilenceEvent):
    """Nobody is told of what fits `match` until `ends_ms`."""

    type: ClassVar[str] = "silence.started"
    match: dict[str, Any]
    reason: str
    ends_ms: int


class SilenceChanged(_SilenceEvent):
    type: ClassVar[str] = "silence.changed"
    changed: list[str]


class SilenceCancelled(_SilenceEvent):
    type: ClassVar[str] = "silence.cancelled"


class _DrillEvent(DomainEvent):
    drill_id: int
    monitor_id: int

    @property
    def stream(self) -> str:
        return f"drill-{self.drill_id}"


class DrillStarted(_DrillEvent):
    """A made-up outage goes through the real routes; it is no incident and counts in no uptime."""

    type: ClassVar[str] = "drill.started"
    monitor_name: str
    severity: Severity
    actor: str


class DrillAcknowledged(_DrillEvent):
    type: ClassVar[str] = "drill.acknowledged"
    actor: str
    seconds: float


class DrillEnded(_DrillEvent):
    """Everybody who was told hears that it is over; `seconds` is the time to its acknowledgement, if there was one."""

    type: ClassVar[str] = "drill.ended"
    monitor_name: str
    duration_seconds: int
    reason: str
    seconds: float | None = None


class _UserEvent(DomainEvent):
    user_id: int

    @property
    def stream(self) -> str:
        return f"user-{self.user_id}"


class UserCreated(_UserEvent):
    type: ClassVar[str] = "user.created"
    email: str


class UserChanged(_UserEvent):
    type: ClassVar[str] = "user.changed"
    changed: list[str]


class UserDeleted(_UserEvent):
    type: ClassVar[str] = "user.deleted"


class UserSignedIn(_UserEvent):
    type: ClassVar[str] = "user.signed_in"
    address: str = ""


class TokenCreated(_UserEvent):
    type: ClassVar[str] = "user.token_created"
    token_id: int
    name: str
    scope: str


class TokenRevoked(_UserEvent):
    type: ClassVar[str] = "user.token_revoked"
    token_id: int


class EpochStarted(DomainEvent):
    """A scheduler took over: due checks carry this epoch from now on."""

    type: ClassVar[str] = "schedule.epoch_started"
    epoch: int
    holder: str
    reason: str

    @property
    def stream(self) -> str:
        return "schedule"


class SlotsParked(DomainEvent):
    """Slots more than 60 s ahead of the bus's time were held back: a clock is wrong."""

    type: ClassVar[str] = "schedule.slots_parked"
    ahead_ms: int

    @property
    def stream(self) -> str:
        return "schedule"


class _SystemEvent(DomainEvent):
    """`problem` is one of PROBLEMS; `subject` says whose where there are several, such as a region, else empty."""

    problem: str
    subject: str = ""

    @property
    def stream(self) -> str:
        return "system"


class SystemTroubled(_SystemEvent):
    """Farwatch itself does not work as it should."""

    type: ClassVar[str] = "system.troubled"
    reason: str


class SystemRecovered(_SystemEvent):
    type: ClassVar[str] = "system.recovered"
    reason: str
    seconds: int


class MessageParked(DomainEvent):
    """A message that no fold can take was put aside, kept in health.parked. `count` is how many of its stream were
    since the last such event: a flood is told once a minute."""

    type: ClassVar[str] = "fold.message_parked"
    source: str
    sequence: int
    reason: str
    count: int = 1

    @property
    def stream(self) -> str:
        return "fold"


EVENT_TYPES: dict[str, type[DomainEvent]] = {
    event.type: event
    for event in (
        MonitorCreated,
        MonitorUpdated,
        MonitorPaused,
        MonitorResumed,
        MonitorDeleted,
        ContentAccepted,
        VoteChanged,
        VerdictChanged,
        FirstFailure,
        FirstSuccess,
        ConfirmationRequested,
        FlappingStarted,
        FlappingEnded,
        IncidentOpened,
        IncidentSeverityRaised,
        IncidentUnsuppressed,
        IncidentAcknowledged,
        IncidentNoted,
        IncidentResolved,
        IncidentGrouped,
        RegionRegistered,
        RegionDeleted,
        RegionSilenced,
        RegionReturned,
        RegionSuspected,
        RegionCleared,
        ChannelCreated,
        ChannelUpdated,
        ChannelDeleted,
        DeliveryFailed,
        MaintenanceScheduled,
        MaintenanceChanged,
        MaintenanceCancelled,
        PolicyCreated,
        PolicyUpdated,
        PolicyDeleted,
        SilenceStarted,
        SilenceChanged,
        SilenceCancelled,
        DrillStarted,
        DrillAcknowledged,
        DrillEnded,
        UserCreated,
        UserChanged,
        UserDeleted,
        UserSignedIn,
        TokenCreated,
        TokenRevoked,
        EpochStarted,
        SlotsParked,
        MessageParked,
        SystemTroubled,
        SystemRecovered,
    )
}
