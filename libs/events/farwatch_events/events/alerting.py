"""Who is told what: channels, policies, silences and drills."""

from typing import Any, ClassVar, Final

from farwatch_events.events.base import DomainEvent, Severity


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


EVENTS: Final = (
    ChannelCreated,
    ChannelUpdated,
    ChannelDeleted,
    DeliveryFailed,
    PolicyCreated,
    PolicyUpdated,
    PolicyDeleted,
    SilenceStarted,
    SilenceChanged,
    SilenceCancelled,
    DrillStarted,
    DrillAcknowledged,
    DrillEnded,
)
