"""Results as files, for spreadsheets and programs."""

from collections.abc import AsyncIterator, Sequence
from datetime import datetime, timedelta
from typing import Annotated

import structlog
from fastapi import APIRouter, Query
from pydantic import AwareDatetime
from starlette.responses import Response, StreamingResponse

from farwatch_api.deps import Dependencies, Deps
from farwatch_api.params import Id, RegionFilter
from farwatch_api.problems import Invalid
from farwatch_api.queries.export import as_csv, as_json_lines, read_pages
from farwatch_api.routes.history import find
from farwatch_api.rows import Row
from farwatch_store import StoreUnavailable

router = APIRouter(prefix="/api/monitors", tags=["history"])

Since = Annotated[AwareDatetime | None, Query(description="From this slot on; default: all that is kept")]
Until = Annotated[AwareDatetime | None, Query(description="Up to before this slot; default: now")]

log = structlog.get_logger("farwatch_api")


@router.get("/{monitor_id}/checks.csv", summary="Every kept result as CSV, oldest first", response_class=Response)
async def get_checks_csv(
    deps: Dependencies, monitor_id: Id, since: Since = None, until: Until = None, region: RegionFilter = None
) -> Response:
    pages = await _pages(deps, monitor_id, since, until, region)
    return _download(_csv(pages), f"checks-{monitor_id}.csv", "text/csv; charset=utf-8")


@router.get(
    "/{monitor_id}/checks.jsonl", summary="Every kept result as JSON lines, oldest first", response_class=Response
)
async def get_checks_jsonl(
    deps: Dependencies, monitor_id: Id, since: Since = None, until: Until = None, region: RegionFilter = None
) -> Response:
    pages = await _pages(deps, monitor_id, since, until, region)
    return _download(_jsonl(pages), f"checks-{monitor_id}.jsonl", "application/jsonl; charset=utf-8")


async def _pages(
    deps: Deps, monitor_id: int, since: datetime | None, until: datetime | None, region: str | None
) -> AsyncIterator[Sequence[Row]]:
    """Raises NotFound and Invalid now, while the answer can still say so."""
    now = deps.now()
    # A day more than is kept: partitions go by whole days.
    begin, end = since or now - timedelta(days=deps.settings.keep_raw_days + 1), until or now
    if begin > end:
        raise Invalid.at("since", "must not be later than until")
    async with deps.read() as connection:
        await find(connection, monitor_id)
    return read_pages(deps.read, monitor_id, begin, end, region)


async def _csv(pages: AsyncIterator[Sequence[Row]]) -> AsyncIterator[bytes]:
    yield as_csv((), header=True)
    async for rows in pages:
        yield as_csv(rows, header=False)


async def _jsonl(pages: AsyncIterator[Sequence[Row]]) -> AsyncIterator[bytes]:
    async for rows in pages:
        yield as_json_lines(rows)


def _download(content: AsyncIterator[bytes], name: str, media_type: str) -> Response:
    headers = {"Content-Disposition": f'attachment; filename="{name}"', "X-Accel-Buffering": "no"}
    return StreamingResponse(_or_broken_off(content), media_type=media_type, headers=headers)


async def _or_broken_off(content: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    """A database that goes away half-way must not look like the end of the file: the connection is cut."""
    try:
        async for chunk in content:
            yield chunk
    except StoreUnavailable as error:
        log.warning("export_broken_off", error=str(error))
        raise
