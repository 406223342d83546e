"""What is known of one monitor, what stands around a decision, and what a decision brings about."""

from collections.abc import Container, Mapping
from dataclasses import dataclass, field, replace

from farwatch_events.events import DomainEvent, RegionVote, Verdict
from farwatch_incidents.rules import incident as incidents
from farwatch_incidents.rules.config import MonitorConfig
from farwatch_incidents.rules.flapping import STEADY, Flapping
from farwatch_incidents.rules.identity import Place
from farwatch_incidents.rules.incident import Entry, Incident
from farwatch_incidents.rules.regions import RegionState
from farwatch_incidents.rules.votes import LocalState


@dataclass(frozen=True, slots=True)
class MonitorState:
    """`active_since_ms` is when checking began (created, resumed). `held` is set by a manual resolve: no new incident
    until the monitor was up once. `is_down` is remembered through times in which nobody could vote. No decision changes
    `local`; whoever keeps the state may replace a region's in it."""

    monitor_id: int
    verdict: Verdict = "pending"
    since_ms: int = 0
    reason: str = ""
    rule: str = ""
    votes: tuple[RegionVote, ...] = ()
    is_down: bool = False
    held: bool = False
    incident: Incident | None = None
    flapping: Flapping = STEADY
    active_since_ms: int = 0
    local: dict[str, LocalState] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Around:
    """What stands around one decision. `regions` are those the monitor is checked from, `askable` those that have
    room for a confirmation, `askable_first` those that have some for what others stand behind; `suppressed` is why
    nobody would be told (maintenance), None if people would."""

    now_ms: int
    world: Mapping[str, RegionState]
    regions: tuple[str, ...]
    askable: Container[str] = ()
    askable_first: Container[str] = ()
    next_incident_id: int = 1
    suppressed: str | None = None


@dataclass(frozen=True, slots=True)
class Decision:
    """`place` tells what became of the result; `incident` is the one that changed, resolved ones included."""

    state: MonitorState
    events: tuple[DomainEvent, ...] = ()
    entries: tuple[Entry, ...] = ()
    incident: Incident | None = None
    place: Place = Place.NEWEST
    asked: tuple[str, ...] = ()


class Draft:
    """Collects what one decision brings about. Lives for one call. `failed_ms` is when the check began that is decided
    about, if it failed."""

    def __init__(self, state: MonitorState, config: MonitorConfig, around: Around) -> None:
        self.state = state
        self.config = config
        self.around = around
        self.events: list[DomainEvent] = []
        self.entries: list[Entry] = []
        self.incident: Incident | None = None
        self.asked: list[str] = []
        self.failed_ms = 0
        self.flapped_before = state.flapping.flag
        """The outage that makes it flap is told; those after it are not."""

    def happen(self, life: incidents.Life) -> None:
        incident, event, entry = life
        self.incident = incident
        self.state = replace(self.state, incident=None if incident.state == "resolved" else incident)
        self.events.append(event)
        self.entries.append(entry)

    def done(self, place: Place = Place.NEWEST) -> Decision:
        incident = self.incident
        if self.entries and (incident := incident or self.state.incident) is not None:
            incident, self.entries = _in_order(incident, self.entries)
            if incident.state != "resolved":
                self.state = replace(self.state, incident=incident)
        return Decision(self.state, tuple(self.events), tuple(self.entries), incident, place, tuple(self.asked))


def _in_order(incident: Incident, entries: list[Entry]) -> tuple[Incident, list[Entry]]:
    """Time in a timeline never runs backwards, whatever the clocks did."""
    last_ms, placed = incident.last_ms, []
    for entry in entries:
        last_ms = max(last_ms, entry.at_ms)
        placed.append(entry if entry.at_ms == last_ms else replace(entry, at_ms=last_ms))
    return replace(incident, entries=incident.entries + len(placed), last_ms=last_ms), placed
