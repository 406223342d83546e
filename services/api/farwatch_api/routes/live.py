"""Live updates by server-sent events."""

from typing import Annotated

from fastapi import APIRouter, Header, Query
from starlette.responses import Response

from farwatch_api.deps import Dependencies
from farwatch_api.hub import EventStream
from farwatch_api.routes.history import monitor_ids

router = APIRouter(prefix="/api", tags=["live"])


@router.get("/live", summary="Server-sent events: patches of these monitors, and counts by state")
async def get_live(
    deps: Dependencies,
    monitors: Annotated[str, Query(max_length=2200, description="Ids separated by commas, at most 100")] = "",
    since: Annotated[
        str | None, Query(max_length=64, description="An event id to begin after, on first joining")
    ] = None,
    last_event_id: Annotated[str | None, Header(max_length=64)] = None,
) -> Response:
    ids = monitor_ids(monitors)
    after = last_event_id or since
    resync = not deps.hub.resumable(after)
    return EventStream(deps.hub, deps.hub.join(ids, after), resync=resync)
