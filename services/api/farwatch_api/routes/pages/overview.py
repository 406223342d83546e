"""The list of monitors."""

from collections.abc import Sequence
from typing import Annotated, Any
from urllib.parse import urlencode

from fastapi import APIRouter, Query, Request
from starlette.responses import Response

from farwatch_api.deps import Dependencies
from farwatch_api.errors import NotFound
from farwatch_api.params import Id, Words, split
from farwatch_api.queries.census import Census, page_of, take_census
from farwatch_api.queries.monitors import Filters, all_tags
from farwatch_api.queries.overview import bars_of, numbered_page, rows_by_id
from farwatch_api.queries.states import STATES
from farwatch_api.queries.system import read_system
from farwatch_api.queries.uptime import uptime_day
from farwatch_api.routes.pages.rendering import PageRoute, render, render_page
from farwatch_api.rows import Row
from farwatch_api.views import reason
from farwatch_events.monitor import MONITOR_TYPES
from farwatch_store import Connection

router = APIRouter(include_in_schema=False, route_class=PageRoute)

PAGE_SIZE = 50
LAST_PAGE = 100_000


def known(values: Sequence[str], allowed: Sequence[str]) -> list[str]:
    """A stale bookmark shows what it can instead of an error."""
    return [value for value in split(list(values)) if value in allowed]


def address(filters: Filters, page: int = 1, **changes: Any) -> str:
    """The list's address with these filters; `changes` replace some of them."""
    values = {"q": filters.q, "state": filters.states, "type": filters.types, "tag": filters.tags} | changes
    pairs = {k: ",".join(v) if isinstance(v, list | tuple) else v for k, v in values.items() if v}
    query = urlencode({**pairs, **({"page": page} if page > 1 else {})})
    return f"/?{query}" if query else "/"


async def describe_rows(connection: Connection, rows: Sequence[Row], deps: Dependencies) -> list[dict[str, Any]]:
    now = deps.now()
    bars = await bars_of(connection, rows, now) if rows else {}
    days = await uptime_day(connection, rows, now) if rows else {}
    return [
        {
            "id": row["id"],
            "name": row["name"],
            "type": row["type"],
            "spec": row["spec"],
            "tags": row["tags"],
            "state": row["state"],
            "since": row["since"],
            "reason": reason(row),
            "flapping": row["flapping"],
            "incident_id": row["incident_id"],
            "latency_ms": (row["last_check"] or {}).get("latency_ms"),
            "bar": bars[row["id"]],
            "uptime": days[row["id"]].uptime_percent(),
        }
        for row in rows
    ]


async def listed_page(connection: Connection, census: Census, states: Sequence[str], page: int) -> Sequence[Row]:
    """The rows of a page of some states, all when none is named. Whatever left them since the census is left out."""
    ids = await page_of(connection, census, states, (page - 1) * PAGE_SIZE, PAGE_SIZE)
    rows = await rows_by_id(connection, ids)
    return [row for row in rows if not states or row["state"] in states]


@router.get("/")
async def overview(
    request: Request,
    deps: Dependencies,
    q: Annotated[str, Query(max_length=200)] = "",
    state: Words = [],  # noqa: B006
    type: Words = [],  # noqa: A002, B006
    tag: Words = [],  # noqa: B006
    page: Annotated[int, Query(ge=1, le=LAST_PAGE)] = 1,
) -> Response:
    filters = Filters(q.strip() or None, known(state, STATES), known(type, list(MONITOR_TYPES)), split(tag))
    filtered = any((filters.q, filters.states, filters.types, filters.tags))
    live_since = deps.hub.position()
    async with deps.read() as connection:
        census = await deps.recent.get("census", take_census, connection)
        if filters.q or filters.types or filters.tags:
            rows, total, page = await numbered_page(connection, filters, page, PAGE_SIZE)
        else:
            total = census.number_of(filters.states)
            page = min(page, max(1, -(-total // PAGE_SIZE)))
            rows = await listed_page(connection, census, filters.states, page)
        monitors = await describe_rows(connection, rows, deps)
        counts = census.counts()
        tags = await deps.recent.get("tags", all_tags, connection)
    values: dict[str, Any] = {
        "live_since": live_since,
        "monitors": monitors,
        "counts": counts,
        "everything": sum(counts.values()),
        "filters": filters,
        "filtered": filtered,
        "tags": tags,
        "types": list(MONITOR_TYPES),
        "total": total,
        "page": page,
        "pages": max(1, -(-total // PAGE_SIZE)),
        "first": (page - 1) * PAGE_SIZE + 1,
        "address": lambda number=1, **changes: address(filters, number, **changes),
    }
    return await render_page(request, deps, "monitors/list.html", **values)


@router.get("/monitors/{monitor_id}/row")
async def monitor_row(request: Request, deps: Dependencies, monitor_id: Id) -> Response:
    """One row of the list, after its state changed."""
    async with deps.read() as connection:
        rows = await rows_by_id(connection, [monitor_id])
        if not rows:
            raise NotFound("monitor")
        monitors = await describe_rows(connection, rows, deps)
    return render(request, "monitors/_row.html", monitor=monitors[0])


@router.get("/system-line")
async def system_line(request: Request, deps: Dependencies) -> Response:
    """What every page says when Farwatch itself is unwell; asked again by pages that stay open."""
    async with deps.read() as connection:
        system = await read_system(deps, connection)
    return render(request, "partials/system.html", system=system)
