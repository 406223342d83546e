"""What happens to a monitor: it is made and changed by people, and judged by its checks."""

from typing import Any, ClassVar, Final

from pydantic import Field

from farwatch_events.events.base import DomainEvent, RegionVote, Verdict, Vote
from farwatch_events.model import Message
from farwatch_events.results import ErrorClass


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
    """A region that voted up is asked once, at once, whether it sees the failure of `failed_slot_ms` too: that of
    another region, with one try, or that of monitors behind this one, with `all_tries`, since nobody else looks."""

    type: ClassVar[str] = "monitor.confirmation_requested"
    version: ClassVar[int] = 2
    region: str
    failed_slot_ms: int
    reason: str
    all_tries: bool = False


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


EVENTS: Final = (
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
)
