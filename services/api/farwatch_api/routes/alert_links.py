"""The links in messages: acknowledge or silence without signing in.

Opening one shows a page and does nothing else, because mail programs and chat services open every link they see.
"""

import hashlib
from datetime import timedelta
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Form, Path, Request
from starlette.responses import Response

from farwatch_api import web
from farwatch_api.commands import drills, policies
from farwatch_api.deps import Dependencies, Deps
from farwatch_api.errors import ApiError, Conflict
from farwatch_api.queries.actors import actor_name
from farwatch_api.routes.incidents import command
from farwatch_api.rows import Row
from farwatch_events import subjects
from farwatch_events.events import EventMeta
from farwatch_runtime.links import AlertLink, read_link

router = APIRouter(prefix="/alert", tags=["alert links"])

Token = Annotated[str, Path(min_length=10, max_length=1000)]
SILENCE_HOURS_MAX = 24
_USE = "insert into config.used_links (digest) values ($1) on conflict do nothing returning digest"
_INCIDENT = "select id, monitor_id, monitor_name, state, severity, opened_at from health.incidents where id = $1"
_DRILL = """
    select id, monitor_id, monitor_name, case when ended_at is null then 'open' else 'resolved' end as state, severity,
        started_at as opened_at from config.drills where id = $1
"""


def require_link(deps: Deps, token: str) -> AlertLink:
    link = read_link(deps.box, token)
    if link is None:
        raise ApiError(404, "This link is not valid (any more). Sign in to acknowledge.")
    return link


async def find_trouble(deps: Deps, link: AlertLink) -> Row:
    kind, _, number = link.thread.partition("-")
    async with deps.read() as connection:
        row: Row | None = await connection.fetchrow(_DRILL if kind == "drill" else _INCIDENT, int(number))
    if row is None:
        raise ApiError(404, "There is no such incident (any more).")
    return row


@router.get("/{token}", summary="A page that asks whether to acknowledge or silence")
async def get_link(request: Request, deps: Dependencies, token: Token) -> Response:
    trouble = await find_trouble(deps, require_link(deps, token))
    return show(request, trouble, done=None)


@router.post("/{token}", summary="Acknowledge or silence; each works once")
async def post_link(
    request: Request,
    deps: Dependencies,
    token: Token,
    action: Annotated[Literal["acknowledge", "silence"], Form()],
    hours: Annotated[int, Form(ge=1, le=SILENCE_HOURS_MAX)] = 1,
) -> Response:
    link = require_link(deps, token)
    trouble = await find_trouble(deps, link)
    if trouble["state"] == "resolved":
        return show(request, trouble, done="It is over already.")
    digest = hashlib.sha256(f"{action}:{token}".encode()).digest()
    async with deps.read() as connection:
        if await connection.fetchval("select 1 from config.used_links where digest = $1", digest) is not None:
            raise Conflict("This link was used.")
    who = await describe_link(deps, link)
    if action == "acknowledge":
        await acknowledge(deps, link, trouble, who)
        done = "Acknowledged: nobody else is called."
    else:
        await silence(deps, trouble, who, hours)
        done = f"Silenced for {hours} h."
    async with deps.write() as connection:
        await connection.fetchval(_USE, digest)
    return show(request, trouble, done=done)


async def describe_link(deps: Deps, link: AlertLink) -> EventMeta:
    """Nobody signed in, so the link itself is who did it."""
    actor = f"link:channel-{link.channel_id}"
    async with deps.read() as connection:
        return EventMeta(actor=actor, actor_name=await actor_name(connection, actor))


async def acknowledge(deps: Deps, link: AlertLink, trouble: Row, who: EventMeta) -> None:
    if link.thread.startswith("drill-"):
        await drills.acknowledge_drill(deps, who, trouble["id"])
    elif trouble["state"] == "open":
        await command(deps, subjects.ACKNOWLEDGE_COMMAND, trouble["id"], who)


async def silence(deps: Deps, trouble: Row, who: EventMeta, hours: int) -> None:
    until = deps.now() + timedelta(hours=hours)
    body: dict[str, Any] = {
        "match": {"monitors": [trouble["monitor_id"]]},
        "reason": "asked for by a link in a message",
        "ends_at": until,
    }
    await policies.silence(deps, who, body)


def show(request: Request, trouble: Row, done: str | None) -> Response:
    return web.render(
        request.app,
        "alert_link.html",
        monitor=trouble["monitor_name"],
        severity=trouble["severity"],
        state=trouble["state"],
        since=trouble["opened_at"].strftime("%-d %b %Y, %H:%M:%S UTC"),
        done=done,
    )
