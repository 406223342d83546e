"""What the services left about themselves."""

import time
from typing import Any

from farwatch_api.deps import Deps
from farwatch_api.presentation.system import Facts, system_status
from farwatch_events.events import EVENT_TYPES, DomainEvent
from farwatch_store import Connection

_REACHED = """
    select (select now_ms from health.shards where shard = '0') as folded_ms,
        (select checkpoint_ms from schedule.epoch) as scheduled_ms
"""

# Of each consumer the oldest event that it has not dealt with.
_BEHIND = """
    select p.consumer, extract(epoch from clock_timestamp() - e.recorded_at)::float8 as seconds
    from log.positions p join log.events e on e.position = p.position + 1
"""

_TOLD = """
    select type, data from (
        select type, data, stream_version from log.events where stream = 'system' order by stream_version desc limit 200
    ) newest order by stream_version
"""


async def system_facts(connection: Connection) -> Facts:
    reached = await connection.fetchrow(_REACHED)
    behind = {row["consumer"]: row["seconds"] for row in await connection.fetch(_BEHIND)}
    told: list[DomainEvent] = [
        EVENT_TYPES[row["type"]].model_validate(row["data"])
        for row in await connection.fetch(_TOLD)
        if row["type"] in EVENT_TYPES
    ]
    folded_ms, scheduled_ms = (reached["folded_ms"], reached["scheduled_ms"]) if reached else (0, 0)
    return Facts(folded_ms or 0, scheduled_ms or 0, behind, tuple(told))


async def read_system(deps: Deps, connection: Connection) -> dict[str, Any]:
    """What GET /api/status and the line on every page say of Farwatch itself."""
    return system_status(
        await system_facts(connection),
        deps.now(),
        bus_connected=deps.bus.connected,
        running_seconds=time.monotonic() - deps.started,
    )
