"""The page of one monitor."""

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from fastapi import APIRouter, Request
from starlette.responses import Response

from farwatch_api import views
from farwatch_api.deps import Dependencies, Deps, Requester
from farwatch_api.errors import NotFound
from farwatch_api.params import Id
from farwatch_api.presentation.guard import GuardView, guard_view
from farwatch_api.queries.checks import raw_checks
from farwatch_api.queries.guard import content_accepted_at
from farwatch_api.queries.incidents import list_incidents
from farwatch_api.queries.monitors import read_monitor
from farwatch_api.queries.overview import bars_of
from farwatch_api.queries.uptime import uptime_periods
from farwatch_api.routes.monitors import describe_one
from farwatch_api.routes.pages.rendering import PageRoute, render_page

router = APIRouter(include_in_schema=False, route_class=PageRoute)

CHECKS_SHOWN = 15
INCIDENTS_SHOWN = 6


@router.get("/monitors/{monitor_id}")
async def monitor_page(request: Request, deps: Dependencies, identity: Requester, monitor_id: Id) -> Response:
    live_since = deps.hub.position()
    monitor = await describe_one(request, deps, identity, monitor_id)
    history = await read_history(deps, monitor_id)
    guard = await read_guard(deps, monitor)
    return await render_page(
        request, deps, "monitors/page.html", monitor=monitor, guard=guard, live_since=live_since, **history
    )


async def read_guard(deps: Deps, monitor: Mapping[str, Any]) -> GuardView:
    if not monitor.get("content_guard"):
        return GuardView("off")
    async with deps.read() as connection:
        accepted_at = await content_accepted_at(connection, monitor["id"])
    return guard_view(monitor["votes"], accepted_at)


async def read_history(deps: Deps, monitor_id: int) -> dict[str, Any]:
    """Raises NotFound."""
    now = deps.now()
    async with deps.read() as connection:
        row = await read_monitor(connection, monitor_id)
        if row is None:
            raise NotFound("monitor")
        since = now - timedelta(days=deps.settings.keep_raw_days)
        checks, _ = await raw_checks(connection, monitor_id, since, None, CHECKS_SHOWN, None)
        incidents, _ = await list_incidents(connection, monitor_id=monitor_id, limit=INCIDENTS_SHOWN)
        bars = await bars_of(connection, [row], now)
        periods = await uptime_periods(connection, row, now)
    return {
        "checks": [views.check(check) for check in checks],
        "incidents": [views.incident(incident, now) for incident in incidents],
        "bar": bars[monitor_id],
        "periods": periods,
        "age_hours": (now - row["created_at"]).total_seconds() / 3600,
    }
