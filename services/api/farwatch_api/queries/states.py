"""The state that people see: the stored verdict, overlaid with paused and maintenance when it is read."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from farwatch_store import Connection

STATES = ("down", "degraded", "unknown", "pending", "up", "maintenance", "paused")
"""Worst first."""

# A few rows at most, so they are read first and handed to the other statements as arrays: a subselect a monitor
# would cost more than the whole page.
_CURRENT_WINDOWS = """
    select all_monitors, monitor_ids, tags from config.maintenance
    where cancelled_at is null and starts_at <= now() and ends_at > now()
"""

STATE = """
    case when not m.enabled then 'paused'
         when $1::boolean or m.id = any($2::bigint[]) or m.tags && $3::text[] then 'maintenance'
         else coalesce(v.verdict, 'pending') end
"""
"""State of monitor `m` with verdict `v`; $1 to $3 are Windows.arguments()."""

RANK = f"array_position(array{list(STATES)!r}::text[], {STATE})"
"""1 is the worst."""


_OVERLAID = f"""
    select m.id, {STATE} as state
    from config.monitors m left join health.verdicts v on v.monitor_id = m.id
    where m.deleted_at is null and (not m.enabled or $1 or m.id = any($2) or m.tags && $3)
"""  # noqa: S608


@dataclass(frozen=True, slots=True)
class Windows:
    """Which monitors are in maintenance now."""

    everything: bool
    monitor_ids: list[int]
    tags: list[str]

    def arguments(self) -> tuple[bool, list[int], list[str]]:
        return self.everything, self.monitor_ids, self.tags


@dataclass(frozen=True, slots=True)
class Interval:
    """A maintenance window that touches some monitors."""

    starts_at: datetime
    ends_at: datetime
    all_monitors: bool
    monitor_ids: frozenset[int]
    tags: frozenset[str]

    def covers(self, monitor_id: int, tags: list[str]) -> bool:
        return self.all_monitors or monitor_id in self.monitor_ids or not self.tags.isdisjoint(tags)


async def current_windows(connection: Connection) -> Windows:
    rows = await connection.fetch(_CURRENT_WINDOWS)
    return Windows(
        any(row["all_monitors"] for row in rows),
        sorted({monitor_id for row in rows for monitor_id in row["monitor_ids"]}),
        sorted({tag for row in rows for tag in row["tags"]}),
    )


async def windows_since(connection: Connection, since: datetime) -> list[Interval]:
    """Windows that were in force at some time after `since`, current ones included."""
    rows: list[Any] = await connection.fetch(
        "select starts_at, coalesce(least(ends_at, cancelled_at), ends_at) as ends_at, all_monitors, monitor_ids, tags"
        " from config.maintenance where starts_at <= now() and ends_at > $1"
        " and (cancelled_at is null or cancelled_at > greatest(starts_at, $1))",
        since,
    )
    return [
        Interval(
            row["starts_at"], row["ends_at"], row["all_monitors"], frozenset(row["monitor_ids"]), frozenset(row["tags"])
        )
        for row in rows
    ]


async def overlaid_states(connection: Connection) -> dict[int, str]:
    """Monitors whose state is not their verdict."""
    windows = await current_windows(connection)
    return {row["id"]: row["state"] for row in await connection.fetch(_OVERLAID, *windows.arguments())}
