"""Maintenance windows: the state shows it, incidents open in silence."""

from datetime import datetime
from functools import partial
from typing import Any

from fastapi import APIRouter, Request
from starlette.responses import Response

from farwatch_api import views
from farwatch_api.bodies import documented, json_object
from farwatch_api.commands import maintenance as commands
from farwatch_api.commands.maintenance import MaintenanceBody
from farwatch_api.deps import Dependencies, Deps, Requester
from farwatch_api.envelope import success
from farwatch_api.errors import NotFound
from farwatch_api.params import Cursor, Id, Limit
from farwatch_api.routes.spans import phase, span_page
from farwatch_api.rows import Row

router = APIRouter(prefix="/api/maintenance", tags=["maintenance"])
_BODY = documented(MaintenanceBody)

_PAGE = """
    select * from config.maintenance where series_id is null and ($1::bigint is null or id < $1)
    order by id desc limit $2
"""


def describe(row: Row, now: datetime) -> dict[str, Any]:
    return {
        "id": row["id"],
        "name": row["name"],
        "state": phase(row, now),
        "all_monitors": row["all_monitors"],
        "monitor_ids": list(row["monitor_ids"]),
        "tags": list(row["tags"]),
        "weekly": row["weekly"],
        "until": views.moment(row["until"]),
        "starts_at": views.moment(row["starts_at"]),
        "ends_at": views.moment(row["ends_at"]),
        "created_at": views.moment(row["created_at"]),
        "cancelled_at": views.moment(row["cancelled_at"]),
    }


async def read(deps: Deps, window_id: int) -> dict[str, Any]:
    async with deps.read() as connection:
        row = await connection.fetchrow("select * from config.maintenance where id = $1", window_id)
    if row is None:
        raise NotFound("maintenance window")
    return describe(row, deps.now())


@router.get("", summary="Maintenance windows, newest first")
async def get_windows(deps: Dependencies, limit: Limit = 100, cursor: Cursor = None) -> Response:
    return success(await span_page(deps, "maintenance", _PAGE, partial(describe, now=deps.now()), limit, cursor))


@router.post("", status_code=201, summary="Schedule a window", openapi_extra=_BODY)
async def post_window(request: Request, deps: Dependencies, identity: Requester) -> Response:
    window_id = await commands.schedule(deps, identity, await json_object(request))
    return success(await read(deps, window_id), "Maintenance scheduled.", 201)


@router.get("/{window_id}", summary="One window")
async def get_window(deps: Dependencies, window_id: Id) -> Response:
    return success(await read(deps, window_id))


@router.put("/{window_id}", summary="Replace a window", openapi_extra=_BODY)
async def put_window(request: Request, deps: Dependencies, identity: Requester, window_id: Id) -> Response:
    await commands.change(deps, identity, window_id, await json_object(request), partly=False)
    return success(await read(deps, window_id), "Maintenance saved.")


@router.patch("/{window_id}", summary="Change some fields of a window", openapi_extra=_BODY)
async def patch_window(request: Request, deps: Dependencies, identity: Requester, window_id: Id) -> Response:
    await commands.change(deps, identity, window_id, await json_object(request), partly=True)
    return success(await read(deps, window_id), "Maintenance saved.")


@router.delete("/{window_id}", summary="Cancel a window, or end one that has begun")
async def delete_window(deps: Dependencies, identity: Requester, window_id: Id) -> Response:
    await commands.cancel(deps, identity, window_id)
    return success(await read(deps, window_id), "Maintenance cancelled.")
