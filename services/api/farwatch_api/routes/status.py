"""The overview, regions, and the log of events."""

from datetime import datetime
from typing import Annotated, Any

from fastapi import APIRouter, Query
from pydantic import AwareDatetime
from starlette.responses import Response

from farwatch_api.deps import Dependencies, Deps, Requester
from farwatch_api.envelope import page, success
from farwatch_api.errors import Conflict, NotFound
from farwatch_api.params import Cursor, Limit, Words, one_of, split
from farwatch_api.problems import Invalid
from farwatch_api.queries.census import counts_by_state
from farwatch_api.queries.cursors import LARGEST_BIGINT
from farwatch_api.queries.monitors import all_tags
from farwatch_api.queries.regions import list_events, list_regions, open_incidents
from farwatch_api.queries.system import read_system
from farwatch_events.events import EVENT_TYPES, RegionDeleted
from farwatch_events.subjects import PUSH_REGION, require_region
from farwatch_store import append

router = APIRouter(prefix="/api", tags=["overview"])


@router.get("/status", summary="Overall state, counts by state, regions and their health")
async def get_status(deps: Dependencies) -> Response:
    async with deps.read() as connection:
        counts = await counts_by_state(connection)
        regions = await list_regions(connection)
        incidents = await open_incidents(connection)
        system = await read_system(deps, connection)
    return success(
        {
            "state": overall(counts, regions),
            "monitors": {"total": sum(counts.values()), **counts},
            "incidents": {"open": sum(incidents.values()), **incidents},
            "regions": regions,
            "bus_connected": deps.bus.connected,
            "system": system,
        }
    )


def overall(counts: dict[str, int], regions: list[dict[str, Any]]) -> str:
    """The worst that is going on: down, degraded, unknown, or up. Pending when nothing was decided yet."""
    for state in ("down", "degraded"):
        if counts.get(state):
            return state
    if counts.get("unknown") or any(r["enabled"] and r["state"] != "live" for r in regions):
        return "unknown" if counts.get("unknown") else "degraded"
    return "up" if counts.get("up") or not counts.get("pending") else "pending"


@router.get("/tags", summary="Tags in use, with the number of monitors that carry each")
async def get_tags(deps: Dependencies) -> Response:
    async with deps.read() as connection:
        tags = await all_tags(connection)
    return success({"items": [{"tag": tag, "monitors": number} for tag, number in tags.items()]})


@router.get("/regions", summary="Regions: each prober's version, load, loop lag, health, last seen")
async def get_regions(deps: Dependencies) -> Response:
    async with deps.read() as connection:
        return success(page(await list_regions(connection), None))


@router.delete("/regions/{region}", summary="Forget a region whose probers are gone")
async def delete_region(deps: Dependencies, identity: Requester, region: str) -> Response:
    try:
        require_region(region)
    except ValueError as error:
        raise Invalid.at("region", str(error)) from None
    await _delete_region(deps, identity, region)
    return success({"region": region}, "Region deleted.")


async def _delete_region(deps: Deps, identity: Requester, region: str) -> None:
    async with deps.write() as connection:
        state = await connection.fetchval("select state from health.regions where region = $1", region)
        if state in ("live", "suspect"):
            raise Conflict(f"Region {region} still has a prober: stop it first.")
        deleted = await connection.fetchval(
            "delete from config.regions where name = $1 and name <> $2 returning true", region, PUSH_REGION
        )
        if not deleted:
            raise NotFound("region")
        event = RegionDeleted(at_ms=deps.now_ms(), region=region)
        await append(connection, event.stream, [event], identity.meta, None)


@router.get("/events", summary="The log: everything that happened, newest first")
async def get_events(
    deps: Dependencies,
    type: Words = [],  # noqa: A002, B006
    stream: Annotated[str | None, Query(max_length=100, description='An aggregate, such as "monitor-7"')] = None,
    after: Annotated[int | None, Query(ge=0, le=LARGEST_BIGINT, description="Only positions above this")] = None,
    since: Annotated[AwareDatetime | None, Query(description="Only events recorded since")] = None,
    limit: Limit = 100,
    cursor: Cursor = None,
) -> Response:
    types = one_of("type", split(type), EVENT_TYPES)
    begin: datetime | None = since
    async with deps.read() as connection:
        items, next_cursor = await list_events(
            connection, after=after, types=types, stream=stream, since=begin, limit=limit, cursor=cursor
        )
    return success(page(items, next_cursor))
