"""The small API of sites and one webhook: bare objects, for scripts written against it."""

import asyncio
from collections.abc import Mapping
from datetime import timedelta
from typing import Annotated, Any

from fastapi import APIRouter, Query, Request
from pydantic import Field
from starlette.responses import Response

from farwatch_api import views
from farwatch_api.bodies import body_of, documented
from farwatch_api.commands import channels, monitors
from farwatch_api.deps import Dependencies, Deps, Requester
from farwatch_api.envelope import bare
from farwatch_api.errors import NotFound
from farwatch_api.params import Id
from farwatch_api.queries.checks import raw_checks
from farwatch_api.queries.monitors import Filters, list_monitors, read_monitor
from farwatch_api.rows import Row
from farwatch_bus import Message
from farwatch_events import subjects
from farwatch_events.live import LiveMonitors
from farwatch_events.masking import MASK
from farwatch_events.monitor import Strict
from farwatch_store import Connection

router = APIRouter(tags=["sites"])

FIRST_CHECK_SECONDS = 2.0
PAGES_MAX = 40
WEBHOOK_SETTING = "sites.webhook_channel"
FOUR_MOMENTS = ["down", "up", "first_failure", "first_success"]
_STATUS = {"degraded": "up"}


class SiteBody(Strict):
    """`interval` and `interval_seconds` are other names for `check_interval_seconds`."""

    url: str
    name: str | None = None
    check_interval_seconds: int | None = None
    interval: int | None = None
    interval_seconds: int | None = None
    expected_status_code: int | None = Field(default=None, ge=100, le=599)

    def monitor(self) -> dict[str, Any]:
        spec: dict[str, Any] = {"type": "http", "url": self.url, "name": (self.name or self.url)[:200]}
        for seconds in (self.check_interval_seconds, self.interval, self.interval_seconds):
            if seconds is not None:
                spec["interval_seconds"] = seconds
        if self.expected_status_code is not None:
            spec["expected_status"] = [str(self.expected_status_code)]
        return spec


class WebhookBody(Strict):
    url: str
    name: str = "Discord"


def site(row: Row) -> dict[str, Any]:
    spec: Mapping[str, Any] = row["spec"]
    last: Mapping[str, Any] = row["last_check"] or {}
    expected = spec.get("expected_status", [])
    state = (row["verdict"] or "pending") if row["state"] == "maintenance" else row["state"]
    return {
        "id": row["id"],
        "url": spec.get("url"),
        "name": row["name"],
        "check_interval_seconds": spec.get("interval_seconds"),
        "expected_status_code": int(expected[0]) if len(expected) == 1 and expected[0].isdigit() else None,
        "status": _STATUS.get(state, state),
        "response_time_ms": last.get("latency_ms"),
        "last_checked_at": last.get("slot"),
        "last_status_change_at": views.moment(row["since"]),
        "error": last.get("error"),
        "created_at": views.moment(row["created_at"]),
    }


async def read_site(connection: Connection, site_id: int) -> Row:
    row = await read_monitor(connection, site_id)
    if row is None or row["type"] != "http":
        raise NotFound("site")
    return row


@router.post("/sites", status_code=201, summary="Watch a site", openapi_extra=documented(SiteBody))
async def post_site(request: Request, deps: Dependencies, identity: Requester) -> Response:
    body = await body_of(request, SiteBody)
    site_id = await monitors.create_monitor(deps, identity, body.monitor())
    await wait_for_first_check(deps, site_id)
    async with deps.read() as connection:
        return bare(site(await read_site(connection, site_id)), 201)


async def wait_for_first_check(deps: Deps, monitor_id: int) -> None:
    """Until a result is stored, 2 s at most."""
    stored = asyncio.Event()

    async def on_live(message: Message) -> None:
        told = LiveMonitors.from_bytes(message.data)
        if any(each.monitor_id == monitor_id for each in told.monitors):
            stored.set()

    subscription = await deps.bus.subscribe(subjects.live_monitors(), on_live)
    try:
        async with asyncio.timeout(FIRST_CHECK_SECONDS):
            await stored.wait()
    except TimeoutError:
        pass
    finally:
        await subscription.unsubscribe()


@router.get("/sites", summary="All sites")
async def get_sites(deps: Dependencies) -> Response:
    rows: list[Row] = []
    cursor: str | None = None
    async with deps.read() as connection:
        for _ in range(PAGES_MAX):
            found, cursor = await list_monitors(connection, Filters(types=["http"]), "id", 500, cursor)
            rows += found
            if cursor is None:
                break
    return bare([site(row) for row in rows])


@router.get("/sites/{site_id}", summary="One site")
async def get_site(deps: Dependencies, site_id: Id) -> Response:
    async with deps.read() as connection:
        return bare(site(await read_site(connection, site_id)))


@router.delete("/sites/{site_id}", summary="Watch a site no longer")
async def delete_site(deps: Dependencies, identity: Requester, site_id: Id) -> Response:
    async with deps.read() as connection:
        await read_site(connection, site_id)
    await monitors.delete_monitor(deps, identity, site_id)
    return bare({"status": "success", "id": site_id})


@router.get("/sites/{site_id}/history", summary="Results of a site, newest first")
async def get_history(
    deps: Dependencies,
    site_id: Id,
    limit: Annotated[int, Query(ge=1, le=1000)] = 100,
    skip: Annotated[int, Query(ge=0, le=9000)] = 0,
) -> Response:
    since = deps.now() - timedelta(days=deps.settings.keep_raw_days)
    async with deps.read() as connection:
        await read_site(connection, site_id)
        rows, _ = await raw_checks(connection, site_id, since, None, limit + skip, None)
    return bare(
        [
            {
                "status": _STATUS.get(row["outcome"], row["outcome"]),
                "response_time_ms": views.rounded(row["latency_ms"]),
                "checked_at": views.moment(row["slot"]),
            }
            for row in rows[skip:]
        ]
    )


@router.post("/webhook", status_code=201, summary="Set the one Discord webhook", openapi_extra=documented(WebhookBody))
async def post_webhook(request: Request, deps: Dependencies, identity: Requester) -> Response:
    """A second call changes the channel that the first one made."""
    body = await body_of(request, WebhookBody)
    channel = {
        "name": body.name,
        "type": "discord",
        "enabled": True,
        "config": {"webhook_url": body.url},
        "moments": FOUR_MOMENTS,
    }
    async with deps.read() as connection:
        known = await connection.fetchval(
            "select c.id from config.settings s join config.channels c on c.id = (s.value)::bigint"
            " where s.key = $1 and c.deleted_at is null",
            WEBHOOK_SETTING,
        )
    if known is not None:
        await channels.update_channel(deps, identity, known, channel, partly=False)
        return bare({"id": known, "url": MASK, "name": body.name}, 200)
    channel_id = await channels.create_channel(deps, identity, channel)
    async with deps.write() as connection:
        await connection.execute(
            "insert into config.settings (key, value) values ($1, $2)"
            " on conflict (key) do update set value = excluded.value, updated_at = now()",
            WEBHOOK_SETTING,
            channel_id,
        )
    return bare({"id": channel_id, "url": MASK, "name": body.name}, 201)
