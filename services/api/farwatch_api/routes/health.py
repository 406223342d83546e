"""/healthz, /readyz and /metrics on the public port too, answered as each service answers them on its own; and the last
checks of all monitors for Prometheus."""

import asyncio
from typing import Annotated

from fastapi import APIRouter, Query, Request
from starlette.responses import Response, StreamingResponse

from farwatch_api.deps import Dependencies, Deps
from farwatch_api.params import RegionFilter
from farwatch_api.presentation.exposition import (
    CONTENT_TYPE,
    Lines,
    add_check,
    add_monitor,
    empty_lines,
    expose,
)
from farwatch_api.queries.last_checks import count_after, read_last_checks
from farwatch_runtime import health

CHECKS_MAX = 20_000
"""Last checks on one page, about 20 MB: more than that is asked by tag or region."""

router = APIRouter()


@router.get("/healthz", include_in_schema=False)
async def healthz(request: Request, deps: Dependencies) -> Response:
    return answer(request, deps)


@router.get("/readyz", include_in_schema=False)
async def readyz(request: Request, deps: Dependencies) -> Response:
    return answer(request, deps)


@router.get("/metrics", include_in_schema=False)
async def metrics(request: Request, deps: Dependencies) -> Response:
    return answer(request, deps)


def answer(request: Request, deps: Deps) -> Response:
    peer = request.client.host if request.client else ""
    asked = health.Request(request.method, request.url.path, request.headers, peer)
    token = deps.settings.metrics_token
    found = health.answer(asked, deps.health, deps.registry, token.get_secret_value() if token else None)
    return Response(found.body, found.status, media_type=found.content_type)


@router.get("/metrics/monitors", tags=["overview"], summary="Last checks of all monitors, for Prometheus")
async def metrics_of_monitors(
    deps: Dependencies,
    tag: Annotated[str | None, Query(max_length=100)] = None,
    region: RegionFilter = None,
) -> Response:
    async with deps.exposing:
        lines = await gather_lines(deps, tag, region)
    return StreamingResponse(expose(lines), media_type=CONTENT_TYPE)


async def gather_lines(deps: Deps, tag: str | None, region: str | None) -> Lines:
    """A page of monitors at a time, so that others get their turn in between."""
    lines, checks = empty_lines(), 0
    async for rows, after in read_last_checks(deps.read, tag, region):
        newest = None
        for row in rows:
            if row["id"] != newest:
                newest = row["id"]
                add_monitor(lines, row)
            if row["last_check"] is not None:
                add_check(lines, row)
                checks += 1
        if checks >= CHECKS_MAX:
            async with deps.read() as connection:
                lines["farwatch_monitors_left_out"].append(f" {await count_after(connection, after, tag)}")
            break
        await asyncio.sleep(0)
    return lines
