"""The list of incidents and the page of one."""

from typing import Annotated

from fastapi import APIRouter, Query, Request
from starlette.responses import Response

from farwatch_api import views
from farwatch_api.deps import Dependencies
from farwatch_api.params import Cursor, Id
from farwatch_api.queries.cursors import LARGEST_BIGINT
from farwatch_api.queries.incidents import list_incidents
from farwatch_api.routes.incidents import describe
from farwatch_api.routes.pages.rendering import PageRoute, render_page

router = APIRouter(include_in_schema=False, route_class=PageRoute)

PAGE_SIZE = 30
UNRESOLVED = ("open", "acknowledged")


@router.get("/incidents")
async def incidents_page(
    request: Request,
    deps: Dependencies,
    severity: Annotated[str, Query(max_length=16)] = "",
    monitor: Annotated[int | None, Query(ge=1, le=LARGEST_BIGINT)] = None,
    told: Annotated[str, Query(max_length=200)] = "",
    cursor: Cursor = None,
) -> Response:
    """What is open stands first, whatever its age; what is over follows, newest first. `told`: the key of a message."""
    wanted = severity if severity in ("down", "degraded") else None
    now = deps.now()
    async with deps.read() as connection:
        unresolved, _ = await list_incidents(
            connection, states=UNRESOLVED, severity=wanted, monitor_id=monitor, told_by=told or None, limit=200
        )
        over, next_cursor = await list_incidents(
            connection,
            states=["resolved"],
            severity=wanted,
            monitor_id=monitor,
            told_by=told or None,
            limit=PAGE_SIZE,
            cursor=cursor,
        )
    return await render_page(
        request,
        deps,
        "incidents/list.html",
        unresolved=[] if cursor else [views.incident(row, now) for row in unresolved],
        over=[views.incident(row, now) for row in over],
        next_cursor=next_cursor,
        is_first=cursor is None,
        severity=wanted,
        monitor_id=monitor,
        told=told,
    )


@router.get("/incidents/{incident_id}")
async def incident_page(request: Request, deps: Dependencies, incident_id: Id) -> Response:
    incident = await describe(deps, incident_id)
    async with deps.read() as connection:
        monitor = await connection.fetchrow(
            "select id, name, deleted_at from config.monitors where id = $1", incident["monitor_id"]
        )
    return await render_page(request, deps, "incidents/page.html", incident=incident, monitor=monitor)
