"""Many monitors at once: inserted as the api does it, with the events that every service follows, but in bulk."""

import asyncio
import time
from typing import Any

from farwatch_events.events import EventMeta, MonitorCreated
from farwatch_events.monitor import dump_monitor, parse_monitor
from farwatch_store import Database
from farwatch_store.log import Append, append_many

_AT_ONCE = 250
_PRELOADED_AT_ONCE = 5_000
_META = EventMeta(actor="bench")
_INSERT = """
    insert into config.monitors (name, type, enabled, spec, tags)
    select name, 'http', true, spec, '{bench}' from unnest($1::text[], $2::jsonb[]) as m (name, spec) returning id
"""


def specification(name: str, url: str, interval_seconds: int) -> dict[str, Any]:
    """All defaults beside the interval, as somebody would have it who pasted the URL."""
    data = {"type": "http", "name": name, "url": url, "interval_seconds": interval_seconds, "tags": ["bench"]}
    return dump_monitor(parse_monitor(data))


async def insert_monitors(db: Database, url: str, monitors: int, interval_seconds: int, per_second: float) -> list[int]:
    """The ids. Each monitor has its own query string, so that no two specifications are the same.

    Each is checked at once beside its place on the ring, so `per_second` comes on top of the load that is there.
    """
    ids: list[int] = []
    began = time.monotonic()
    template = specification("bench", url, interval_seconds)
    for start in range(0, monitors, _AT_ONCE):
        numbers = range(start, min(start + _AT_ONCE, monitors))
        specs = [{**template, "name": f"Bench {each}", "url": f"{url}?{each}"} for each in numbers]
        async with db.transaction() as connection:
            rows = await connection.fetch(_INSERT, [each["name"] for each in specs], specs)
            new = [row["id"] for row in rows]
            events = [
                MonitorCreated(at_ms=time.time_ns() // 1_000_000, monitor_id=monitor_id, config_version=1, spec=spec)
                for monitor_id, spec in zip(new, specs, strict=True)
            ]
            await append_many(connection, [Append(each.stream, [each], _META, 0) for each in events])
        ids += new
        await asyncio.sleep(max(0.0, began + len(ids) / per_second - time.monotonic()))
    return ids


async def preload_monitors(db: Database, url: str, monitors: int, interval_seconds: int) -> None:
    """Rows alone, without events: for a Farwatch that is stopped and finds them when it starts."""
    template = specification("bench", url, interval_seconds)
    for start in range(0, monitors, _PRELOADED_AT_ONCE):
        numbers = range(start, min(start + _PRELOADED_AT_ONCE, monitors))
        specs = [{**template, "name": f"Bench {each}", "url": f"{url}?{each}"} for each in numbers]
        async with db.transaction() as connection:
            await connection.execute(_INSERT, [each["name"] for each in specs], specs)


async def all_ids(db: Database) -> list[int]:
    async with db.connection(60) as connection:
        return [row["id"] for row in await connection.fetch("select id from config.monitors order by id")]
