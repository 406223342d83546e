"""Incidents: what happened, why, who was told; and taking them in hand."""

from collections.abc import Sequence
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Query, Request
from pydantic import AwareDatetime, Field
from starlette.responses import Response

from farwatch_api import views
from farwatch_api.bodies import body_of, documented
from farwatch_api.deps import Dependencies, Deps, Requester
from farwatch_api.envelope import page, success
from farwatch_api.errors import ApiError, Conflict, NotFound, Unavailable
from farwatch_api.params import Cursor, Id, Limit, Words, one_of, split
from farwatch_api.queries import incidents as queries
from farwatch_api.queries.actors import actor_names
from farwatch_api.queries.cursors import LARGEST_BIGINT
from farwatch_api.rows import Row
from farwatch_bus import BusTimeout, NoResponders
from farwatch_events import subjects
from farwatch_events.checks import IncidentCommand, Reply
from farwatch_events.events import EventMeta
from farwatch_events.monitor import Strict

router = APIRouter(prefix="/api/incidents", tags=["incidents"])

COMMAND_SECONDS = 5.0
STATES = ("open", "acknowledged", "resolved")


class NoteBody(Strict):
    text: str = Field(min_length=1, max_length=10_000)


class OptionalNoteBody(Strict):
    text: str = Field(default="", max_length=10_000)


@router.get("", summary="Incidents, newest first")
async def get_incidents(
    deps: Dependencies,
    state: Words = [],  # noqa: B006
    monitor_id: Annotated[int | None, Query(ge=1, le=LARGEST_BIGINT)] = None,
    severity: Literal["down", "degraded"] | None = None,
    since: Annotated[AwareDatetime | None, Query(description="Opened since, or still open")] = None,
    told_by: Annotated[str | None, Query(description="Key of a message: those it told of", max_length=200)] = None,
    limit: Limit = 50,
    cursor: Cursor = None,
) -> Response:
    states = one_of("state", split(state), STATES)
    async with deps.read() as connection:
        rows, next_cursor = await queries.list_incidents(
            connection,
            states=states,
            monitor_id=monitor_id,
            severity=severity,
            since=since,
            told_by=told_by,
            limit=limit,
            cursor=cursor,
        )
    now = deps.now()
    return success(page([views.incident(row, now) for row in rows], next_cursor))


@router.get("/{incident_id}", summary="One incident with timeline, evidence, votes and deliveries")
async def get_incident(deps: Dependencies, incident_id: Id) -> Response:
    return success(await describe(deps, incident_id))


async def describe(deps: Deps, incident_id: int) -> dict[str, Any]:
    """Raises NotFound."""
    async with deps.read() as connection:
        row = await queries.read_incident(connection, incident_id)
        if row is None:
            raise NotFound("incident")
        timeline = await queries.timeline_of(connection, incident_id)
        deliveries, attempts = await queries.deliveries_of(connection, incident_id)
        people = {entry["actor"] for entry in timeline} | {row["acknowledged_by"]}
        names = await actor_names(connection, {each for each in people if each})
    return {
        **views.incident(row, deps.now()),
        "acknowledged_by_name": names.get(row["acknowledged_by"]),
        "votes": row["votes"],
        "evidence": row["evidence"],
        "timeline": [{**views.timeline_entry(entry), "actor_name": names.get(entry["actor"])} for entry in timeline],
        "deliveries": [
            {
                **views.delivery(each),
                **_told(each),
                "trail": [_attempt(a) for a in attempts if a["delivery_id"] == each["id"]],
            }
            for each in deliveries
        ],
    }


def _told(row: Row) -> dict[str, Any]:
    """By which policy and step (from 0), and in which words; none without a policy."""
    by = {name: row[name] for name in ("policy_id", "policy_name", "step")}
    return {**by, "message": {"title": row["title"] or "", "text": row["sentence"] or ""}}


def _trail(attempts: Sequence[Row], delivery_id: int) -> list[dict[str, Any]]:
    return [_attempt(row) for row in attempts if row["delivery_id"] == delivery_id]


def _attempt(row: Row) -> dict[str, Any]:
    return {
        "attempt": row["attempt"],
        "at": views.moment(row["at"]),
        "ok": row["ok"],
        "request": row["request"],
        "answer": row["answer"],
        "error": row["error"],
        "duration_ms": views.rounded(row["duration_ms"]),
    }


async def command(deps: Deps, subject: str, incident_id: int, who: EventMeta, text: str = "") -> None:
    """Incidents belong to their service: ask it. Raises NotFound, Conflict or Unavailable."""
    request = IncidentCommand(incident_id=incident_id, actor=who.actor, actor_name=who.actor_name, text=text)
    try:
        reply = Reply.from_bytes(await deps.bus.request(subject, request.to_bytes(), COMMAND_SECONDS))
    except (NoResponders, BusTimeout):
        raise Unavailable("The incidents service does not answer. Try again in a few seconds.") from None
    if reply.ok:
        return
    if reply.code == "not_found":
        raise NotFound("incident")
    if reply.code == "conflict":
        raise Conflict(reply.error or "The incident does not allow that now.")
    if reply.code == "unavailable":
        raise Unavailable(reply.error or "The incidents service is busy. Try again in a few seconds.")
    raise ApiError(400, reply.error or "The incident does not allow that.")


async def _text(request: Request) -> str:
    """The optional note of an acknowledgement or a resolve; an empty body is none."""
    if not await request.body():
        return ""
    return (await body_of(request, OptionalNoteBody)).text


@router.post("/{incident_id}/acknowledge", summary="Somebody is on it", openapi_extra=documented(OptionalNoteBody))
async def acknowledge(request: Request, deps: Dependencies, identity: Requester, incident_id: Id) -> Response:
    await command(deps, subjects.ACKNOWLEDGE_COMMAND, incident_id, identity.meta, await _text(request))
    return success(await describe(deps, incident_id), "Incident acknowledged.")


@router.post(
    "/{incident_id}/resolve",
    summary="Close it by hand; it stays closed until the monitor has been up once",
    openapi_extra=documented(OptionalNoteBody),
)
async def resolve(request: Request, deps: Dependencies, identity: Requester, incident_id: Id) -> Response:
    await command(deps, subjects.RESOLVE_COMMAND, incident_id, identity.meta, await _text(request))
    return success(await describe(deps, incident_id), "Incident resolved.")


@router.post(
    "/{incident_id}/notes", status_code=201, summary="Add a note to the timeline", openapi_extra=documented(NoteBody)
)
async def add_note(request: Request, deps: Dependencies, identity: Requester, incident_id: Id) -> Response:
    body = await body_of(request, NoteBody)
    await command(deps, subjects.NOTE_COMMAND, incident_id, identity.meta, body.text)
    return success(await describe(deps, incident_id), "Note added.", 201)
