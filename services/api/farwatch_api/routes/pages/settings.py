"""Settings: channels, regions, maintenance, tokens, the account."""

from datetime import timedelta
from typing import Annotated, Any

from fastapi import APIRouter, Query, Request
from starlette.responses import RedirectResponse, Response

from farwatch_api.deps import Dependencies, Deps, Requester
from farwatch_api.envelope import timestamp
from farwatch_api.params import Id
from farwatch_api.presentation.fields import channel_fields
from farwatch_api.queries.monitors import all_tags
from farwatch_api.queries.regions import list_regions
from farwatch_api.queries.settings import list_channels, list_tokens, list_windows, monitor_names
from farwatch_api.routes.channels import read as read_channel
from farwatch_api.routes.maintenance import describe as describe_window
from farwatch_api.routes.pages.rendering import PageRoute, render_page
from farwatch_events.channels import CHANNEL_TYPES, DEFAULT_MOMENTS, MOMENTS

GONE_AFTER = timedelta(seconds=15)
"""A prober says something every 2 s; the list still names one that left within the hour."""

router = APIRouter(prefix="/settings", include_in_schema=False, route_class=PageRoute)


@router.get("")
async def settings_page() -> Response:
    return RedirectResponse("/settings/channels", 303)


@router.get("/channels")
async def channels_page(request: Request, deps: Dependencies) -> Response:
    async with deps.read() as connection:
        channels = await list_channels(connection)
    values = {"channels": channels, "types": list(CHANNEL_TYPES), "moments": MOMENTS}
    return await render_page(request, deps, "settings/channels.html", **values)


@router.get("/channels/new")
async def new_channel(
    request: Request,
    deps: Dependencies,
    type: Annotated[str, Query(max_length=16)] = "discord",  # noqa: A002
) -> Response:
    kind = type if type in CHANNEL_TYPES else "discord"
    channel: dict[str, Any] = {
        "id": None,
        "name": "",
        "type": kind,
        "enabled": True,
        "config": {},
        "moments": list(DEFAULT_MOMENTS),
    }
    return await render_channel(request, deps, channel)


@router.get("/channels/{channel_id}")
async def edit_channel(request: Request, deps: Dependencies, channel_id: Id) -> Response:
    return await render_channel(request, deps, await read_channel(deps, channel_id))


async def render_channel(request: Request, deps: Deps, channel: dict[str, Any]) -> Response:
    values = {
        "channel": channel,
        "fields": channel_fields(channel["type"], channel["config"]),
        "about": CHANNEL_TYPES[channel["type"]].__doc__,
        "types": list(CHANNEL_TYPES),
        "moments": MOMENTS,
    }
    return await render_page(request, deps, "settings/channel.html", **values)


@router.get("/regions")
async def regions_page(request: Request, deps: Dependencies) -> Response:
    async with deps.read() as connection:
        regions = await list_regions(connection)
    since = timestamp(deps.now() - GONE_AFTER)
    for prober in (prober for region in regions for prober in region["probers"]):
        prober["gone"] = prober["last_seen_at"] < since
    return await render_page(request, deps, "settings/regions.html", regions=regions)


@router.get("/maintenance")
async def maintenance_page(request: Request, deps: Dependencies) -> Response:
    now = deps.now()
    async with deps.read() as connection:
        windows = [describe_window(row, now) for row in await list_windows(connection)]
        monitors, tags = await monitor_names(connection), await all_tags(connection)
    names = {monitor["id"]: monitor["name"] for monitor in monitors}
    values = {"windows": windows, "monitors": monitors, "tags": tags, "names": names}
    return await render_page(request, deps, "settings/maintenance.html", **values)


@router.get("/tokens")
async def tokens_page(request: Request, deps: Dependencies) -> Response:
    async with deps.read() as connection:
        tokens = await list_tokens(connection)
    return await render_page(request, deps, "settings/tokens.html", tokens=tokens)


@router.get("/account")
async def account_page(request: Request, deps: Dependencies, identity: Requester) -> Response:
    return await render_page(request, deps, "settings/account.html", who=identity)
