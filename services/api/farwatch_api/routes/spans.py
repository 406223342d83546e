"""What holds for a while, such as silences and maintenance windows: its phase, and its pages."""

from collections.abc import Callable
from datetime import datetime
from typing import Any, Literal

from farwatch_api.deps import Deps
from farwatch_api.envelope import page
from farwatch_api.queries.cursors import decode_cursor, encode_cursor
from farwatch_api.rows import Row

Phase = Literal["cancelled", "scheduled", "current", "over"]


def phase(row: Row, now: datetime) -> Phase:
    if row["cancelled_at"] is not None:
        return "cancelled"
    if now < row["starts_at"]:
        return "scheduled"
    return "current" if now < row["ends_at"] else "over"


async def span_page(
    deps: Deps, name: str, query: str, describe: Callable[[Row], dict[str, Any]], limit: int, cursor: str | None
) -> dict[str, Any]:
    """`query` takes the id before which to look, or null, and how many. `name` is what its cursors are good for."""
    before = decode_cursor(name, cursor, (int,)) or [None]
    async with deps.read() as connection:
        rows = await connection.fetch(query, before[0], limit + 1)
    items = [describe(row) for row in rows[:limit]]
    return page(items, encode_cursor(name, (items[-1]["id"],)) if len(rows) > limit else None)
