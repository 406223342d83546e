"""The facts that routing needs, read from PostgreSQL."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import structlog
from pydantic import ValidationError

from farwatch_events.actors import say_actor
from farwatch_events.matching import NumberedPolicy, NumberedSilence
from farwatch_events.policies import Match, parse_policy
from farwatch_events.results import Evidence
from farwatch_notifier.facts import ChannelFacts, IncidentFacts, MonitorFacts, Prior
from farwatch_notifier.message.drill import say_drill
from farwatch_notifier.policy.fallback import FailedDelivery
from farwatch_store import Connection

log = structlog.get_logger("farwatch_notifier")

_CHANNELS = "select id, name, type, enabled, moments from config.channels where deleted_at is null order by id"

# Single fields of the specification: the whole may be 96 KiB.
_MONITORS = """
    select id, name, type, enabled, tags, deleted_at is not null as deleted,
           spec->>'url' as url, spec->>'host' as host, spec->>'port' as port, spec->'channels' as channels,
           spec->'parents' as parents
    from config.monitors where id = any($1::bigint[])
"""

# The incidents that events speak of, and those that were open while single checks failed or succeeded. How people knew
# whoever acknowledged is what the event says: nobody is looked up who may be gone.
_INCIDENTS = """
    select i.id, i.monitor_id, i.monitor_name, i.severity, i.opened_at, i.acknowledged_at, i.acknowledged_by,
           i.resolved_at, i.error_class, i.error, i.reason, i.regions, i.suppressed,
           i.evidence is not null as has_evidence, i.evidence->>'status_line' as status_line,
           left(i.evidence->>'body', 1000) as body, i.evidence->>'address' as address,
           case when i.acknowledged_at is not null then (
               select e.meta->>'actor_name' from log.events e
               where e.stream = 'incident-' || i.id and e.type = 'incident.acknowledged'
               order by e.stream_version desc limit 1
           ) end as acknowledged_name
    from health.incidents i
    where i.id = any($1::bigint[])
       or (i.monitor_id = any($2::bigint[]) and (i.resolved_at is null or i.resolved_at > $3))
"""

_DRILLS = """
    select d.id, d.monitor_id, d.monitor_name, d.severity, d.started_by, d.started_at, d.acknowledged_at,
           d.acknowledged_by, d.ended_at, s.meta->>'actor_name' as started_name,
           a.meta->>'actor_name' as acknowledged_name
    from config.drills d
    left join log.events s on s.stream = 'drill-' || d.id and s.type = 'drill.started'
    left join log.events a on a.stream = 'drill-' || d.id and a.type = 'drill.acknowledged'
    where d.id = any($1::bigint[])
"""

_PRIOR = """
    select i.thread as trouble, d.channel_id, i.moment, d.state, d.thread as via
    from alerting.delivery_items i join alerting.deliveries d on d.id = i.delivery_id
    where i.thread = any($1::text[]) order by d.id
"""

_POLICIES = "select id, spec from config.policies where deleted_at is null and enabled order by position, id"

_SILENCES = """
    select id, match, reason, starts_at, ends_at from config.silences where cancelled_at is null and ends_at > $1
"""

_FAILED = """
    select d.id, d.channel_id, d.moment, d.thread, d.policy_id, d.monitor_id, d.incident_id, d.message,
           array_agg(i.position order by i.position) as positions, array_agg(i.thread order by i.position) as threads,
           array_agg(i.moment order by i.position) as moments
    from alerting.deliveries d join alerting.delivery_items i on i.delivery_id = d.id
    where d.id = any($1::bigint[]) group by d.id
"""

_GENERAL_FALLBACK = "select value from config.settings where key = 'fallback_channel'"

_UNTRUSTED = "select region from health.regions where state <> 'live'"

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
    return tuple(
        ChannelFacts(row["id"], row["name"], row["enabled"], frozenset(row["moments"]), row["type"]) for row in rows
    )


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
            parents=tuple(row["parents"] or ()),
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
        evidence=_evidence(row) if row["has_evidence"] else None,
        suppressed=row["suppressed"],
        acknowledged_ms=_milliseconds(row["acknowledged_at"]) if row["acknowledged_at"] else None,
        acknowledged_by=_say_who(row["acknowledged_by"], row["acknowledged_name"]),
        resolved_ms=_milliseconds(row["resolved_at"]) if row["resolved_at"] else None,
    )


def _say_who(actor: str | None, name: str | None) -> str | None:
    return None if actor is None else say_actor(actor, name)


def _evidence(row: Mapping[str, Any]) -> Evidence:
    """What messages show of it; headers and notes are for the page of the incident."""
    return Evidence(status_line=row["status_line"] or "", body=row["body"] or "", address=row["address"])


async def load_drills(connection: Connection, drill_ids: Sequence[int]) -> list[IncidentFacts]:
    if not drill_ids:
        return []
    rows = await connection.fetch(_DRILLS, list(drill_ids))
    return [
        IncidentFacts(
            id=row["id"],
            monitor_id=row["monitor_id"],
            monitor_name=row["monitor_name"],
            severity=row["severity"],
            opened_ms=_milliseconds(row["started_at"]),
            reason=say_drill(say_actor(row["started_by"], row["started_name"])),
            acknowledged_ms=_milliseconds(row["acknowledged_at"]) if row["acknowledged_at"] else None,
            acknowledged_by=_say_who(row["acknowledged_by"], row["acknowledged_name"]),
            resolved_ms=_milliseconds(row["ended_at"]) if row["ended_at"] else None,
            drill=True,
        )
        for row in rows
    ]


async def load_prior(connection: Connection, threads: Sequence[str]) -> dict[str, list[Prior]]:
    prior: dict[str, list[Prior]] = {}
    for row in await connection.fetch(_PRIOR, list(threads)):
        known = Prior(row["channel_id"], row["moment"], row["state"], row["via"])
        prior.setdefault(row["trouble"], []).append(known)
    return prior


async def load_policies(connection: Connection) -> tuple[NumberedPolicy, ...]:
    """One that does not read is left out and logged: a mistake in it must not stop every alert."""
    found = []
    for row in await connection.fetch(_POLICIES):
        try:
            found.append(NumberedPolicy(row["id"], parse_policy(row["spec"])))
        except ValidationError as error:
            log.error("policy_unreadable", policy=row["id"], errors=error.error_count())
    return tuple(found)


async def load_silences(connection: Connection, now_ms: int) -> tuple[NumberedSilence, ...]:
    found = []
    for row in await connection.fetch(_SILENCES, datetime.fromtimestamp(now_ms / 1000, UTC)):
        try:
            match = Match.model_validate(row["match"])
        except ValidationError as error:
            log.error("silence_unreadable", silence=row["id"], errors=error.error_count())
            continue
        starts_ms, ends_ms = _milliseconds(row["starts_at"]), _milliseconds(row["ends_at"])
        found.append(NumberedSilence(row["id"], match, row["reason"], starts_ms, ends_ms))
    return tuple(found)


async def load_failed(connection: Connection, delivery_ids: Sequence[int]) -> dict[int, FailedDelivery]:
    rows = await connection.fetch(_FAILED, list(delivery_ids))
    return {
        row["id"]: FailedDelivery(
            channel_id=row["channel_id"],
            moment=row["moment"],
            thread=row["thread"],
            policy_id=row["policy_id"],
            monitor_id=row["monitor_id"],
            incident_id=row["incident_id"],
            message=row["message"],
            items=tuple(zip(row["positions"], row["threads"], row["moments"], strict=True)),
        )
        for row in rows
    }


async def load_general_fallback(connection: Connection) -> int | None:
    value = await connection.fetchval(_GENERAL_FALLBACK)
    return value if isinstance(value, int) else None


async def load_untrusted(connection: Connection) -> frozenset[str]:
    return frozenset(row["region"] for row in await connection.fetch(_UNTRUSTED))


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
