"""Writes one batch: everything in one transaction, or nothing."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from farwatch_events.events import DomainEvent, EventMeta, RecordedEvent, VerdictChanged
from farwatch_incidents import queries
from farwatch_incidents.board import Board
from farwatch_incidents.changes import HISTORY_COLUMNS, Changes, Line
from farwatch_incidents.history import HOUR_MS, clean_text, moment
from farwatch_incidents.parking import Parked
from farwatch_incidents.rules.codec import dump_local, dump_monitor_state, dump_votes
from farwatch_incidents.rules.incident import Incident
from farwatch_store import Append, Connection, append_many, save_position

CONSUMER = "incidents"
OWN_META = EventMeta(actor=CONSUMER)


class LostOwnership(Exception):
    """Another fold took the epoch or moved an offset: this one must not write any more."""


@dataclass(frozen=True, slots=True)
class Advance:
    """A stream read further: from the sequence that stands in the table to the last one taken in."""

    stream: str
    before: int
    last: int


@dataclass(slots=True)
class Batch:
    """What goes into one transaction. `position` is how far the log was followed, None when it was not; `metas` by the
    id() of the event are those that somebody else than the fold caused."""

    epoch: int
    changes: Changes
    advances: list[Advance] = field(default_factory=list)
    position: int | None = None
    metas: dict[int, EventMeta] = field(default_factory=dict)
    new_regions: list[str] = field(default_factory=list)
    parked: list[Parked] = field(default_factory=list)


async def write(connection: Connection, board: Board, batch: Batch) -> list[RecordedEvent]:
    """Raises LostOwnership. The events go last, since they hold back everybody else's; only the timeline, which names
    their ids, follows."""
    changes = batch.changes
    await _advance(connection, board, batch)
    if changes.history:
        await connection.copy_records_to_table(
            "check_results", schema_name="health", records=changes.history, columns=HISTORY_COLUMNS
        )
    await _write_states(connection, board, changes)
    if changes.incidents:
        rows = [incident_row(incident) for incident in changes.incidents.values()]
        await connection.execute(queries.UPSERT_INCIDENTS, *(list(column) for column in zip(*rows, strict=True)))
    await _write_regions(connection, board, changes)
    for region in batch.new_regions:
        await connection.execute(queries.REGISTER_REGION, region)
    if batch.parked:
        await _write_parked(connection, batch.parked)
    if changes.closed_hours:
        hours = [moment(hour * HOUR_MS) for hour in sorted(changes.closed_hours)]
        await connection.execute(queries.MARK_HOURS, hours)
    if batch.position is not None:
        await save_position(connection, CONSUMER, batch.position)
    recorded = await append_many(connection, [_append(event, batch) for event in changes.events])
    await _write_lines(connection, changes, recorded)
    return recorded


async def _advance(connection: Connection, board: Board, batch: Batch) -> None:
    moved = [each for each in batch.advances if each.last != each.before]
    row = await connection.fetchrow(
        queries.ADVANCE,
        batch.epoch,
        board.now_ms,
        board.pushes.clock_ms,
        board.next_incident_id,
        [each.stream for each in moved],
        [each.before for each in moved],
        [each.last for each in moved],
    )
    if row is None or row["fences"] != 1 or row["streams"] != len(moved):
        raise LostOwnership("another fold moved on from where this one stands")


async def _write_states(connection: Connection, board: Board, changes: Changes) -> None:
    if changes.local:
        await connection.execute(queries.UPSERT_LOCAL, *_local_columns(board, changes))
    monitors = [board.states[each] for each in sorted(changes.monitors) if each in board.states]
    if monitors:
        await connection.execute(
            queries.UPSERT_VERDICTS,
            [state.monitor_id for state in monitors],
            [state.verdict for state in monitors],
            [moment(state.since_ms) for state in monitors],
            [clean(state.reason) for state in monitors],
            [state.rule for state in monitors],
            [{"v": dump_votes(state.votes)} for state in monitors],
            [state.incident.incident_id if state.incident else None for state in monitors],
            [state.flapping.flag for state in monitors],
            [dump_monitor_state(state) for state in monitors],
        )
    verdicts = {(e.monitor_id, e.at_ms): e for e in changes.events if isinstance(e, VerdictChanged)}
    if verdicts:
        await connection.execute(
            queries.INSERT_VERDICT_CHANGES,
            [event.monitor_id for event in verdicts.values()],
            [moment(event.at_ms) for event in verdicts.values()],
            [event.after for event in verdicts.values()],
            [clean(event.reason) for event in verdicts.values()],
        )
    if changes.gone_monitors:
        await connection.execute(queries.FORGET_MONITORS, list(changes.gone_monitors))


def _local_columns(board: Board, changes: Changes) -> list[list[Any]]:
    """Sorted, so that rows are locked in one order everywhere."""
    keys = sorted(key for key in changes.local if key[0] in board.states)
    states = [board.states[monitor_id].local[region] for monitor_id, region in keys]
    return [
        [monitor_id for monitor_id, _ in keys],
        [region for _, region in keys],
        [state.vote for state in states],
        [moment(state.slot_ms) for state in states],
        [{"v": dump_local(state)} for state in states],
        [changes.last_checks.get(key) for key in keys],
    ]


def incident_row(incident: Incident) -> tuple[Any, ...]:
    return (
        incident.incident_id,
        incident.monitor_id,
        incident.monitor_name,
        incident.state,
        incident.severity,
        moment(incident.opened_ms),
        _moment_or_none(incident.acknowledged_ms),
        incident.acknowledged_by,
        _moment_or_none(incident.resolved_ms),
        incident.how_resolved,
        incident.error_class,
        clean_text(incident.error),
        clean(incident.reason),
        {
            "regions": list(incident.regions),
            "votes": dump_votes(incident.votes),
            "evidence": incident.evidence.model_dump(mode="json") if incident.evidence else None,
        },
        incident.suppressed,
        incident.group_id,
        incident.group_by,
        incident.group_key,
    )


def _moment_or_none(ms: int | None) -> Any:
    return None if ms is None else moment(ms)


def clean(text: str) -> str:
    return clean_text(text) or ""


async def _write_regions(connection: Connection, board: Board, changes: Changes) -> None:
    states = [board.regions[region] for region in sorted(changes.regions) if region in board.regions]
    if states:
        await connection.execute(
            queries.UPSERT_REGIONS,
            [state.region for state in states],
            [state.stands for state in states],
            [None if state.reason is None else clean(state.reason) for state in states],
            [moment(state.since_ms) for state in states],
            [moment(state.last_seen_ms) for state in states],
            [state.watermark_ms for state in states],
        )
    for state in states:
        for name, prober in state.probers.items():
            if prober.seen_ms != state.last_seen_ms:
                continue
            beat = prober.heartbeat
            await connection.execute(
                queries.UPSERT_PROBERS,
                state.region,
                clean(name),
                clean(beat.software),
                beat.healthy,
                clean_text(beat.reason),
                beat.in_flight,
                beat.capacity,
                beat.checks_per_second,
                beat.loop_lag_ms,
                _moment_or_none(beat.started_ms or None),
                moment(prober.seen_ms),
            )
    if changes.gone_regions:
        await connection.execute(queries.FORGET_REGIONS, list(changes.gone_regions))


async def _write_parked(connection: Connection, parked: Sequence[Parked]) -> None:
    await connection.execute(
        queries.INSERT_PARKED,
        [each.source for each in parked],
        [each.sequence for each in parked],
        [moment(each.arrived_ms) for each in parked],
        [clean(each.reason) for each in parked],
        [each.data for each in parked],
    )
    await connection.execute(queries.FORGET_PARKED)


def _append(event: DomainEvent, batch: Batch) -> Append:
    """Caused by somebody's command or a logged event, else by the result that it follows from."""
    cause = batch.changes.causes.get(id(event))
    meta = batch.metas.get(id(event)) or (OWN_META if cause is None else EventMeta(actor=CONSUMER, cause=cause))
    return Append(event.stream, [event], meta)


async def _write_lines(connection: Connection, changes: Changes, recorded: Sequence[RecordedEvent]) -> None:
    if not changes.lines:
        return
    ids = {id(event): each.id for event, each in zip(changes.events, recorded, strict=True)}

    def id_of(line: Line) -> str | None:
        return None if line.entry.event is None else ids.get(id(line.entry.event))

    lines = changes.lines
    await connection.execute(
        queries.INSERT_LINES,
        [line.incident_id for line in lines],
        [line.seq for line in lines],
        [moment(line.entry.at_ms) for line in lines],
        [line.entry.kind for line in lines],
        [clean(line.entry.sentence) for line in lines],
        [line.entry.actor for line in lines],
        [line.entry.data for line in lines],
        [id_of(line) for line in lines],
    )
