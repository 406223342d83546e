"""Reads back what a fold has to know: its offsets, every state, the configuration."""

import asyncio
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

import structlog

from farwatch_events.events import RegionVote
from farwatch_events.maintenance import Weekly
from farwatch_events.results import ErrorClass, Evidence
from farwatch_incidents import queries
from farwatch_incidents.board import Board
from farwatch_incidents.history import moment
from farwatch_incidents.rules.codec import load_local, load_monitor_state
from farwatch_incidents.rules.config import Maintenance, MonitorConfig, config_of, expand
from farwatch_incidents.rules.incident import Incident
from farwatch_incidents.rules.regions import RegionState
from farwatch_incidents.rules.votes import LocalState
from farwatch_incidents.writer import CONSUMER
from farwatch_store import Connection, read_position

FOREVER_MS = 253_402_300_799_000
"""The last second of the year 9999: what a series without an end has."""

log = structlog.get_logger("farwatch_incidents")


@dataclass(frozen=True, slots=True)
class Loaded:
    """`offsets` by stream: last sequence folded in, and when the stream was created."""

    board: Board
    epoch: int
    position: int
    offsets: dict[str, tuple[int, str]]
    regions: frozenset[str]


def ms_of(at: datetime) -> int:
    return round(at.timestamp() * 1000)


ROWS_AT_ONCE = 1_000
"""A million rows in one answer would keep the loop from renewing the lease while they are decoded."""


async def _breathe(number: int) -> None:
    """Lets others run now and then: the lease has to be renewed while a hundred thousand monitors are read."""
    if number % 500 == 499:
        await asyncio.sleep(0)


async def load(connection: Connection, keep_raw_days: int) -> Loaded:
    """Takes the epoch, which ends whatever fold ran before, and reads everything in the same transaction."""
    shard = await connection.fetchrow(queries.TAKE_EPOCH)
    if shard is None:
        raise LookupError("health.shards has no row for shard 0")
    board = Board(keep_raw_days)
    dark = [(ms_of(row["starts_at"]), ms_of(row["ends_at"])) for row in await connection.fetch(queries.DARK_SPANS)]
    board.go_on(shard["now_ms"], shard["push_clock_ms"], dark)
    board.next_incident_id = shard["next_incident_id"]
    position = await read_position(connection, CONSUMER)
    offsets = {
        row["stream"]: (row["last_sequence"], row["stream_created"]) for row in await connection.fetch(queries.OFFSETS)
    }
    await _load_states(connection, board)
    await _load_health_regions(connection, board)
    board.set_windows(await load_windows(connection, board.now_ms))
    regions = await load_regions(connection)
    board.set_regions(name for name, enabled in regions.items() if enabled)
    async for row in connection.cursor(queries.MONITORS, prefetch=ROWS_AT_ONCE):
        if config := _read_config(row):
            board.set_config(config)
    board.review_all()
    board.take_changes()
    return Loaded(board, shard["epoch"], position, offsets, frozenset(regions))


async def _load_states(connection: Connection, board: Board) -> None:
    local: dict[int, dict[str, LocalState]] = {}
    async for row in connection.cursor(queries.LOCAL_STATES, prefetch=ROWS_AT_ONCE):
        seen = load_local(row["vote"], ms_of(row["vote_slot"]), row["state"])
        local.setdefault(row["monitor_id"], {})[row["region"]] = seen
    incidents = {row["monitor_id"]: incident_of(row) for row in await connection.fetch(queries.OPEN_INCIDENTS)}
    verdicts: dict[int, dict[str, Any]] = {
        row["monitor_id"]: {**row, "since_ms": ms_of(row["since"])}
        async for row in connection.cursor(queries.VERDICTS, prefetch=ROWS_AT_ONCE)
    }
    for number, monitor_id in enumerate(verdicts.keys() | local.keys()):
        await _breathe(number)
        known = verdicts.get(monitor_id)
        state = load_monitor_state(monitor_id, known) if known else board.state_of(monitor_id)
        board.adopt(replace(state, local=local.get(monitor_id, {}), incident=incidents.get(monitor_id)))


def incident_of(row: Any) -> Incident:
    return Incident(
        incident_id=row["id"],
        monitor_id=row["monitor_id"],
        monitor_name=row["monitor_name"],
        state=row["state"],
        severity=row["severity"],
        opened_ms=ms_of(row["opened_at"]),
        reason=row["reason"],
        error_class=ErrorClass(row["error_class"]) if row["error_class"] else None,
        error=row["error"],
        regions=tuple(row["regions"]),
        votes=tuple(RegionVote.model_validate(vote) for vote in row["votes"]),
        evidence=Evidence.model_validate(row["evidence"]) if row["evidence"] else None,
        suppressed=row["suppressed"],
        acknowledged_ms=ms_of(row["acknowledged_at"]) if row["acknowledged_at"] else None,
        acknowledged_by=row["acknowledged_by"],
        resolved_ms=ms_of(row["resolved_at"]) if row["resolved_at"] else None,
        how_resolved=row["how_resolved"],
        group_id=row["group_id"],
        group_by=row["group_by"],
        group_key=row["group_key"],
        entries=row["entries"],
        last_ms=ms_of(row["last_at"]),
    )


async def load_incident(connection: Connection, incident_id: int) -> Incident | None:
    """Resolved ones too; None when there never was one of this id."""
    row = await connection.fetchrow(queries.INCIDENT, incident_id)
    return None if row is None else incident_of(row)


async def _load_health_regions(connection: Connection, board: Board) -> None:
    """A silent region stays silent until its next heartbeat, a suspect one suspect until it is judged anew."""
    for row in await connection.fetch(queries.HEALTH_REGIONS):
        silent, suspect = row["state"] == "silent", row["state"] == "suspect"
        since_ms = ms_of(row["since"])
        board.regions[row["region"]] = RegionState(
            region=row["region"],
            heard=row["last_heartbeat_at"] is not None,
            silent=silent,
            last_seen_ms=ms_of(row["last_heartbeat_at"]) if row["last_heartbeat_at"] else 0,
            watermark_ms=row["watermark_ms"],
            since_ms=since_ms,
            suspect=(row["reason"] or "suspect") if suspect else None,
            suspect_since_ms=since_ms if suspect else 0,
            unhealthy=suspect and "unhealthy" in (row["reason"] or ""),
        )


async def load_regions(connection: Connection) -> dict[str, bool]:
    """Every region with whether it is enabled."""
    return {row["name"]: row["enabled"] for row in await connection.fetch(queries.REGIONS)}


async def load_windows(connection: Connection, now_ms: int) -> tuple[Maintenance, ...]:
    """Windows that are not over, future ones included."""
    rows = await connection.fetch(queries.WINDOWS, moment(now_ms))
    planned = (
        Maintenance(
            maintenance_id=row["id"],
            name=row["name"],
            starts_ms=ms_of(row["starts_at"]),
            ends_ms=min(ms_of(row["ends_at"]), FOREVER_MS),
            all_monitors=row["all_monitors"],
            monitor_ids=frozenset(row["monitor_ids"]),
            tags=frozenset(row["tags"]),
            weekly=Weekly.model_validate(row["weekly"]) if row["weekly"] else None,
        )
        for row in rows
    )
    return tuple(window for series in planned for window in expand(series, now_ms))


async def load_configs(connection: Connection, monitor_ids: list[int]) -> list[tuple[MonitorConfig, bool]]:
    """Monitors with whether they are alive. Deleted ones come too while the fold still knows them."""
    rows = await connection.fetch(queries.MONITORS_BY_ID, monitor_ids)
    return [(config, row["alive"]) for row in rows if (config := _read_config(row))]


def _read_config(row: Any) -> MonitorConfig | None:
    """None for one that cannot be read: it is left out with an error in the log, rather than stopping all others."""
    try:
        return config_of(row["id"], row["spec"], row["config_version"], enabled=row["enabled"] and row["alive"])
    except (ValueError, TypeError, OverflowError) as error:
        log.error("monitor_unreadable", monitor_id=row["id"], error=str(error))
        return None
