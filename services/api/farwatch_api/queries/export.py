"""Every single result of a monitor in the order of time, page by page: memory stays the same however many there are."""

import csv
import io
import json
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AbstractAsyncContextManager
from datetime import datetime
from typing import Any

from farwatch_api.envelope import timestamp
from farwatch_api.rows import Row
from farwatch_api.views import rounded
from farwatch_store import Connection

PAGE_ROWS = 2_000

COLUMNS = (
    "slot", "region", "kind", "outcome", "latency_ms", "dns_ms", "connect_ms", "tls_ms", "wait_ms", "transfer_ms",
    "late_ms", "status_code", "attempts", "error_class", "error",
)  # fmt: skip
_FIGURES = frozenset({"latency_ms", "dns_ms", "connect_ms", "tls_ms", "wait_ms", "transfer_ms"})

# Spreadsheets run what begins so; a target chooses the words of its errors.
_FORMULA = ("=", "+", "-", "@", "\t", "\r")

_PAGE = """
    select slot, region, kind, outcome, latency_ms, dns_ms, connect_ms, tls_ms, wait_ms, transfer_ms, late_ms,
        status_code, attempts, error_class, error
    from health.check_results
    where monitor_id = $1 and slot >= $2 and slot < $3 and ($4::text is null or region = $4)
        and ($5::text is null or (slot, region, coalesce(kind, '')) > ($2, $5, $6::text))
    order by slot, region, coalesce(kind, '') limit $7
"""

Read = Callable[[], AbstractAsyncContextManager[Connection]]


async def read_pages(
    read: Read, monitor_id: int, since: datetime, until: datetime, region: str | None, rows_a_page: int = PAGE_ROWS
) -> AsyncIterator[Sequence[Row]]:
    """Pages from `since` to before `until`. Holds no connection while whoever reads is slow."""
    after: tuple[str, str] | None = None
    while True:
        async with read() as connection:
            key = after or (None, None)
            rows = await connection.fetch(_PAGE, monitor_id, since, until, region, *key, rows_a_page)
        if rows:
            yield rows
        if len(rows) < rows_a_page:
            return
        last = rows[-1]
        since, after = last["slot"], (last["region"], last["kind"] or "")


def as_values(row: Row) -> dict[str, Any]:
    values = {name: rounded(row[name]) if name in _FIGURES else row[name] for name in COLUMNS}
    return values | {"slot": timestamp(row["slot"]), "kind": row["kind"] or "scheduled"}


def as_json_lines(rows: Sequence[Row]) -> bytes:
    lines = (json.dumps(as_values(row), ensure_ascii=False, separators=(",", ":")) for row in rows)
    return "".join(f"{line}\n" for line in lines).encode("utf-8", "replace")


def as_csv(rows: Sequence[Row], *, header: bool) -> bytes:
    """RFC 4180: commas, CRLF, quotes where needed. A text that a spreadsheet would run begins with an apostrophe."""
    text = io.StringIO()
    writer = csv.writer(text)
    if header:
        writer.writerow(COLUMNS)
    for row in rows:
        writer.writerow([harmless(value) for value in as_values(row).values()])
    return text.getvalue().encode("utf-8", "replace")


def harmless(value: Any) -> Any:
    if isinstance(value, str) and value.startswith(_FORMULA):
        return f"'{value}"
    return "" if value is None else value
