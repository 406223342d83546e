"""What one batch brought about, waiting to be written in one transaction."""

from collections import Counter
from dataclasses import dataclass, field
from typing import Any

from farwatch_events.events import DomainEvent
from farwatch_events.results import CheckResult
from farwatch_incidents.rules.incident import Entry, Incident

HISTORY_COLUMNS = (
    "slot",
    "monitor_id",
    "latency_ms",
    "dns_ms",
    "connect_ms",
    "tls_ms",
    "wait_ms",
    "transfer_ms",
    "late_ms",
    "status_code",
    "attempts",
    "region",
    "outcome",
    "kind",
    "error_class",
    "error",
)


@dataclass(frozen=True, slots=True)
class Line:
    """A timeline entry with its place in the incident's timeline, counted from 1."""

    incident_id: int
    seq: int
    entry: Entry


@dataclass(slots=True)
class Counts:
    """Of results: stored, known already or too old for the window, stored without a say, of no monitor we know. By
    region, of scheduled slots: answered, and skipped among them."""

    folded: int = 0
    dropped: int = 0
    late: int = 0
    unknown: int = 0
    answered: Counter[str] = field(default_factory=Counter)
    skipped: Counter[str] = field(default_factory=Counter)


@dataclass(slots=True)
class Changes:
    """`history` are rows of health.check_results in the order of HISTORY_COLUMNS. Sets name what differs from its
    row; `last_checks` holds the shape that the API answers.
    `causes` by the id() of an event names the result that brought it about.
    `live` is the newest result of each monitor that browsers are told of, `turned` whose verdict changed."""

    history: list[tuple[Any, ...]] = field(default_factory=list)
    days: set[int] = field(default_factory=set)
    closed_hours: set[int] = field(default_factory=set)
    local: set[tuple[int, str]] = field(default_factory=set)
    last_checks: dict[tuple[int, str], dict[str, Any]] = field(default_factory=dict)
    monitors: set[int] = field(default_factory=set)
    gone_monitors: set[int] = field(default_factory=set)
    incidents: dict[int, Incident] = field(default_factory=dict)
    lines: list[Line] = field(default_factory=list)
    events: list[DomainEvent] = field(default_factory=list)
    causes: dict[int, str] = field(default_factory=dict)
    regions: set[str] = field(default_factory=set)
    gone_regions: set[str] = field(default_factory=set)
    live: dict[int, tuple[str, CheckResult | None]] = field(default_factory=dict)
    turned: set[int] = field(default_factory=set)
    live_checks: list[tuple[str, CheckResult]] = field(default_factory=list)
    counts: Counts = field(default_factory=Counts)

    def blame(self, first: int, cause: str) -> None:
        """Events from the number `first` on have this cause."""
        self.causes.update((id(event), cause) for event in self.events[first:])

    @property
    def is_empty(self) -> bool:
        return not (
            self.history
            or self.local
            or self.monitors
            or self.gone_monitors
            or self.incidents
            or self.events
            or self.regions
            or self.gone_regions
        )
