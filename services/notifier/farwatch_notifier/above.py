"""What stands above monitors, read from PostgreSQL: which of it is down, and when the rest was looked at."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from asyncpg import Record
from pydantic import ValidationError

from farwatch_events.monitor import read_stored_monitor
from farwatch_notifier.facts import Look, ParentDown, ParentLooks
from farwatch_store import Connection

# Everything that stands above the given monitors, ten steps at most, the uppermost first.
_ABOVE = """
    with recursive above (monitor_id, parent_id, depth) as (
        select m.id, p.value::bigint, 1
        from config.monitors m cross join lateral jsonb_array_elements_text(m.spec->'parents') p
        where m.id = any($1::bigint[]) and jsonb_typeof(m.spec->'parents') = 'array'
        union
        select a.monitor_id, p.value::bigint, a.depth + 1
        from above a join config.monitors m on m.id = a.parent_id and m.deleted_at is null
        cross join lateral jsonb_array_elements_text(m.spec->'parents') p
        where a.depth < 10 and jsonb_typeof(m.spec->'parents') = 'array'
    )
    select monitor_id, parent_id, max(depth) as depth from above where parent_id <> monitor_id
    group by monitor_id, parent_id order by monitor_id, max(depth) desc, parent_id
"""

_DOWN = """
    select monitor_id, monitor_name, id from health.incidents
    where monitor_id = any($1::bigint[]) and state <> 'resolved' and severity = 'down'
"""

# Of regions that live and that the monitor is checked from. A push monitor cannot be looked at, a paused one is not.
_LOOKS = """
    select m.id, m.name, coalesce(v.verdict, 'pending') as verdict,
           m.spec, s.vote_slot, s.vote, coalesce(s.last_check->>'outcome' = 'down', false) as failed
    from config.monitors m
    join health.monitor_state s on s.monitor_id = m.id
    join health.regions r on r.region = s.region and r.state = 'live'
    join config.regions c on c.name = s.region and c.enabled
    left join health.verdicts v on v.monitor_id = m.id
    where m.id = any($1::bigint[]) and m.enabled and m.deleted_at is null and m.type <> 'push'
      and (coalesce(jsonb_array_length(nullif(m.spec->'regions', 'null')), 0) = 0 or m.spec->'regions' ? s.region)
    order by m.id
"""


@dataclass(frozen=True, slots=True)
class Above:
    """`parents` of each monitor, the uppermost first; those that are `down`, and the `looks` at the others."""

    parents: Mapping[int, Sequence[int]] = field(default_factory=dict)
    down: Mapping[int, ParentDown] = field(default_factory=dict)
    looks: Mapping[int, ParentLooks] = field(default_factory=dict)

    def down_of(self, monitor_id: int) -> ParentDown | None:
        """The uppermost that is down."""
        return next((self.down[each] for each in self.parents.get(monitor_id, ()) if each in self.down), None)

    def looks_of(self, monitor_id: int) -> tuple[ParentLooks, ...]:
        return tuple(self.looks[each] for each in self.parents.get(monitor_id, ()) if each in self.looks)


async def load_above(connection: Connection, monitor_ids: Sequence[int]) -> Above:
    """Looks come first: who is found down between the two is known to be down."""
    if not monitor_ids:
        return Above()
    parents: dict[int, list[int]] = {}
    for row in await connection.fetch(_ABOVE, list(monitor_ids)):
        parents.setdefault(row["monitor_id"], []).append(row["parent_id"])
    wanted = sorted({each for found in parents.values() for each in found})
    looks = await _load_looks(connection, wanted)
    down = {
        row["monitor_id"]: ParentDown(row["monitor_id"], row["monitor_name"], row["id"])
        for row in await connection.fetch(_DOWN, wanted)
    }
    return Above(parents, down, {each: found for each, found in looks.items() if each not in down})


async def _load_looks(connection: Connection, monitor_ids: list[int]) -> dict[int, ParentLooks]:
    by_monitor: dict[int, list[Record]] = {}
    for row in await connection.fetch(_LOOKS, monitor_ids):
        by_monitor.setdefault(row["id"], []).append(row)
    looks = {each: _looks(rows) for each, rows in by_monitor.items()}
    return {each: found for each, found in looks.items() if found is not None}


def _looks(rows: Sequence[Record]) -> ParentLooks | None:
    """Of the rows of one monitor. None when it is of a newer version's making: nobody waits for what we cannot read."""
    first = rows[0]
    try:
        spec = read_stored_monitor(first["spec"])
    except ValidationError:
        return None
    return ParentLooks(
        monitor_id=first["id"],
        name=first["name"],
        verdict=first["verdict"],
        interval_ms=spec.interval_ms,
        longest_check_ms=round(1000 * spec.max_check_seconds),
        looks=tuple(Look(_milliseconds(row["vote_slot"]), row["vote"], row["failed"]) for row in rows),
    )


def _milliseconds(at: datetime) -> int:
    return round(at.timestamp() * 1000)
