"""What the scheduler does about events in the log. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from farwatch_events.events import (
    ConfirmationRequested,
    MonitorCreated,
    MonitorDeleted,
    MonitorPaused,
    MonitorResumed,
    MonitorUpdated,
    RecordedEvent,
    RegionDeleted,
    RegionRegistered,
)

FRESH_MS = 60_000
"""Older events only bring the configuration up to date: their check at once would answer nobody."""

_FIRST_CHECK = (MonitorCreated.type, MonitorUpdated.type, MonitorResumed.type)
_CONFIGURATION = (*_FIRST_CHECK, MonitorPaused.type, MonitorDeleted.type)
_REGIONS = (RegionRegistered.type, RegionDeleted.type)


@dataclass(frozen=True, slots=True)
class Confirmation:
    monitor_id: int
    region: str
    failed_slot_ms: int
    event_id: str
    all_tries: bool = False


@dataclass(slots=True)
class Reactions:
    """`reread`: monitors whose row has to be read. `check`: those of them to be checked at once."""

    reread: set[int] = field(default_factory=set)
    check: set[int] = field(default_factory=set)
    confirmations: list[Confirmation] = field(default_factory=list)
    regions_changed: bool = False


def decide_reactions(events: Sequence[RecordedEvent], now_ms: int) -> Reactions:
    reactions = Reactions()
    for event in events:
        fresh = now_ms - event.recorded_at_ms <= FRESH_MS
        if event.type in _CONFIGURATION:
            monitor_id = int(event.data["monitor_id"])
            reactions.reread.add(monitor_id)
            if fresh and event.type in _FIRST_CHECK:
                reactions.check.add(monitor_id)
        elif event.type in _REGIONS:
            reactions.regions_changed = True
        elif event.type == ConfirmationRequested.type and fresh:
            reactions.confirmations.append(_confirmation(event))
    return reactions


def _confirmation(event: RecordedEvent) -> Confirmation:
    request = ConfirmationRequested.model_validate(event.data)
    return Confirmation(request.monitor_id, request.region, request.failed_slot_ms, event.id, request.all_tries)
