"""Silences: nobody is told of what fits, for a while; checking and history go on."""

from datetime import datetime
from typing import Any

from fastapi import APIRouter, Request
from starlette.responses import Response

from farwatch_api import views
from farwatch_api.bodies import documented, json_object
from farwatch_api.commands import policies as commands
from farwatch_api.deps import Dependencies, Deps, Requester
from farwatch_api.envelope import page, success
from farwatch_api.errors import NotFound
from farwatch_api.params import Cursor, Id, Limit
from farwatch_api.queries.cursors import decode_cursor, encode_cursor
from farwatch_api.rows import Row
from farwatch_events.policies import Silence

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


def phase(row: Row, now: datetime) -> str:
    if row["cancelled_at"] is not None:
        return "cancelled"
    if now < row["starts_at"]:
        return "scheduled"
    return "current" if now < row["ends_at"] else "over"


async def read(deps: Deps, silence_id: int) -> dict[str, Any]:
    async with deps.read() as connection:
        row = await connection.fetchrow("select * from config.silences where id = $1", silence_id)
    if row is None:
        raise NotFound("silence")
    return describe(row, deps.now())


@router.get("", summary="Silences, newest first")
async def get_silences(deps: Dependencies, limit: Limit = 100, cursor: Cursor = None) -> Response:
    before = decode_cursor("silences", cursor, (int,)) or [None]
    async with deps.read() as connection:
        rows = await connection.fetch(_PAGE, before[0], limit + 1)
    items = [describe(row, deps.now()) for row in rows[:limit]]
    return success(page(items, encode_cursor("silences", (items[-1]["id"],)) if len(rows) > limit else None))


@router.post("", status_code=201, summary="Silence what fits", openapi_extra=_BODY)
async def post_silence(request: Request, deps: Dependencies, identity: Requester) -> Response:
    silence_id = await commands.silence(deps, identity, await json_object(request))
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
