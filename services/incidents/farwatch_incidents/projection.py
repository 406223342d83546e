"""Incidents, timelines and verdicts as the log alone tells of them: what a rebuild writes and compares. Pure."""

from dataclasses import dataclass, field, replace

from farwatch_events.events import (
    DomainEvent,
    FlappingEnded,
    FlappingStarted,
    IncidentAcknowledged,
    IncidentGrouped,
    IncidentNoted,
    IncidentOpened,
    IncidentResolved,
    IncidentSeverityRaised,
    IncidentUnsuppressed,
    MonitorDeleted,
    RegionVote,
    Verdict,
    VerdictChanged,
    VoteChanged,
)
from farwatch_incidents.rules import incident as incidents
from farwatch_incidents.rules.incident import Entry, Incident


@dataclass(frozen=True, slots=True)
class VerdictRow:
    verdict: Verdict = "pending"
    since_ms: int = 0
    reason: str = ""
    rule: str = ""
    votes: tuple[RegionVote, ...] = ()
    flapping: bool = False


@dataclass(slots=True)
class Told:
    """An incident with its timeline. `whole` unless an event of it is of an older version that said less."""

    incident: Incident
    entries: list[Entry] = field(default_factory=list)
    whole: bool = True


class Projection:
    def __init__(self) -> None:
        self.incidents: dict[int, Told] = {}
        self.verdicts: dict[int, VerdictRow] = {}
        self.changes: dict[tuple[int, int], tuple[Verdict, str]] = {}
        self.deleted: set[int] = set()
        self._open: dict[int, int] = {}

    def open_of(self, monitor_id: int) -> int | None:
        """The monitor's unresolved incident."""
        return self._open.get(monitor_id)

    def apply(self, event: DomainEvent, version: int | None = None) -> None:
        """Events in the order of the log; `version` is the stored one, None for today's."""
        if isinstance(event, VoteChanged):
            self._tell(self._open.get(event.monitor_id), incidents.vote_entry(event))
        elif isinstance(event, VerdictChanged):
            self._change_verdict(event)
        elif isinstance(event, FlappingStarted | FlappingEnded):
            row = self.verdicts.get(event.monitor_id, VerdictRow())
            self.verdicts[event.monitor_id] = replace(row, flapping=isinstance(event, FlappingStarted))
        elif isinstance(event, MonitorDeleted):
            self.deleted.add(event.monitor_id)
            self.verdicts.pop(event.monitor_id, None)
        elif isinstance(event, IncidentOpened):
            self._open_incident(event, version)
        else:
            self._live_on(event, version)

    def _tell(self, incident_id: int | None, entry: Entry) -> None:
        told = self.incidents.get(incident_id or 0)
        if told is None:
            return
        last_ms = max(told.incident.last_ms, entry.at_ms)
        told.entries.append(replace(entry, at_ms=last_ms))
        told.incident = replace(told.incident, entries=len(told.entries), last_ms=last_ms)

    def _change_verdict(self, event: VerdictChanged) -> None:
        if event.monitor_id not in self.deleted:
            before = self.verdicts.get(event.monitor_id, VerdictRow())
            self.verdicts[event.monitor_id] = VerdictRow(
                event.after, event.at_ms, event.reason, event.rule, tuple(event.votes), before.flapping
            )
        self.changes[event.monitor_id, event.at_ms] = (event.after, event.reason)
        if event.after == "unknown":
            entry = Entry(event.at_ms, "verdict", event.reason, event=event)
            self._tell(self._open.get(event.monitor_id), entry)

    def _open_incident(self, event: IncidentOpened, version: int | None) -> None:
        incident = incidents.opened_as(event)
        self.incidents[event.incident_id] = Told(incident, whole=(version or event.version) >= 2)
        self._open[event.monitor_id] = event.incident_id
        for vote in event.lead_up:
            self._tell(event.incident_id, incidents.lead_up_entry(vote))
        self._tell(event.incident_id, incidents.opened_entry(event))

    def _live_on(self, event: DomainEvent, version: int | None) -> None:
        incident_id = getattr(event, "incident_id", 0)
        told = self.incidents.get(incident_id)
        if told is None:
            return
        now = told.incident
        if isinstance(event, IncidentSeverityRaised):
            told.whole = told.whole and (version or event.version) >= 2
            told.incident = incidents.raised_as(now, event)
            entry = Entry(event.at_ms, "raised", event.reason, event=event)
        elif isinstance(event, IncidentUnsuppressed):
            told.incident = replace(now, suppressed=None)
            entry = Entry(event.at_ms, "unsuppressed", event.reason, event=event)
        elif isinstance(event, IncidentAcknowledged):
            told.incident = replace(now, state="acknowledged", acknowledged_ms=event.at_ms, acknowledged_by=event.actor)
            entry = Entry(event.at_ms, "acknowledged", "Acknowledged", event.actor, event=event)
        elif isinstance(event, IncidentNoted):
            entry = Entry(event.at_ms, "noted", event.text, event.actor, event=event)
        elif isinstance(event, IncidentGrouped):
            told.incident = replace(now, group_id=event.group_id, group_by=event.by, group_key=event.key)
            entry = Entry(event.at_ms, "grouped", event.reason, event=event)
        elif isinstance(event, IncidentResolved):
            self._open.pop(event.monitor_id, None)
            told.incident = replace(now, state="resolved", resolved_ms=event.at_ms, how_resolved=event.how)
            entry = incidents.resolved_entry(event)
        else:
            return
        self._tell(incident_id, entry)


TYPES = (
    VoteChanged,
    VerdictChanged,
    FlappingStarted,
    FlappingEnded,
    MonitorDeleted,
    IncidentOpened,
    IncidentSeverityRaised,
    IncidentUnsuppressed,
    IncidentAcknowledged,
    IncidentNoted,
    IncidentGrouped,
    IncidentResolved,
)
