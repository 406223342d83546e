"""Who is told of what: policies with their preview, silences, fire drills, and why somebody was told or not."""

from datetime import UTC, datetime
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Query, Request
from starlette.responses import Response

from farwatch_api.commands.fallback import read_fallback
from farwatch_api.deps import Dependencies, Deps
from farwatch_api.params import Id
from farwatch_api.presentation.alerting import MOMENT_WORDS, blank_policy, say_match, say_policy
from farwatch_api.queries.actors import actor_names
from farwatch_api.queries.cursors import LARGEST_BIGINT
from farwatch_api.queries.monitors import all_tags
from farwatch_api.queries.settings import list_channels, monitor_names, region_names
from farwatch_api.routes import drills, policies, silences
from farwatch_api.routes.pages.rendering import PageRoute, render_page
from farwatch_events.monitor import MONITOR_TYPES
from farwatch_store import Connection

router = APIRouter(include_in_schema=False, route_class=PageRoute)
SHOWN = 100

Optional = Annotated[int | None, Query(ge=1, le=LARGEST_BIGINT)]
Event = Annotated[str, Query(max_length=16)]


@router.get("/settings/policies")
async def policies_page(
    request: Request, deps: Dependencies, monitor: Optional = None, event: Event = "down"
) -> Response:
    severity: Literal["down", "degraded"] = "degraded" if event == "degraded" else "down"
    async with deps.read() as connection:
        channels, monitors = await list_channels(connection), await monitor_names(connection)
        found = await policies.list_policies(connection)
        names = {"channels": {each["id"]: each["name"] for each in channels}, "monitors": _names(monitors)}
        ahead = None
        if monitor is not None:
            body = policies.PreviewBody(monitor_id=monitor, event=severity)
            ahead = await policies.look_ahead(connection, body, deps.now())
        fallback = await read_fallback(connection)
    values = {
        "policies": [
            {**each, "says": say_policy(each, names), "match_says": say_match(each["match"], names)} for each in found
        ],
        "channels": channels,
        "monitors": monitors,
        "ahead": ahead,
        "chosen": monitor,
        "event": severity,
        "fallback": fallback["channel_id"],
    }
    return await render_page(request, deps, "alerting/policies.html", **values)


def _names(rows: Any) -> dict[int, str]:
    return {row["id"]: row["name"] for row in rows}


@router.get("/settings/policies/new")
async def new_policy(request: Request, deps: Dependencies) -> Response:
    return await _policy_form(request, deps, blank_policy())


@router.get("/settings/policies/{policy_id}")
async def edit_policy(request: Request, deps: Dependencies, policy_id: Id) -> Response:
    return await _policy_form(request, deps, await policies.read(deps, policy_id))


async def _policy_form(request: Request, deps: Deps, policy: dict[str, Any]) -> Response:
    async with deps.read() as connection:
        values = await _choices(connection)
        values["channels"] = await list_channels(connection)
        values["regions"] = await region_names(connection)
        values["moment_words"] = MOMENT_WORDS
    return await render_page(request, deps, "alerting/policy.html", policy=policy, types=list(MONITOR_TYPES), **values)


async def _choices(connection: Connection) -> dict[str, Any]:
    return {"monitors": await monitor_names(connection), "tags": await all_tags(connection)}


@router.get("/settings/silences")
async def silences_page(request: Request, deps: Dependencies, monitor: Optional = None) -> Response:
    async with deps.read() as connection:
        choices = await _choices(connection)
        found = await silences.list_silences(connection, deps.now(), SHOWN)
        actors = await actor_names(connection, {each["created_by"] for each in found})
    names = {"monitors": _names(choices["monitors"])}
    rows = [
        {**each, "says": say_match(each["match"], names), "by": actors.get(each["created_by"], each["created_by"])}
        for each in found
    ]
    return await render_page(request, deps, "alerting/silences.html", silences=rows, chosen=monitor, **choices)


@router.get("/settings/drills")
async def drills_page(request: Request, deps: Dependencies) -> Response:
    async with deps.read() as connection:
        monitors = await monitor_names(connection)
        found = [await drills.describe_fully(connection, row) for row in await drills.newest(connection, 20)]
        people = {each[name] for each in found for name in ("started_by", "acknowledged_by") if each[name]}
        names = await actor_names(connection, people)
    return await render_page(request, deps, "alerting/drills.html", drills=found, monitors=monitors, names=names)


@router.get("/monitors/{monitor_id}/alerts")
async def alerts_page(
    request: Request, deps: Dependencies, monitor_id: Id, at: Annotated[str, Query(max_length=40)] = ""
) -> Response:
    """`at` is a time in UTC; one that does not read counts as now."""
    moment = _moment(at) or deps.now()
    told = await policies.alerts_at(deps, monitor_id, moment)
    async with deps.read() as connection:
        name = await connection.fetchval("select name from config.monitors where id = $1", monitor_id)
    values = {"told": told, "name": name, "monitor_id": monitor_id, "is_now": _moment(at) is None}
    return await render_page(request, deps, "alerting/alerts.html", **values)


def _moment(text: str) -> datetime | None:
    try:
        at = datetime.fromisoformat(text)
    except ValueError:
        return None
    return at if at.tzinfo is not None else at.replace(tzinfo=UTC)
