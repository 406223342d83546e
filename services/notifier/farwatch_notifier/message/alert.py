"""The message itself: everything that a channel may show. Pure."""

from typing import Literal

from pydantic import Field

from farwatch_events.model import Message
from farwatch_notifier.text import say_duration

Kind = Literal[
    "down",
    "degraded",
    "up",
    "resolved",
    "first_failure",
    "first_success",
    "reminder",
    "group_down",
    "group_up",
    "group_behind",
    "region_silent",
    "region_returned",
    "region_suspect",
    "region_cleared",
    "acknowledged",
    "flapping",
    "steady",
    "system_troubled",
    "system_recovered",
    "test",
]
Tone = Literal["bad", "warning", "good", "note"]

COLOURS: dict[Tone, int] = {"bad": 0xD92D20, "warning": 0xF79009, "good": 0x17A34A, "note": 0x2970FF}
SYMBOLS: dict[Tone, str] = {"bad": "🔴", "warning": "🟠", "good": "🟢", "note": "🔵"}


class Member(Message):
    """One of the troubles that a message about many names."""

    name: str
    moment: str
    monitor_id: int | None = None
    incident_id: int | None = None
    since_ms: int | None = None


class Alert(Message):
    """Everything that a channel may show. Texts are free of control characters; channels escape them for their place.

    `since_ms` is the start of the trouble, `at_ms` the time of the event that is told.
    """

    kind: Kind
    tone: Tone
    title: str
    sentence: str
    at_ms: int
    thread: str
    since_ms: int | None = None
    duration_seconds: int | None = None
    monitor_id: int | None = None
    monitor_name: str = ""
    monitor_type: str = ""
    target: str = ""
    incident_id: int | None = None
    severity: str | None = None
    region: str | None = None
    regions: list[str] = Field(default_factory=list)
    error_class: str | None = None
    error: str | None = None
    reason: str = ""
    answered_status: str = ""
    answered_excerpt: str = ""
    answered_address: str = ""
    drill: bool = False
    group: str = ""
    count: int = 0
    members: list[Member] = Field(default_factory=list)
    link: str | None = None
    acknowledge_link: str | None = None
    silence_link: str | None = None

    @property
    def colour(self) -> int:
        return COLOURS[self.tone]

    @property
    def symbol(self) -> str:
        return SYMBOLS[self.tone]

    @property
    def duration(self) -> str | None:
        return None if self.duration_seconds is None else say_duration(self.duration_seconds)
