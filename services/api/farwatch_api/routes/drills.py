"""Fire drills: does an alert reach a human, and how long does it take?"""

from collections.abc import Sequence
from typing import Any

from fastapi import APIRouter, Request
from starlette.responses import Response

from farwatch_api import views
from farwatch_api.bodies import documented, json_object
from farwatch_api.commands import drills as commands
from farwatch_api.commands.drills import DrillBody
from farwatch_api.deps import Dependencies, Deps, Requester
from farwatch_api.envelope import success
from farwatch_api.errors import NotFound
from farwatch_api.params import Cursor, Id, Limit
from farwatch_api.queries import alerting as queries
from farwatch_api.routes.spans import span_page
from farwatch_api.rows import Row
from farwatch_store import Connection

router = APIRouter(prefix="/api/drills", tags=["policies"])
_PAGE = "select * from config.drills where $1::bigint is null or id < $1 order by id desc limit $2"


def describe(row: Row) -> dict[str, Any]:
    acknowledged, ended = row["acknowledged_at"], row["ended_at"]
    return {
        "id": row["id"],
        "state": "running" if ended is None else ("acknowledged" if acknowledged is not None else "missed"),
        "monitor_id": row["monitor_id"],
        "monitor_name": row["monitor_name"],
        "severity": row["severity"],
        "started_by": row["started_by"],
        "started_at": views.moment(row["started_at"]),
        "expires_at": views.moment(row["expires_at"]),
        "acknowledged_at": views.moment(acknowledged),
        "acknowledged_by": row["acknowledged_by"],
        "ended_at": views.moment(ended),
        "seconds_to_acknowledgement": _seconds(row["started_at"], acknowledged),
    }


def _seconds(start: Any, end: Any) -> float | None:
    return None if end is None else round((end - start).total_seconds(), 3)


async def read(deps: Deps, drill_id: int) -> dict[str, Any]:
    """With what was sent: `seconds_to_delivery` is how long the first message took."""
    async with deps.read() as connection:
        row = await connection.fetchrow("select * from config.drills where id = $1", drill_id)
        if row is None:
            raise NotFound("drill")
        return await describe_fully(connection, row)


async def newest(connection: Connection, limit: int) -> Sequence[Row]:
    rows: Sequence[Row] = await connection.fetch(_PAGE, None, limit)
    return rows


async def describe_fully(connection: Connection, row: Row) -> dict[str, Any]:
    deliveries = await queries.deliveries_of(connection, f"drill-{row['id']}")
    first = min((each["delivered_at"] for each in deliveries if each["delivered_at"] is not None), default=None)
    return {
        **describe(row),
        "seconds_to_delivery": _seconds(row["started_at"], first),
        "deliveries": [views.delivery(each) for each in deliveries],
    }


@router.get("", summary="Drills, newest first")
async def get_drills(deps: Dependencies, limit: Limit = 100, cursor: Cursor = None) -> Response:
    return success(await span_page(deps, "drills", _PAGE, describe, limit, cursor))


@router.post("", status_code=201, summary="Start a fire drill", openapi_extra=documented(DrillBody))
async def post_drill(request: Request, deps: Dependencies, identity: Requester) -> Response:
    drill_id = await commands.start_drill(deps, identity, await json_object(request))
    return success(await read(deps, drill_id), "Drill started.", 201)


@router.get("/{drill_id}", summary="One drill: who was told and how long it took")
async def get_drill(deps: Dependencies, drill_id: Id) -> Response:
    return success(await read(deps, drill_id))


@router.post("/{drill_id}/acknowledge", summary="Acknowledge a drill, which ends it")
async def acknowledge(deps: Dependencies, identity: Requester, drill_id: Id) -> Response:
    await commands.acknowledge_drill(deps, identity.meta, drill_id)
    return success(await read(deps, drill_id), "Drill acknowledged.")


@router.delete("/{drill_id}", summary="End a drill without an acknowledgement")
async def delete_drill(deps: Dependencies, identity: Requester, drill_id: Id) -> Response:
    await commands.end_drill(deps, identity.meta, drill_id, f"ended by {identity.known_as}")
    return success(await read(deps, drill_id), "Drill ended.")
