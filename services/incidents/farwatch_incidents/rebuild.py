"""`python -m farwatch_incidents.rebuild`: incidents, timelines and verdicts again from the log, rollups again from the
results that are kept, and whether the tables say the same.

Beside a running Farwatch it only compares, in one snapshot. With `write` the tables are mended: the fold is held for
that time and begins anew from what was written.
"""

import argparse
import asyncio
import sys
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, Literal

from farwatch_events.events import EVENT_TYPES, DomainEvent
from farwatch_incidents import queries
from farwatch_incidents.history import DAY_MS, HOUR_MS, moment
from farwatch_incidents.loading import incident_of, ms_of
from farwatch_incidents.partitions import present_days
from farwatch_incidents.projection import TYPES, Projection, Told
from farwatch_incidents.rollups import compute_hour, portions
from farwatch_incidents.rules.codec import dump_votes
from farwatch_incidents.rules.incident import Entry, Incident
from farwatch_incidents.settings import IncidentsSettings
from farwatch_incidents.writer import clean, incident_row
from farwatch_runtime.clock import now_ms
from farwatch_store import Connection, Database, StoreError, read_log

EVENTS_A_PAGE = 2_000
SHOWN = 20

_INCIDENTS = "select *, 0 as entries, opened_at as last_at from health.incidents"
_LINES = """
    select incident_id, at, kind, sentence, actor, data, event_id::text from health.incident_timeline
    order by incident_id, seq
"""
_CHANGES = "select monitor_id, at, verdict, reason from health.verdict_changes"
_HOURS = """
    select at from health.rollup_progress
    where period = 'hour' and rolled_at is not null and not dirty and at >= $1 order by at
"""
# Monitors that are gone are not rolled up any more; what was before stays.
_MEASURED = """
    select distinct monitor_id from health.check_results
    where slot >= $1 and slot < $2 and monitor_id in (select monitor_id from health.verdicts)
"""
_CLEAR_HOUR = """
    delete from health.rollup_hours where at = $1 and monitor_id in (select monitor_id from health.verdicts)
"""
_KEEP_HOUR = """
    create temp table before_hour on commit drop as select * from health.rollup_hours where at = $1
"""
# Sums of reals depend on the order of their parts; everything else has to be the same to the last bit.
_DIFFERENT_HOUR = """
    select coalesce(b.monitor_id, a.monitor_id) as monitor_id, coalesce(b.region, a.region) as region
    from before_hour b full join (select * from health.rollup_hours where at = $1) a using (monitor_id, region)
    where b.monitor_id is null or a.monitor_id is null
        or (b.up, b.degraded, b.down, b.unknown, b.latency_count, b.latency_max_ms, b.histogram) is distinct from
           (a.up, a.degraded, a.down, a.unknown, a.latency_count, a.latency_max_ms, a.histogram)
        or abs(b.latency_sum_ms - a.latency_sum_ms) > 0.001 * (1 + abs(a.latency_sum_ms))
    order by 1, 2
"""
_WRITE_VERDICT = """
    insert into health.verdicts (monitor_id, verdict, since, reason, rule, votes, flapping)
    values ($1, $2, $3, $4, $5, $6, $7)
    on conflict (monitor_id) do update set verdict = excluded.verdict, since = excluded.since,
        reason = excluded.reason, rule = excluded.rule, votes = excluded.votes, flapping = excluded.flapping
"""
_WRITE_LINES = """
    insert into health.incident_timeline (incident_id, seq, at, kind, sentence, actor, data, event_id)
    values ($1, $2, $3, $4, $5, $6, $7, $8)
"""
_HOLD_FOLD = "update health.shards set epoch = epoch + 1 where shard = '0'"
_NEXT_INCIDENT = """
    update health.shards set next_incident_id = greatest(next_incident_id, $1) where shard = '0'
"""


@dataclass(frozen=True, slots=True)
class Difference:
    """`mend` writes what the log says, None where nothing can be written."""

    what: str
    stored: object
    rebuilt: object
    mend: Callable[[Connection], Any] | None = None

    def __str__(self) -> str:
        return f"{self.what}\n    stored:  {self.stored}\n    rebuilt: {self.rebuilt}"


@dataclass(frozen=True, slots=True)
class Outcome:
    events: int
    incidents: int
    verdicts: int
    hours: int
    differences: list[Difference]


async def rebuild(db: Database, *, write: bool, keep_daily_days: int = 400) -> Outcome:
    """Compares everything, and with `write` mends what differs."""
    isolation: Literal["read_committed", "repeatable_read"] = "read_committed" if write else "repeatable_read"
    async with db.connection() as connection, connection.transaction(isolation=isolation):
        if write:
            await connection.execute(_HOLD_FOLD)
        told, ids, events = await _project(connection)
        differences = [
            *await _compare_incidents(connection, told, ids),
            *await _compare_verdicts(connection, told),
            *await _compare_changes(connection, told, now_ms() - keep_daily_days * DAY_MS),
        ]
        if write:
            for difference in differences:
                if difference.mend is not None:
                    await difference.mend(connection)
            await connection.execute(_NEXT_INCIDENT, max(told.incidents, default=0) + 1)
    hours, of_rollups = await _compare_rollups(db, write=write)
    return Outcome(events, len(told.incidents), len(told.verdicts), hours, differences + of_rollups)


async def _project(connection: Connection) -> tuple[Projection, dict[int, str], int]:
    """The projection, the log's id of each event by its id(), and how many events there were."""
    told, position, number = Projection(), 0, 0
    ids: dict[int, str] = {}
    kept: list[DomainEvent] = []  # an id() is one of a kind only while its event lives
    wanted = [event.type for event in TYPES]
    while events := await read_log(connection, position, EVENTS_A_PAGE, types=wanted):
        for recorded in events:
            event = EVENT_TYPES[recorded.type].model_validate(recorded.data)
            told.apply(event, recorded.version)
            kept.append(event)
            ids[id(event)] = recorded.id
        position, number = events[-1].position, number + len(events)
    return told, ids, number


async def _compare_incidents(connection: Connection, told: Projection, ids: dict[int, str]) -> list[Difference]:
    stored = {row["id"]: incident_of(row) for row in await connection.fetch(_INCIDENTS)}
    lines: dict[int, list[tuple[Any, ...]]] = {}
    for row in await connection.fetch(_LINES):
        line = (ms_of(row["at"]), row["kind"], row["sentence"], row["actor"], row["data"], row["event_id"])
        lines.setdefault(row["incident_id"], []).append(line)
    found = []
    for incident_id in sorted(stored.keys() | told.incidents.keys()):
        tale, known = told.incidents.get(incident_id), stored.get(incident_id)
        if tale is None:
            found.append(Difference(f"incident {incident_id} is not in the log", known, None, _forget(incident_id)))
            continue
        rebuilt = _bare(tale.incident)
        tale_lines = [_line(entry, ids) for entry in tale.entries]
        mend = _write_incident(tale, tale_lines)
        if known is None or (tale.whole and _bare(known) != rebuilt):
            found.append(Difference(f"incident {incident_id}", known and _bare(known), rebuilt, mend))
        elif tale.whole and lines.get(incident_id, []) != tale_lines:
            here = lines.get(incident_id, [])
            found.append(Difference(f"timeline of incident {incident_id}", here, tale_lines, mend))
    return found


def _bare(incident: Incident) -> Incident:
    """As a row gives it back: without the length of its timeline, texts as columns take them."""
    error = None if incident.error is None else clean(incident.error)
    return replace(incident, entries=0, last_ms=0, reason=clean(incident.reason), error=error)


def _line(entry: Entry, ids: dict[int, str]) -> tuple[Any, ...]:
    event_id = None if entry.event is None else ids.get(id(entry.event))
    return entry.at_ms, entry.kind, clean(entry.sentence), entry.actor, entry.data, event_id


def _forget(incident_id: int) -> Callable[[Connection], Any]:
    return lambda connection: connection.execute("delete from health.incidents where id = $1", incident_id)


def _write_incident(told: Told, lines: list[tuple[Any, ...]]) -> Callable[[Connection], Any]:
    async def write(connection: Connection) -> None:
        incident_id = told.incident.incident_id
        await connection.execute(queries.UPSERT_INCIDENTS, *([value] for value in incident_row(told.incident)))
        await connection.execute("delete from health.incident_timeline where incident_id = $1", incident_id)
        for number, (at_ms, kind, sentence, actor, data, event_id) in enumerate(lines, start=1):
            await connection.execute(
                _WRITE_LINES, incident_id, number, moment(at_ms), kind, sentence, actor, data, event_id
            )

    return write


async def _compare_verdicts(connection: Connection, told: Projection) -> list[Difference]:
    """Monitors that never had a verdict have a row, or none."""
    stored = {row["monitor_id"]: row for row in await connection.fetch(queries.VERDICTS)}
    found = []
    for monitor_id, tale in sorted(told.verdicts.items()):
        row = stored.get(monitor_id)
        votes = dump_votes(tale.votes)
        rebuilt = (tale.verdict, tale.since_ms, clean(tale.reason), tale.rule, votes, tale.flapping)
        here = row and (
            row["verdict"], ms_of(row["since"]), row["reason"], row["rule"], row["votes"], row["flapping"],
        )  # fmt: skip
        if here != rebuilt:
            mend = _write_verdict(monitor_id, rebuilt)
            found.append(Difference(f"verdict of monitor {monitor_id}", here, rebuilt, mend))
    for monitor_id, row in stored.items():
        if monitor_id not in told.verdicts and row["verdict"] != "pending":
            found.append(Difference(f"verdict of monitor {monitor_id} is not in the log", row["verdict"], None))
    return found


def _write_verdict(monitor_id: int, row: tuple[Any, ...]) -> Callable[[Connection], Any]:
    verdict, since_ms, *rest = row
    return lambda connection: connection.execute(_WRITE_VERDICT, monitor_id, verdict, moment(since_ms), *rest)


async def _compare_changes(connection: Connection, told: Projection, kept_since_ms: int) -> list[Difference]:
    stored = {
        (row["monitor_id"], ms_of(row["at"])): (row["verdict"], row["reason"])
        for row in await connection.fetch(_CHANGES)
    }
    found = []
    for key, (verdict, reason) in sorted(told.changes.items()):
        here, rebuilt = stored.pop(key, None), (verdict, clean(reason))
        if here != rebuilt and (here is not None or key[1] >= kept_since_ms):
            mend = _write_change(key, rebuilt)
            found.append(Difference(f"verdict of monitor {key[0]} since {moment(key[1])}", here, rebuilt, mend))
    found += [
        Difference(f"verdict of monitor {key[0]} since {moment(key[1])} is not in the log", here, None)
        for key, here in sorted(stored.items())
    ]
    return found


def _write_change(key: tuple[int, int], row: tuple[str, str]) -> Callable[[Connection], Any]:
    columns = ([key[0]], [moment(key[1])], [row[0]], [row[1]])
    return lambda connection: connection.execute(queries.INSERT_VERDICT_CHANGES, *columns)


class _Undo(Exception):
    """Ends a transaction whose work was only a comparison."""


async def _compare_rollups(db: Database, *, write: bool) -> tuple[int, list[Difference]]:
    """Hour by hour, those whose results are all still there."""
    found: list[Difference] = []
    async with db.connection() as connection:
        days = await present_days(connection)
        first = moment(min(days) * DAY_MS) if days else moment(now_ms())
        hours = [ms_of(row["at"]) for row in await connection.fetch(_HOURS, first)]
    for hour_ms in hours:
        try:
            async with db.transaction() as connection:
                found += await _compare_hour(connection, hour_ms)
                if not write:
                    raise _Undo
        except _Undo:
            continue
    return len(hours), found


async def _compare_hour(connection: Connection, hour_ms: int) -> list[Difference]:
    start, end = moment(hour_ms), moment(hour_ms + HOUR_MS)
    await connection.execute(_KEEP_HOUR.replace("$1", f"'{start.isoformat()}'"))
    await connection.execute(_CLEAR_HOUR, start)
    ids = [row["monitor_id"] for row in await connection.fetch(_MEASURED, start, end)]
    for portion in portions(ids):
        await compute_hour(connection, hour_ms, portion)
    rows = await connection.fetch(_DIFFERENT_HOUR, start)
    return [
        Difference(f"hour {start:%Y-%m-%d %H:%M} of monitor {row['monitor_id']} in {row['region']}", "differs", "…")
        for row in rows
    ]


async def run(url: str, *, write: bool, keep_daily_days: int) -> int:
    db = await Database.connect(url, "farwatch_incidents", max_size=2, name="farwatch_rebuild")
    try:
        outcome = await rebuild(db, write=write, keep_daily_days=keep_daily_days)
    finally:
        await db.close()
    return _report(outcome, write=write)


def _report(outcome: Outcome, *, write: bool) -> int:
    out = sys.stdout.write
    for difference in outcome.differences[:SHOWN]:
        out(f"{difference}\n")
    if len(outcome.differences) > SHOWN:
        out(f"… and {len(outcome.differences) - SHOWN} more\n")
    out(
        f"From {outcome.events} events: {outcome.incidents} incidents, {outcome.verdicts} verdicts; "
        f"from the results kept: {outcome.hours} hours. "
    )
    if not outcome.differences:
        out("The tables say the same.\n")
        return 0
    count = f"{len(outcome.differences)} difference{'s' if len(outcome.differences) > 1 else ''}"
    out(f"{count} written over.\n" if write else f"{count}; --write takes over what was rebuilt.\n")
    return 0 if write else 1


def main() -> int:
    parser = argparse.ArgumentParser(prog="farwatch rebuild")
    parser.add_argument("--write", action="store_true", help="mend the tables")
    write = parser.parse_args().write
    settings = IncidentsSettings.load()
    url = settings.database_url.get_secret_value()
    try:
        return asyncio.run(run(url, write=write, keep_daily_days=settings.keep_daily_days))
    except StoreError as error:
        sys.stderr.write(f"farwatch: {error}\n")
        return 1


if __name__ == "__main__":
    raise SystemExit(main())
