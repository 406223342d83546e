"""What a monitor did: checks, uptime, latency, and the bars of many."""

from collections.abc import Sequence
from datetime import timedelta
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Query
from starlette.responses import Response

from farwatch_api import views
from farwatch_api.deps import Dependencies, Deps
from farwatch_api.envelope import page, success
from farwatch_api.errors import NotFound
from farwatch_api.hub import IDS_MAX
from farwatch_api.params import Cursor, Hours, Id, Limit, RegionFilter
from farwatch_api.problems import Invalid
from farwatch_api.queries.checks import heartbeat, hourly_checks, last_results, raw_checks
from farwatch_api.queries.cursors import LARGEST_BIGINT
from farwatch_api.queries.day_bars import DayFigures, uptime_bars
from farwatch_api.queries.latency import Kept, latency_series
from farwatch_api.queries.uptime import describe, uptime_periods, uptime_series
from farwatch_api.rows import Row
from farwatch_store import Connection

router = APIRouter(prefix="/api/monitors", tags=["history"])

_MONITOR = "select id, tags, spec, created_at from config.monitors where id = $1 and deleted_at is null"


async def find(connection: Connection, monitor_id: int) -> Row:
    row: Row | None = await connection.fetchrow(_MONITOR, monitor_id)
    if row is None:
        raise NotFound("monitor")
    return row


def monitor_ids(text: str) -> list[int]:
    """ "1,2,3" as numbers, at most 100. Raises Invalid."""
    parts = [part.strip() for part in text.split(",") if part.strip()]
    if len(parts) > IDS_MAX:
        raise Invalid.at("monitors", f"must name at most {IDS_MAX} monitors")
    if any(not (part.isascii() and part.isdigit() and len(part) < 20) for part in parts):
        raise Invalid.at("monitors", "must be ids separated by commas")
    numbers = [int(part) for part in parts]
    if any(number > LARGEST_BIGINT for number in numbers):
        raise Invalid.at("monitors", "must be ids separated by commas")
    return list(dict.fromkeys(numbers))


bars_router = APIRouter(prefix="/api", tags=["history"])


@bars_router.get("/heartbeats", summary="The last results of many monitors at once, by region, oldest first")
async def get_heartbeats(
    deps: Dependencies,
    monitors: Annotated[str, Query(max_length=2200, description="Ids separated by commas, at most 100")],
    results: Annotated[int, Query(ge=1, le=100, description="How many per monitor and region")] = 40,
) -> Response:
    ids = monitor_ids(monitors)
    async with deps.read() as connection:
        found = await last_results(connection, ids, results, deps.now())
    return success(
        {
            "monitors": {
                str(monitor_id): {region: [heartbeat(row) for row in rows] for region, rows in regions.items()}
                for monitor_id, regions in found.items()
            }
        }
    )


@bars_router.get("/uptime", summary="Uptime of many monitors by day, oldest first: what bars are drawn from")
async def get_uptime_bars(
    deps: Dependencies,
    monitors: Annotated[str, Query(max_length=2200, description="Ids separated by commas, at most 100")],
    days: Annotated[int, Query(ge=1, le=400)] = 90,
) -> Response:
    async with deps.read() as connection:
        dates, bars = await uptime_bars(connection, monitor_ids(monitors), days, deps.now())
    return success(
        {
            "days": [views.moment(at) for at in dates],
            "monitors": {str(monitor_id): _columns(figures) for monitor_id, figures in bars.items()},
        }
    )


def _columns(figures: Sequence[DayFigures]) -> dict[str, Sequence[float | None]]:
    """Each figure as a list with an entry a day: a third of the size of an object a day."""
    percents, coverages, downs = zip(*figures, strict=True)
    return {"uptime_percent": percents, "coverage": coverages, "down_seconds": downs}


@router.get("/{monitor_id}/checks", summary="Results, newest first: single ones while kept, else hours")
async def get_checks(
    deps: Dependencies,
    monitor_id: Id,
    hours: Hours = 24,
    resolution: Annotated[
        Literal["raw", "hour"] | None, Query(description="Default: raw while kept, else hour")
    ] = None,
    region: RegionFilter = None,
    limit: Limit = 100,
    cursor: Cursor = None,
) -> Response:
    chosen = resolution or ("raw" if hours <= deps.settings.keep_raw_days * 24 else "hour")
    since = deps.now() - timedelta(hours=hours)
    async with deps.read() as connection:
        await find(connection, monitor_id)
        if chosen == "raw":
            rows, next_cursor = await raw_checks(connection, monitor_id, since, region, limit, cursor)
            items: list[dict[str, Any]] = [views.check(row) for row in rows]
        else:
            items, next_cursor = await hourly_checks(connection, monitor_id, since, region, limit, cursor)
    return success({"resolution": chosen, **page(items, next_cursor)})


@router.get("/{monitor_id}/uptime", summary="Uptime of 24h, 7d, 30d, 90d and 365d, with coverage")
async def get_uptime(
    deps: Dependencies,
    monitor_id: Id,
    series: Annotated[
        int | None, Query(ge=1, le=400, description="Also an entry for each of so many days; hours up to 2")
    ] = None,
) -> Response:
    async with deps.read() as connection:
        monitor = await find(connection, monitor_id)
        periods = await uptime_periods(connection, monitor, deps.now())
        days = await _series(deps, connection, monitor, series) if series else None
    answer: dict[str, Any] = {
        "monitor_id": monitor_id,
        "method": "Time up or degraded as a share of the time that somebody looked; maintenance and unknown left out.",
        "periods": periods,
    }
    return success(answer | ({"series": days} if days is not None else {}))


async def _series(deps: Deps, connection: Connection, monitor: Row, days: int) -> list[dict[str, Any]]:
    now = deps.now()
    entries = await uptime_series(connection, monitor, days, now)
    return [
        {
            "at": views.moment(entry["at"]),
            **describe(entry["seconds"], now - timedelta(seconds=entry["span_seconds"]), now),
        }
        for entry in entries
    ]


@router.get("/{monitor_id}/latency", summary="Latency over time with p50, p95, p99 and phases")
async def get_latency(deps: Dependencies, monitor_id: Id, hours: Hours = 24, region: RegionFilter = None) -> Response:
    now = deps.now()
    async with deps.read() as connection:
        monitor = await find(connection, monitor_id)
        data = await latency_series(
            connection,
            monitor_id,
            int(monitor["spec"].get("interval_seconds", 60)),
            now - timedelta(hours=hours),
            now,
            region,
            Kept(timedelta(days=deps.settings.keep_raw_days), timedelta(days=deps.settings.keep_hourly_days)),
        )
    return success({"monitor_id": monitor_id, **data})
