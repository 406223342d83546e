"""The facts that routing needs, read from PostgreSQL."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from pydantic import ValidationError

from farwatch_events.results import Evidence
from farwatch_notifier.facts import ChannelFacts, IncidentFacts, MonitorFacts, Prior
from farwatch_store import Connection

_CHANNELS = "select id, name, enabled, moments from config.channels where deleted_at is null order by id"

# Single fields of the specification: the whole may be 96 KiB.
_MONITORS = """
    select id, name, type, enabled, tags, deleted_at is not null as deleted,
           spec->>'url' as url, spec->>'host' as host, spec->>'port' as port, spec->'channels' as channels
    from config.monitors where id = any($1::bigint[])
"""

# The incidents that events speak of, and those that were open while single checks failed or succeeded.
_INCIDENTS = """
    select id, monitor_id, monitor_name, severity, opened_at, acknowledged_at, acknowledged_by, resolved_at,
           error_class, error, reason, regions, evidence, suppressed
    from health.incidents
    where id = any($1::bigint[])
       or (monitor_id = any($2::bigint[]) and (resolved_at is null or resolved_at > $3))
"""

_PRIOR = """
    select incident_id, channel_id, moment, state from alerting.deliveries
    where incident_id = any($1::bigint[]) order by id
"""

_WINDOWS = """
    select name, all_monitors, monitor_ids, tags, starts_at, ends_at from config.maintenance
    where cancelled_at is null and ends_at > $1
"""


@dataclass(frozen=True, slots=True)
class Window:
    """One maintenance window."""

    name: str
    all_monitors: bool
    monitor_ids: frozenset[int]
    tags: frozenset[str]
    starts_ms: int
    ends_ms: int

    def holds(self, monitor: MonitorFacts, at_ms: int) -> bool:
        if not self.starts_ms <= at_ms < self.ends_ms:
            return False
        return self.all_monitors or monitor.id in self.monitor_ids or not self.tags.isdisjoint(monitor.tags)


async def load_channels(connection: Connection) -> tuple[ChannelFacts, ...]:
    rows = await connection.fetch(_CHANNELS)
    return tuple(ChannelFacts(row["id"], row["name"], row["enabled"], frozenset(row["moments"])) for row in rows)


async def load_monitors(connection: Connection, monitor_ids: Sequence[int]) -> dict[int, MonitorFacts]:
    rows = await connection.fetch(_MONITORS, list(monitor_ids))
    return {
        row["id"]: MonitorFacts(
            id=row["id"],
            name=row["name"],
            type=row["type"],
            target=target_of(dict(row)),
            channels=tuple(row["channels"] or ()),
            tags=frozenset(row["tags"]),
            enabled=row["enabled"],
            deleted=row["deleted"],
        )
        for row in rows
    }


def target_of(fields: Mapping[str, Any]) -> str:
    """What a monitor watches, as people write it; empty for push."""
    if fields["url"]:
        return str(fields["url"])
    host, port = fields["host"] or "", fields["port"]
    return f"{host}:{port}" if host and port else host


async def load_incidents(
    connection: Connection, incident_ids: Sequence[int], monitor_ids: Sequence[int], first_ms: int
) -> dict[int, IncidentFacts]:
    since = datetime.fromtimestamp(first_ms / 1000, UTC)
    rows = await connection.fetch(_INCIDENTS, list(incident_ids), list(monitor_ids), since)
    return {row["id"]: _incident(dict(row)) for row in rows}


def _incident(row: Mapping[str, Any]) -> IncidentFacts:
    return IncidentFacts(
        id=row["id"],
        monitor_id=row["monitor_id"],
        monitor_name=row["monitor_name"],
        severity=row["severity"],
        opened_ms=_milliseconds(row["opened_at"]),
        reason=row["reason"],
        error_class=row["error_class"],
        error=row["error"],
        regions=tuple(row["regions"]),
        evidence=_evidence(row["evidence"]),
        suppressed=row["suppressed"],
        acknowledged_ms=_milliseconds(row["acknowledged_at"]) if row["acknowledged_at"] else None,
        acknowledged_by=row["acknowledged_by"],
        resolved_ms=_milliseconds(row["resolved_at"]) if row["resolved_at"] else None,
    )


def _evidence(data: Any) -> Evidence | None:
    """None also for evidence that does not read: an alert must not wait for it."""
    try:
        return None if data is None else Evidence.model_validate(data)
    except ValidationError:
        return None


async def load_prior(connection: Connection, incident_ids: Sequence[int]) -> dict[int, list[Prior]]:
    prior: dict[int, list[Prior]] = {}
    for row in await connection.fetch(_PRIOR, list(incident_ids)):
        prior.setdefault(row["incident_id"], []).append(Prior(row["channel_id"], row["moment"], row["state"]))
    return prior


async def load_windows(connection: Connection, first_ms: int) -> list[Window]:
    rows = await connection.fetch(_WINDOWS, datetime.fromtimestamp(first_ms / 1000, UTC))
    return [
        Window(
            name=row["name"],
            all_monitors=row["all_monitors"],
            monitor_ids=frozenset(row["monitor_ids"]),
            tags=frozenset(row["tags"]),
            starts_ms=_milliseconds(row["starts_at"]),
            ends_ms=_milliseconds(row["ends_at"]),
        )
        for row in rows
    ]


def _milliseconds(at: datetime) -> int:
    return round(at.timestamp() * 1000)
