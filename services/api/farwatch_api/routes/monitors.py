"""Monitors: what is watched and how it is."""

from collections.abc import Sequence
from typing import Annotated

from fastapi import APIRouter, Query, Request
from starlette.responses import Response

from farwatch_api import views
from farwatch_api.auth.identity import Identity
from farwatch_api.bodies import documented, json_object
from farwatch_api.checking import check_now
from farwatch_api.commands import monitors as commands
from farwatch_api.deps import Dependencies, Deps, Requester, base_url
from farwatch_api.envelope import page, success
from farwatch_api.errors import NotFound
from farwatch_api.params import Cursor, Id, Limit, RegionFilter, Words, one_of, split
from farwatch_api.queries.cursors import LARGEST_BIGINT
from farwatch_api.queries.monitors import Filters, Sort, list_monitors, read_monitor, regions_of_monitor
from farwatch_api.queries.states import STATES
from farwatch_api.queries.uptime import uptime_day, uptime_periods
from farwatch_api.rows import Row
from farwatch_events.monitor import MONITOR_TYPES
from farwatch_store import Connection

router = APIRouter(prefix="/api/monitors", tags=["monitors"])
_BODY = documented(list(MONITOR_TYPES.values()))


@router.get("", summary="List monitors")
async def get_monitors(
    request: Request,
    deps: Dependencies,
    identity: Requester,
    q: Annotated[str | None, Query(max_length=200, description="Part of the name, URL or host")] = None,
    state: Words = [],  # noqa: B006
    type: Words = [],  # noqa: A002, B006
    tag: Words = [],  # noqa: B006
    region: RegionFilter = None,
    sort: Annotated[Sort, Query(description="`worst` begins with what is down")] = "id",
    limit: Limit = 50,
    cursor: Cursor = None,
) -> Response:
    filters = Filters(
        q, one_of("state", split(state), STATES), one_of("type", split(type), MONITOR_TYPES), split(tag), region
    )
    async with deps.read() as connection:
        rows, next_cursor = await list_monitors(connection, filters, sort, limit, cursor)
        items = await describe_many(request, deps, identity, connection, rows)
    return success(page(items, next_cursor))


async def describe_many(
    request: Request, deps: Deps, identity: Identity, connection: Connection, rows: Sequence[Row]
) -> list[dict[str, object]]:
    """Monitors as they are answered in lists, with the uptime of the last day."""
    days = await uptime_day(connection, rows, deps.now()) if rows else {}
    url, may_write = base_url(request, deps), identity.scope == "write"
    return [
        views.monitor(row, {"24h": views.rounded(days[row["id"]].uptime_percent(), 4)}, url, may_write=may_write)
        for row in rows
    ]


async def describe_one(request: Request, deps: Deps, identity: Identity, monitor_id: int) -> dict[str, object]:
    """One monitor with every period of uptime and each region's vote. Raises NotFound."""
    async with deps.read() as connection:
        row = await read_monitor(connection, monitor_id)
        if row is None:
            raise NotFound("monitor")
        periods = await uptime_periods(connection, row, deps.now())
        regions = await regions_of_monitor(connection, monitor_id)
    uptime = {name: period["uptime_percent"] for name, period in periods.items()}
    answer = views.monitor(row, uptime, base_url(request, deps), may_write=identity.scope == "write")
    answer["votes"] = [
        {
            "region": each["region"],
            "vote": each["vote"],
            "slot": views.moment(each["vote_slot"]),
            "last_check": each["last_check"],
        }
        for each in regions
    ]
    return answer


@router.post("", status_code=201, summary="Create a monitor", openapi_extra=_BODY)
async def post_monitor(
    request: Request,
    deps: Dependencies,
    identity: Requester,
    clone_of: Annotated[
        int | None, Query(ge=1, le=LARGEST_BIGINT, description="Masked secrets are those of this monitor")
    ] = None,
) -> Response:
    monitor_id = await commands.create_monitor(deps, identity, await json_object(request), clone_of)
    return success(await describe_one(request, deps, identity, monitor_id), "Monitor created.", 201)


@router.get("/{monitor_id}", summary="One monitor")
async def get_monitor(request: Request, deps: Dependencies, identity: Requester, monitor_id: Id) -> Response:
    return success(await describe_one(request, deps, identity, monitor_id))


@router.put("/{monitor_id}", summary="Replace a monitor", openapi_extra=_BODY)
async def put_monitor(request: Request, deps: Dependencies, identity: Requester, monitor_id: Id) -> Response:
    await commands.replace_monitor(deps, identity, monitor_id, await json_object(request))
    return success(await describe_one(request, deps, identity, monitor_id), "Monitor saved.")


@router.patch("/{monitor_id}", summary="Change some fields of a monitor", openapi_extra=_BODY)
async def patch_monitor(request: Request, deps: Dependencies, identity: Requester, monitor_id: Id) -> Response:
    await commands.patch_monitor(deps, identity, monitor_id, await json_object(request))
    return success(await describe_one(request, deps, identity, monitor_id), "Monitor saved.")


@router.delete("/{monitor_id}", summary="Delete a monitor; its open incident is closed as deleted")
async def delete_monitor(deps: Dependencies, identity: Requester, monitor_id: Id) -> Response:
    await commands.delete_monitor(deps, identity, monitor_id)
    return success({"id": monitor_id}, "Monitor deleted.")


@router.post("/{monitor_id}/pause", summary="Stop checking")
async def pause_monitor(request: Request, deps: Dependencies, identity: Requester, monitor_id: Id) -> Response:
    changed = await commands.set_enabled(deps, identity, monitor_id, enabled=False)
    message = "Monitor paused." if changed else "The monitor was paused already."
    return success(await describe_one(request, deps, identity, monitor_id), message)


@router.post("/{monitor_id}/resume", summary="Check again, beginning at pending")
async def resume_monitor(request: Request, deps: Dependencies, identity: Requester, monitor_id: Id) -> Response:
    changed = await commands.set_enabled(deps, identity, monitor_id, enabled=True)
    message = "Monitor resumed." if changed else "The monitor was running already."
    return success(await describe_one(request, deps, identity, monitor_id), message)


@router.post("/{monitor_id}/content-guard/accept", summary="Accept the page as it is now")
async def post_content_accepted(request: Request, deps: Dependencies, identity: Requester, monitor_id: Id) -> Response:
    await commands.accept_content(deps, identity, monitor_id)
    answer = await describe_one(request, deps, identity, monitor_id)
    return success(answer, "Accepted: what was new belongs to the page from the next check on.")


@router.post("/{monitor_id}/check", summary="Check now: one try in each region", openapi_extra={"requestBody": {}})
async def post_check(deps: Dependencies, monitor_id: Id, region: Words = []) -> Response:  # noqa: B006
    return await check_now(deps, monitor_id, split(region))
