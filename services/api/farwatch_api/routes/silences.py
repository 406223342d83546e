"""Silences: nobody is told of what fits, for a while; checking and history go on."""

from datetime import datetime
from functools import partial
from typing import Any

from fastapi import APIRouter, Request
from starlette.responses import Response

from farwatch_api import views
from farwatch_api.bodies import documented, json_object
from farwatch_api.commands import policies as commands
from farwatch_api.deps import Dependencies, Deps, Requester
from farwatch_api.envelope import success
from farwatch_api.errors import NotFound
from farwatch_api.params import Cursor, Id, Limit
from farwatch_api.routes.spans import phase, span_page
from farwatch_api.rows import Row
from farwatch_events.policies import Silence
from farwatch_store import Connection

router = APIRouter(prefix="/api/silences", tags=["policies"])
_BODY = documented(Silence)
_PAGE = "select * from config.silences where $1::bigint is null or id < $1 order by id desc limit $2"


def describe(row: Row, now: datetime) -> dict[str, Any]:
    return {
        "id": row["id"],
        "state": phase(row, now),
        "match": row["match"],
        "reason": row["reason"],
        "created_by": row["created_by"],
        "starts_at": views.moment(row["starts_at"]),
        "ends_at": views.moment(row["ends_at"]),
        "created_at": views.moment(row["created_at"]),
        "cancelled_at": views.moment(row["cancelled_at"]),
    }


async def list_silences(connection: Connection, now: datetime, limit: int) -> list[dict[str, Any]]:
    """What holds or is to come first, then newest first."""
    rows = [describe(row, now) for row in await connection.fetch(_PAGE, None, limit)]
    return sorted(rows, key=lambda each: each["state"] not in ("current", "scheduled"))


async def read(deps: Deps, silence_id: int) -> dict[str, Any]:
    async with deps.read() as connection:
        row = await connection.fetchrow("select * from config.silences where id = $1", silence_id)
    if row is None:
        raise NotFound("silence")
    return describe(row, deps.now())


@router.get("", summary="Silences, newest first")
async def get_silences(deps: Dependencies, limit: Limit = 100, cursor: Cursor = None) -> Response:
    return success(await span_page(deps, "silences", _PAGE, partial(describe, now=deps.now()), limit, cursor))


@router.post("", status_code=201, summary="Silence what fits", openapi_extra=_BODY)
async def post_silence(request: Request, deps: Dependencies, identity: Requester) -> Response:
    silence_id = await commands.silence(deps, identity.meta, await json_object(request))
    return success(await read(deps, silence_id), "Silenced.", 201)


@router.get("/{silence_id}", summary="One silence")
async def get_silence(deps: Dependencies, silence_id: Id) -> Response:
    return success(await read(deps, silence_id))


@router.patch("/{silence_id}", summary="Change some fields of a silence", openapi_extra=_BODY)
async def patch_silence(request: Request, deps: Dependencies, identity: Requester, silence_id: Id) -> Response:
    await commands.change_silence(deps, identity, silence_id, await json_object(request))
    return success(await read(deps, silence_id), "Silence saved.")


@router.delete("/{silence_id}", summary="End a silence")
async def delete_silence(deps: Dependencies, identity: Requester, silence_id: Id) -> Response:
    await commands.cancel_silence(deps, identity, silence_id)
    return success(await read(deps, silence_id), "Silence ended.")
