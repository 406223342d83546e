"""How far each consumer of the log has come."""

from farwatch_store.connection import Connection

_READ = "select position from log.positions where consumer = $1"

_SAVE = """
    insert into log.positions (consumer, position, updated_at) values ($1, $2, now())
    on conflict (consumer) do update set position = excluded.position, updated_at = now()
"""

_ADD = "insert into log.positions (consumer, position, updated_at) values ($1, 0, now()) on conflict do nothing"

_LOCK = "select position from log.positions where consumer = $1 for update"


async def read_position(connection: Connection, consumer: str) -> int:
    """Position of the last event the consumer has dealt with, 0 before the first."""
    return int(await connection.fetchval(_READ, consumer) or 0)


async def save_position(connection: Connection, consumer: str, position: int) -> None:
    await connection.execute(_SAVE, consumer, position)


async def lock_position(connection: Connection, consumer: str) -> int:
    """As read_position, keeping every other process of this consumer out until the transaction ends."""
    position = await connection.fetchval(_LOCK, consumer)
    if position is None:
        await connection.execute(_ADD, consumer)
        position = await connection.fetchval(_LOCK, consumer)
    return int(position)
