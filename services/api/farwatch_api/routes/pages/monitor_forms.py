"""Adding, editing and cloning a monitor: the form alone, REST takes what it holds."""

from typing import Annotated, Any

from fastapi import APIRouter, Query, Request
from starlette.responses import Response

from farwatch_api.commands.specs import shown
from farwatch_api.deps import Dependencies, Deps
from farwatch_api.errors import NotFound
from farwatch_api.params import Id
from farwatch_api.presentation.monitor_fields import form_values
from farwatch_api.queries.cursors import LARGEST_BIGINT
from farwatch_api.queries.monitors import read_monitor
from farwatch_api.queries.settings import list_channels, monitor_names, region_names
from farwatch_api.routes.pages.rendering import PageRoute, render_page
from farwatch_events.monitor import MONITOR_TYPES

router = APIRouter(include_in_schema=False, route_class=PageRoute)


async def read_spec(deps: Deps, monitor_id: int) -> dict[str, Any]:
    """The specification with masked secrets. Raises NotFound."""
    async with deps.read() as connection:
        row = await read_monitor(connection, monitor_id)
    if row is None:
        raise NotFound("monitor")
    return {**shown(row["spec"]), "enabled": row["enabled"], "tags": list(row["tags"])}


async def render_form(
    request: Request, deps: Deps, spec: dict[str, Any], monitor_id: int | None = None, clone: int | None = None
) -> Response:
    async with deps.read() as connection:
        channels, regions = await list_channels(connection), await region_names(connection)
        others = await monitor_names(connection)
    values = {
        "channels": channels,
        "regions": regions,
        "parents": [other for other in others if other["id"] != monitor_id],
        "monitor_id": monitor_id,
        "clone": clone,
    }
    return await render_page(request, deps, "monitors/form.html", **form_values(spec), **values)


@router.get("/monitors/new")
async def new_monitor(
    request: Request,
    deps: Dependencies,
    clone: Annotated[int | None, Query(ge=1, le=LARGEST_BIGINT)] = None,
    type: Annotated[str, Query(max_length=16)] = "http",  # noqa: A002
    target: Annotated[str, Query(max_length=4096)] = "",
) -> Response:
    if clone is not None:
        spec = await read_spec(deps, clone)
        return await render_form(request, deps, {**spec, "name": f"{spec['name']} copy"}, clone=clone)
    spec = {"type": type if type in MONITOR_TYPES else "http", "url": target, "host": target}
    return await render_form(request, deps, spec)


@router.get("/monitors/{monitor_id}/edit")
async def edit_monitor(request: Request, deps: Dependencies, monitor_id: Id) -> Response:
    spec = await read_spec(deps, monitor_id)
    return await render_form(request, deps, spec, monitor_id)
