"""When somebody last said that a page is right as it is now."""

from datetime import datetime

from farwatch_events.events import ContentAccepted
from farwatch_store import Connection

_ACCEPTED = """
    select recorded_at from log.events where stream = $1 and type = $2 order by stream_version desc limit 1
"""


async def content_accepted_at(connection: Connection, monitor_id: int) -> datetime | None:
    event = ContentAccepted(at_ms=0, monitor_id=monitor_id)
    found: datetime | None = await connection.fetchval(_ACCEPTED, event.stream, event.type)
    return found
