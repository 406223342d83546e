"""Lists of monitors and single ones, from config.monitors and health.verdicts alone: never from results."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

from farwatch_api.queries.cursors import decode_cursor, encode_cursor
from farwatch_api.queries.states import RANK, STATE, current_windows
from farwatch_api.rows import Row
from farwatch_store import Connection

Sort = Literal["id", "name", "worst"]

# The newest result of any region; last_check carries its slot as RFC 3339 text, which sorts as it should.
_LAST_CHECK = """
    left join lateral (
        select s.last_check from health.monitor_state s
        where s.monitor_id = m.id and s.last_check is not null
        order by s.last_check->>'slot' desc, s.region limit 1
    ) as newest on true
"""

_COLUMNS = f"""
    m.id, m.name, m.type, m.enabled, m.spec, m.tags, m.push_token, m.config_version, m.created_at, m.updated_at,
    {STATE} as state, v.verdict, v.since, coalesce(v.reason, '') as reason, v.incident_id,
    coalesce(v.flapping, false) as flapping, newest.last_check
"""

# Ids are found on narrow columns first; specifications and last checks are read for the rows of the page only.
_PAGE = """
    with page as materialized (
        select m.id, {rank} as rank, lower(m.name) as sort_name
        from config.monitors m left join health.verdicts v on v.monitor_id = m.id
        where m.deleted_at is null
            and ($4::text is null or m.name ilike $4 or m.spec->>'url' ilike $4 or m.spec->>'host' ilike $4)
            and ($5::text[] is null or {state} = any($5))
            and ($6::text[] is null or m.type = any($6))
            and ($7::text[] is null or m.tags @> $7)
            and ($8::text is null or m.spec->'regions' = '[]'::jsonb or m.spec->'regions' ? $8)
            and ({keyset})
        order by {order} limit $9
    )
    select page.rank, page.sort_name, {columns}
    from page join config.monitors m on m.id = page.id left join health.verdicts v on v.monitor_id = m.id
    {last_check}
    order by {page_order}
"""

_KEYSETS: dict[Sort, tuple[str, str, str, tuple[type, ...]]] = {
    "id": ("$10::bigint is null or m.id > $10", "m.id", "page.id", (int,)),
    "name": (
        "$10::text is null or (lower(m.name), m.id) > ($10, $11::bigint)",
        "lower(m.name), m.id",
        "page.sort_name, page.id",
        (str, int),
    ),
    "worst": (
        f"$10::int is null or ({RANK}, lower(m.name), m.id) > ($10, $11::text, $12::bigint)",
        f"{RANK}, lower(m.name), m.id",
        "page.rank, page.sort_name, page.id",
        (int, str, int),
    ),
}
_CURSOR_COLUMNS: dict[Sort, tuple[str, ...]] = {
    "id": ("id",),
    "name": ("sort_name", "id"),
    "worst": ("rank", "sort_name", "id"),
}

_PAGES: dict[Sort, str] = {
    sort: _PAGE.format(
        rank=RANK,
        state=STATE,
        keyset=keyset,
        order=order,
        columns=_COLUMNS,
        last_check=_LAST_CHECK,
        page_order=page_order,
    )
    for sort, (keyset, order, page_order, _) in _KEYSETS.items()
}

_ONE = f"""
    select {_COLUMNS}, coalesce(v.votes, '[]') as votes
    from config.monitors m left join health.verdicts v on v.monitor_id = m.id {_LAST_CHECK}
    where m.id = $4 and m.deleted_at is null
"""  # noqa: S608

_REGIONS = """
    select region, vote, vote_slot, last_check from health.monitor_state where monitor_id = $1 order by region
"""

# Monitors carry few different sets of tags: counting those first halves the time at 20,000 monitors.
_TAGS = """
    select tag, sum(number)::bigint as number
    from (select tags, count(*) as number from config.monitors where deleted_at is null group by tags) m,
        unnest(m.tags) as tag
    group by tag order by tag limit 1000
"""


@dataclass(frozen=True, slots=True)
class Filters:
    """What a list shows. None and empty mean: all."""

    q: str | None = None
    states: Sequence[str] = ()
    types: Sequence[str] = ()
    tags: Sequence[str] = ()
    region: str | None = None

    def arguments(self) -> list[Any]:
        return [
            contains_pattern(self.q) if self.q else None,
            list(self.states) or None,
            list(self.types) or None,
            list(self.tags) or None,
            self.region,
        ]


def contains_pattern(text: str) -> str:
    """ILIKE pattern for "contains this text", whatever signs are in it."""
    escaped = text.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")
    return f"%{escaped}%"


async def list_monitors(
    connection: Connection, filters: Filters, sort: Sort, limit: int, cursor: str | None
) -> tuple[Sequence[Row], str | None]:
    """Rows of one page and the cursor of the next, None at the end. Raises Invalid for a foreign cursor."""
    types = _KEYSETS[sort][3]
    after = decode_cursor(f"monitors:{sort}", cursor, types) or [None] * len(types)
    windows = await current_windows(connection)
    rows: Sequence[Row] = await connection.fetch(
        _PAGES[sort], *windows.arguments(), *filters.arguments(), limit + 1, *after
    )
    if len(rows) <= limit:
        return rows, None
    rows = rows[:limit]
    last = [rows[-1][column] for column in _CURSOR_COLUMNS[sort]]
    return rows, encode_cursor(f"monitors:{sort}", last)


async def read_monitor(connection: Connection, monitor_id: int) -> Row | None:
    windows = await current_windows(connection)
    row: Row | None = await connection.fetchrow(_ONE, *windows.arguments(), monitor_id)
    return row


async def regions_of_monitor(connection: Connection, monitor_id: int) -> Sequence[Row]:
    """Each region's vote and last check."""
    rows: Sequence[Row] = await connection.fetch(_REGIONS, monitor_id)
    return rows


async def all_tags(connection: Connection) -> dict[str, int]:
    """Tags in use with the number of monitors that carry each."""
    return {row["tag"]: row["number"] for row in await connection.fetch(_TAGS)}
