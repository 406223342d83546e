"""Channels: how people are told."""

from typing import Any

from fastapi import APIRouter, Request
from starlette.responses import Response

from farwatch_api import views
from farwatch_api.bodies import body_of, documented, json_object
from farwatch_api.commands import channels as commands
from farwatch_api.commands import fallback
from farwatch_api.commands.channels import ChannelBody
from farwatch_api.deps import Dependencies, Deps, Requester
from farwatch_api.envelope import page, success
from farwatch_api.errors import NotFound, Unavailable
from farwatch_api.params import Cursor, Id, Limit
from farwatch_api.queries.cursors import decode_cursor, encode_cursor
from farwatch_api.rows import Row
from farwatch_bus import BusTimeout, NoResponders
from farwatch_events import subjects
from farwatch_events.channels import CHANNEL_TYPES, MOMENTS, channel_schema, mask_channel_secrets
from farwatch_events.checks import TestChannelReply, TestChannelRequest

router = APIRouter(prefix="/api/channels", tags=["channels"])

TEST_SECONDS = 30.0

_CHANNELS = """
    select c.*, h.until as resting_until
    from config.channels c left join alerting.channel_holds h on h.channel_id = c.id and h.until > now()
    where c.deleted_at is null
"""
_PAGE = f"{_CHANNELS} and ($1::bigint is null or c.id > $1) order by c.id limit $2"
_DELIVERIES = """
    select d.id, d.channel_id, c.name as channel_name, c.type as channel_type, d.moment, d.state, d.attempts, d.reason,
        d.answer, d.error, d.created_at, d.delivered_at, d.next_attempt_at, d.monitor_id, d.incident_id
    from alerting.deliveries d join config.channels c on c.id = d.channel_id
    where d.channel_id = $1 and ($2::bigint is null or d.id < $2) order by d.id desc limit $3
"""
_BODY = documented(ChannelBody)


def describe(row: Row) -> dict[str, Any]:
    config = mask_channel_secrets(row["type"], row["config"]) if row["type"] in CHANNEL_TYPES else {}
    return {
        "id": row["id"],
        "name": row["name"],
        "type": row["type"],
        "enabled": row["enabled"],
        "config": config,
        "moments": list(row["moments"]),
        "resting_until": views.moment(row["resting_until"]),
        "created_at": views.moment(row["created_at"]),
        "updated_at": views.moment(row["updated_at"]),
    }


async def read(deps: Deps, channel_id: int) -> dict[str, Any]:
    async with deps.read() as connection:
        row = await connection.fetchrow(f"{_CHANNELS} and c.id = $1", channel_id)
    if row is None:
        raise NotFound("channel")
    return describe(row)


@router.get("", summary="List channels")
async def get_channels(deps: Dependencies, limit: Limit = 100, cursor: Cursor = None) -> Response:
    after = decode_cursor("channels", cursor, (int,)) or [None]
    async with deps.read() as connection:
        rows = await connection.fetch(_PAGE, after[0], limit + 1)
    items = [describe(row) for row in rows[:limit]]
    return success(page(items, encode_cursor("channels", (items[-1]["id"],)) if len(rows) > limit else None))


@router.get("/types", summary="Channel types with the schema of their configuration, and the moments")
async def get_types(deps: Dependencies) -> Response:  # noqa: ARG001
    return success({"types": {name: channel_schema(name) for name in CHANNEL_TYPES}, "moments": MOMENTS})


@router.post("", status_code=201, summary="Create a channel", openapi_extra=_BODY)
async def post_channel(request: Request, deps: Dependencies, identity: Requester) -> Response:
    channel_id = await commands.create_channel(deps, identity, await json_object(request))
    return success(await read(deps, channel_id), "Channel created.", 201)


@router.get("/fallback", summary="The channel that gets what another one never took")
async def get_fallback(deps: Dependencies) -> Response:
    async with deps.read() as connection:
        return success(await fallback.read_fallback(connection))


@router.put("/fallback", summary="Choose that channel, or none", openapi_extra=documented(fallback.FallbackBody))
async def put_fallback(request: Request, deps: Dependencies, identity: Requester) -> Response:
    body = await body_of(request, fallback.FallbackBody)
    await fallback.set_fallback(deps, identity, body.channel_id)
    async with deps.read() as connection:
        return success(await fallback.read_fallback(connection), "Saved.")


@router.get("/{channel_id}", summary="One channel")
async def get_channel(deps: Dependencies, channel_id: Id) -> Response:
    return success(await read(deps, channel_id))


@router.put("/{channel_id}", summary="Replace a channel", openapi_extra=_BODY)
async def put_channel(request: Request, deps: Dependencies, identity: Requester, channel_id: Id) -> Response:
    await commands.update_channel(deps, identity, channel_id, await json_object(request), partly=False)
    return success(await read(deps, channel_id), "Channel saved.")


@router.patch("/{channel_id}", summary="Change some fields of a channel", openapi_extra=_BODY)
async def patch_channel(request: Request, deps: Dependencies, identity: Requester, channel_id: Id) -> Response:
    await commands.update_channel(deps, identity, channel_id, await json_object(request), partly=True)
    return success(await read(deps, channel_id), "Channel saved.")


@router.delete("/{channel_id}", summary="Delete a channel")
async def delete_channel(deps: Dependencies, identity: Requester, channel_id: Id) -> Response:
    await commands.delete_channel(deps, identity, channel_id)
    return success({"id": channel_id}, "Channel deleted.")


@router.post("/{channel_id}/test", summary="Send a test message; answers what was sent and what came back")
async def test_channel(deps: Dependencies, channel_id: Id) -> Response:
    await read(deps, channel_id)
    request = TestChannelRequest(channel_id=channel_id)
    try:
        data = await deps.bus.request(subjects.TEST_CHANNEL_COMMAND, request.to_bytes(), TEST_SECONDS)
    except NoResponders:
        raise Unavailable("The notifier does not run. Try again in a few seconds.") from None
    except BusTimeout:
        raise Unavailable(f"The channel did not answer within {TEST_SECONDS:g} s.") from None
    reply = TestChannelReply.from_bytes(data)
    message = "The test message was accepted." if reply.ok else f"The test failed: {reply.error or 'no reason given'}"
    return success(reply.model_dump(), message)


@router.get("/{channel_id}/deliveries", summary="What was sent through a channel and what came back, newest first")
async def get_deliveries(deps: Dependencies, channel_id: Id, limit: Limit = 50, cursor: Cursor = None) -> Response:
    before = decode_cursor("deliveries", cursor, (int,)) or [None]
    await read(deps, channel_id)
    async with deps.read() as connection:
        rows = await connection.fetch(_DELIVERIES, channel_id, before[0], limit + 1)
    items = [
        {**views.delivery(row), "monitor_id": row["monitor_id"], "incident_id": row["incident_id"]}
        for row in rows[:limit]
    ]
    return success(page(items, encode_cursor("deliveries", (items[-1]["id"],)) if len(rows) > limit else None))
