"""One numbered page of the dashboard's list, worst first, with how many match in all."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from farwatch_api.presentation.beats import BEATS, Bar, combine, pack
from farwatch_api.queries.checks import last_results
from farwatch_api.queries.monitors import Filters
from farwatch_api.queries.states import RANK, STATE, current_windows, windows_since
from farwatch_api.queries.uptime import touching
from farwatch_api.rows import Row
from farwatch_store import Connection

# Numbers of pages need an offset; ten thousand narrow rows are sorted in a few milliseconds.
_PAGE = f"""
    with page as materialized (
        select m.id, {RANK} as rank, lower(m.name) as sort_name, count(*) over () as total
        from config.monitors m left join health.verdicts v on v.monitor_id = m.id
        where m.deleted_at is null
            and ($4::text is null or m.name ilike $4 or m.spec->>'url' ilike $4 or m.spec->>'host' ilike $4)
            and ($5::text[] is null or {STATE} = any($5))
            and ($6::text[] is null or m.type = any($6))
            and ($7::text[] is null or m.tags @> $7)
            and ($8::text is null or m.spec->'regions' = '[]'::jsonb or m.spec->'regions' ? $8)
        order by 2, 3, 1 limit $9 offset $10
    )
    select page.total, m.id, m.name, m.type, m.enabled, m.spec, m.tags, m.created_at, {STATE} as state, v.verdict,
        v.since, coalesce(v.reason, '') as reason, v.incident_id, coalesce(v.flapping, false) as flapping,
        newest.last_check
    from page join config.monitors m on m.id = page.id left join health.verdicts v on v.monitor_id = m.id
    left join lateral (
        select s.last_check from health.monitor_state s where s.monitor_id = m.id and s.last_check is not null
        order by s.last_check->>'slot' desc, s.region limit 1
    ) as newest on true
    order by page.rank, page.sort_name, page.id
"""  # noqa: S608


async def numbered_page(
    connection: Connection, filters: Filters, page: int, size: int
) -> tuple[Sequence[Row], int, int]:
    """Rows, how many match, and the number of the page shown: the last one when there are not so many."""
    windows = await current_windows(connection)
    arguments = (*windows.arguments(), *filters.arguments(), size)
    rows = await connection.fetch(_PAGE, *arguments, (page - 1) * size)
    if rows or page == 1:
        return rows, rows[0]["total"] if rows else 0, page
    first = await connection.fetch(_PAGE, *arguments, 0)
    last = max(1, -(-first[0]["total"] // size)) if first else 1
    rows = first if last == 1 else await connection.fetch(_PAGE, *arguments, (last - 1) * size)
    return rows, rows[0]["total"] if rows else 0, last


_BY_ID = _PAGE.replace("m.deleted_at is null", "m.deleted_at is null and m.id = any($11::bigint[])")


async def rows_by_id(connection: Connection, monitor_ids: Sequence[int]) -> Sequence[Row]:
    windows = await current_windows(connection)
    rows: Sequence[Row] = await connection.fetch(
        _BY_ID, *windows.arguments(), *Filters().arguments(), len(monitor_ids), 0, list(monitor_ids)
    )
    return rows


async def bars_of(connection: Connection, monitors: Sequence[Row], now: datetime) -> dict[int, Bar]:
    found = await last_results(connection, [monitor["id"] for monitor in monitors], BEATS, now)
    oldest = min((rows[0]["slot"] for regions in found.values() for rows in regions.values()), default=None)
    windows = await windows_since(connection, oldest) if oldest else []
    return {
        monitor["id"]: pack(combine(found[monitor["id"]], touching(windows, monitor["id"], monitor["tags"])))
        for monitor in monitors
    }


_WELL = """
    select (select count(*) from config.regions c left join health.regions h on h.region = c.name
            where c.name <> 'push' and h.state is distinct from 'live') as ailing_regions,
        (select count(*) from config.regions where name <> 'push') as regions,
        (select count(*) from health.verdicts v join config.monitors m on m.id = v.monitor_id
            where v.verdict = 'down' and m.enabled and m.deleted_at is null) as down
"""


async def standing(connection: Connection) -> dict[str, Any]:
    """What the frame of every page says: how many monitors are down, and whether a region of ours is unwell."""
    row = await connection.fetchrow(_WELL)
    return dict(row) if row else {"ailing_regions": 0, "regions": 0, "down": 0}
