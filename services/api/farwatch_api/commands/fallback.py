"""The channel that gets what another one never took."""

from typing import Any

from farwatch_api.auth.identity import Identity
from farwatch_api.commands.monitors import require_channels
from farwatch_api.deps import Deps
from farwatch_api.problems import Invalid
from farwatch_events.events import ChannelUpdated
from farwatch_events.monitor import MonitorId, Strict
from farwatch_store import Connection, append

KEY = "fallback_channel"

_READ = """
    select c.id, c.name from config.settings s join config.channels c on c.id = (s.value)::bigint
    where s.key = $1 and jsonb_typeof(s.value) = 'number' and c.deleted_at is null
"""
_WRITE = """
    insert into config.settings (key, value) values ($1, $2)
    on conflict (key) do update set value = excluded.value, updated_at = now()
"""
_CLEAR = "delete from config.settings where key = $1"


class FallbackBody(Strict):
    """`channel_id` null: what a channel never took is told to nobody else."""

    channel_id: MonitorId | None


async def read_fallback(connection: Connection) -> dict[str, Any]:
    row = await connection.fetchrow(_READ, KEY)
    return {"channel_id": None, "name": None} if row is None else {"channel_id": row["id"], "name": row["name"]}


async def set_fallback(deps: Deps, identity: Identity, channel_id: int | None) -> None:
    """The log tells it as a change of the channel that begins or ceases to be it. Raises Invalid."""
    async with deps.write() as connection:
        if channel_id is not None:
            await _require(connection, channel_id)
        before = (await read_fallback(connection))["channel_id"]
        if before == channel_id:
            return
        await (connection.execute(_CLEAR, KEY) if channel_id is None else connection.execute(_WRITE, KEY, channel_id))
        changed = [each for each in (before, channel_id) if each is not None]
        for each in changed:
            event = ChannelUpdated(at_ms=deps.now_ms(), channel_id=each, changed=["fallback"])
            await append(connection, event.stream, [event], identity.meta, None)


async def _require(connection: Connection, channel_id: int) -> None:
    try:
        await require_channels(connection, [channel_id])
    except Invalid as error:
        raise Invalid.at("channel_id", error.problems[0]["message"]) from None
