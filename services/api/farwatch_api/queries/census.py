"""Which monitors are in which state, at a cost that grows with those that are not up.

Nearly all are up nearly always. The others are listed; those that are up are only counted, and the few of them that a
page shows are looked up in the order of their names.
"""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain

from farwatch_api.queries.states import RANK, STATE, STATES, current_windows
from farwatch_store import Connection

# All that may be in another state than up; the state itself is STATE's to say. Indexes find each but the last, for
# which the ids of both tables are compared, a third of a microsecond each.
_CANDIDATES = """
    with candidates as (
        select monitor_id as id from health.verdicts where verdict <> 'up'
        union select id from config.monitors where deleted_at is null and not enabled
        union select id from config.monitors where deleted_at is null and id = any($2::bigint[])
        union select id from config.monitors where deleted_at is null and tags && $3::text[]
        union select id from config.monitors where deleted_at is null and $1::boolean
        union select id from config.monitors m where deleted_at is null
            and not exists (select from health.verdicts v where v.monitor_id = m.id)
    )
"""
_FROM = """
    from candidates join config.monitors m using (id) left join health.verdicts v on v.monitor_id = m.id
    where m.deleted_at is null
"""

_NOT_UP = f"{_CANDIDATES} select m.id, {STATE} as state {_FROM} order by {RANK}, lower(m.name), m.id"
_NUMBERS = f"{_CANDIDATES} select {STATE} as state, count(*) as number {_FROM} group by 1"
_TOTAL = "select count(*) from config.monitors where deleted_at is null"

# Whatever the census did not list, so that each monitor is on one page, also what went down since.
_UP = """
    select id from config.monitors where deleted_at is null and id <> all($1::bigint[])
    order by lower(name), id offset $2 limit $3
"""


@dataclass(frozen=True, slots=True)
class Stretch:
    """Of the monitors that are up, by name."""

    offset: int
    limit: int


@dataclass(frozen=True, slots=True)
class Census:
    """`listed` are the ids of every state but up, each by name; `up` is how many are up."""

    listed: Mapping[str, Sequence[int]]
    up: int

    def counts(self) -> dict[str, int]:
        """Every state named, worst first."""
        return {state: self.up if state == "up" else len(self.listed[state]) for state in STATES}

    def number_of(self, states: Collection[str]) -> int:
        """How many are in one of these states; no state means any."""
        return sum(number for state, number in self.counts().items() if not states or state in states)

    def cut(self, states: Collection[str], offset: int, limit: int) -> Iterator[Sequence[int] | Stretch]:
        """What a list of these states, worst first, shows from `offset` on: ids, and a stretch of those that are up."""
        for state, number in self.counts().items():
            if states and state not in states:
                continue
            first, last = min(offset, number), min(offset + limit, number)
            if first < last:
                yield Stretch(first, last - first) if state == "up" else self.listed[state][first:last]
            offset, limit = offset - first, limit - (last - first)


async def take_census(connection: Connection) -> Census:
    windows = await current_windows(connection)
    listed: dict[str, list[int]] = {state: [] for state in STATES if state != "up"}
    total: int = await connection.fetchval(_TOTAL)
    for row in await connection.fetch(_NOT_UP, *windows.arguments()):
        if row["state"] != "up":
            listed[row["state"]].append(row["id"])
    return Census(listed, max(0, total - sum(map(len, listed.values()))))


async def counts_by_state(connection: Connection) -> dict[str, int]:
    """How many monitors are in each state, every state named."""
    windows = await current_windows(connection)
    total: int = await connection.fetchval(_TOTAL)
    rows = await connection.fetch(_NUMBERS, *windows.arguments())
    found = {row["state"]: row["number"] for row in rows if row["state"] != "up"}
    found["up"] = max(0, total - sum(found.values()))
    return {state: found.get(state, 0) for state in STATES}


async def page_of(
    connection: Connection, census: Census, states: Collection[str], offset: int, limit: int
) -> list[int]:
    """The ids of a page as the census had them, worst first."""
    found: list[int] = []
    for piece in census.cut(states, offset, limit):
        if isinstance(piece, Stretch):
            others = list(chain.from_iterable(census.listed.values()))
            found += [row["id"] for row in await connection.fetch(_UP, others, piece.offset, piece.limit)]
        else:
            found += piece
    return found
