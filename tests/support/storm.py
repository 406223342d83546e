"""Many monitors that fall and rise together, written as the fold does it: rows and events of a batch in one go."""

from collections.abc import Awaitable, Callable, Sequence

from farwatch_events.events import (
    Cause,
    DomainEvent,
    EventMeta,
    FirstFailure,
    IncidentOpened,
    IncidentResolved,
    RegionVote,
    VerdictChanged,
    VoteChanged,
)
from farwatch_events.results import ErrorClass, Evidence
from farwatch_runtime.clock import now_ms
from farwatch_store import Connection, Database
from farwatch_store.log import Append, append_many

META = EventMeta(actor="incidents")
CHUNK = 500
ERROR = "connection refused by 192.0.2.7:443"
REASON = "1 of 1 regions says down: local failed twice, the last time with a refused connection"
EVIDENCE = Evidence(
    status_line="HTTP/1.1 503 Service Unavailable",
    headers={"server": "nginx", "content-type": "text/html; charset=utf-8", "retry-after": "120"},
    body="<html><title>503</title><h1>Service Unavailable</h1>" + "<p>We will be back shortly.</p>" * 20 + "</html>",
    address="192.0.2.7",
)
_MONITORS = """
    insert into config.monitors (name, type, spec)
    select 'host-' || n, 'http', jsonb_build_object('type', 'http', 'name', 'host-' || n, 'url', 'https://h.example/',
                                                    'interval_seconds', 60, 'parents', $2::bigint[])
    from generate_series(1, $1::int) n returning id
"""
_INCIDENTS = """
    insert into health.incidents
        (id, monitor_id, monitor_name, state, severity, opened_at, regions, error_class, error, reason, evidence)
    select id, monitor_id, name, 'open', 'down', now(), '{local}', 'connect_refused', $4, $5, $6
    from unnest($1::bigint[], $2::bigint[], $3::text[]) as t (id, monitor_id, name)
"""
_RESOLVE = """
    update health.incidents set state = 'resolved', resolved_at = now(), how_resolved = 'recovered'
    where id = any($1::bigint[])
"""


async def add_monitors(db: Database, count: int, parents: Sequence[int]) -> list[int]:
    async with db.connection() as connection:
        return [row["id"] for row in await connection.fetch(_MONITORS, count, list(parents))]


async def fall(db: Database, monitors: Sequence[int], first_incident: int, prefix: str = "host-") -> list[int]:
    """The ids of the incidents, counted from `first_incident`."""
    incidents = list(range(first_incident, first_incident + len(monitors)))
    names = [f"{prefix}{number}" for number in range(1, len(monitors) + 1)]

    async def write(connection: Connection, part: slice) -> None:
        events = [
            event
            for incident, monitor, name in zip(incidents[part], monitors[part], names[part], strict=True)
            for event in _fallen(incident, monitor, name)
        ]
        evidence = EVIDENCE.model_dump(mode="json")
        await connection.execute(_INCIDENTS, incidents[part], monitors[part], names[part], ERROR, REASON, evidence)
        await append_many(connection, [Append(each.stream, [each], META) for each in events])

    await _in_chunks(db, len(monitors), write)
    return incidents


def _fallen(incident_id: int, monitor_id: int, name: str) -> list[DomainEvent]:
    """What the fold says of a monitor that is found down by its one region."""
    at_ms, refused = now_ms(), ErrorClass.CONNECT_REFUSED
    vote = RegionVote(region="local", vote="down", slot_ms=at_ms, error_class=refused, error=ERROR)
    return [
        VoteChanged(
            at_ms=at_ms, monitor_id=monitor_id, region="local", before="up", after="down", slot_ms=at_ms,
            reason=REASON, error_class=refused, error=ERROR, attempts=2,
        ),
        VerdictChanged(
            at_ms=at_ms, monitor_id=monitor_id, before="up", after="down", slot_ms=at_ms, rule="all of 1",
            reason=REASON, votes=[vote],
        ),
        IncidentOpened(
            at_ms=at_ms, incident_id=incident_id, monitor_id=monitor_id, monitor_name=name, severity="down",
            cause=Cause(error_class=refused, error=ERROR), regions=["local"], reason=REASON, votes=[vote],
            evidence=EVIDENCE,
        ),
        FirstFailure(
            at_ms=at_ms, monitor_id=monitor_id, region="local", slot_ms=at_ms, error_class=refused, error=ERROR,
            confirmed=True,
        ),
    ]  # fmt: skip


async def rise(db: Database, monitors: Sequence[int], incidents: Sequence[int]) -> None:
    async def write(connection: Connection, part: slice) -> None:
        events = [
            IncidentResolved(
                at_ms=now_ms(), incident_id=incident, monitor_id=monitor, monitor_name=f"host-{incident}",
                how="recovered", duration_seconds=60, reason="up",
            )
            for incident, monitor in zip(incidents[part], monitors[part], strict=True)
        ]  # fmt: skip
        await connection.execute(_RESOLVE, incidents[part])
        await append_many(connection, [Append(each.stream, [each], META) for each in events])

    await _in_chunks(db, len(monitors), write)


async def _in_chunks(db: Database, count: int, write: Callable[[Connection, slice], Awaitable[None]]) -> None:
    for start in range(0, count, CHUNK):
        async with db.transaction() as connection:
            await write(connection, slice(start, start + CHUNK))
