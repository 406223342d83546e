"""The configuration, as the log tells of its changes: the events say what happened, the tables how it stands now."""

from collections.abc import Sequence

from farwatch_events.events import (
    ContentAccepted,
    EventMeta,
    MaintenanceCancelled,
    MaintenanceChanged,
    MaintenanceScheduled,
    MonitorCreated,
    MonitorDeleted,
    MonitorPaused,
    MonitorResumed,
    MonitorUpdated,
    RecordedEvent,
    RegionDeleted,
    RegionRegistered,
)
from farwatch_incidents.board import Board
from farwatch_incidents.loading import load_configs, load_regions, load_windows
from farwatch_store import Connection, read_log

_MONITOR_TYPES = (
    MonitorCreated.type,
    MonitorUpdated.type,
    MonitorPaused.type,
    MonitorResumed.type,
    MonitorDeleted.type,
)
_WINDOW_TYPES = (MaintenanceScheduled.type, MaintenanceChanged.type, MaintenanceCancelled.type)
_REGION_TYPES = (RegionDeleted.type, RegionRegistered.type)
TYPES = (*_MONITOR_TYPES, *_WINDOW_TYPES, *_REGION_TYPES, ContentAccepted.type)
AT_ONCE = 500


async def follow(connection: Connection, board: Board, position: int, metas: dict[int, EventMeta]) -> int:
    """Applies what was logged after `position`, at most 500 events; returns how far it came.

    Puts into `metas` what caused each event that follows from it.
    """
    events = await read_log(connection, position, AT_ONCE, types=TYPES)
    if not events:
        return position
    await _refresh_monitors(connection, board, events)
    for event in events:
        first = len(board.changes.events)
        _apply(board, event)
        meta = EventMeta(actor=event.meta.actor, cause=event.id, correlation=event.meta.correlation)
        metas.update((id(caused), meta) for caused in board.changes.events[first:])
    if any(event.type in _WINDOW_TYPES for event in events):
        board.set_windows(await load_windows(connection, board.now_ms))
    if any(event.type in _REGION_TYPES for event in events):
        regions = await load_regions(connection)
        board.set_regions(name for name, enabled in regions.items() if enabled)
    return events[-1].position


async def _refresh_monitors(connection: Connection, board: Board, events: Sequence[RecordedEvent]) -> None:
    ids = sorted({monitor_id_of(event) for event in events if event.type in _MONITOR_TYPES})
    if not ids:
        return
    for config, _ in await load_configs(connection, ids):
        board.set_config(config)


def _apply(board: Board, event: RecordedEvent) -> None:
    if event.type == MonitorPaused.type:
        board.pause(monitor_id_of(event))
    elif event.type == MonitorResumed.type:
        board.resume(monitor_id_of(event))
    elif event.type == ContentAccepted.type:
        board.accept_content(monitor_id_of(event))
    elif event.type == MonitorDeleted.type:
        board.delete(monitor_id_of(event))


def monitor_id_of(event: RecordedEvent) -> int:
    return int(event.data["monitor_id"])
