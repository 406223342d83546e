"""What becomes of Farwatch itself."""

from typing import ClassVar, Final

from farwatch_events.events.base import DomainEvent

PROBLEMS: Final[dict[str, str]] = {
    "fold_lag": "Results wait long before they count",
    "due_backlog": "Due checks wait for a prober",
    "skipped": "Checks are left out, since more are due than can be made",
    "outbox": "Events wait long before they are sent on",
    "no_results": "No check has come through",
    "unreadable": "Messages arrived that nobody can read",
    "deliveries": "Messages to channels ended without success",
    "clock": "A clock is wrong, so checks are held back",
}
"""What can be wrong with Farwatch itself, in words."""


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


class SlotsReleased(DomainEvent):
    """The clocks agree again, so slots are checked again. A new epoch ends a parking too."""

    type: ClassVar[str] = "schedule.slots_released"
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


EVENTS: Final = (
    EpochStarted,
    SlotsParked,
    SlotsReleased,
    SystemTroubled,
    SystemRecovered,
    MessageParked,
)
