"""Reading the configuration and keeping the epoch, in PostgreSQL."""

from collections.abc import Collection
from dataclasses import dataclass

from farwatch_events.events import EpochStarted, EventMeta, SlotsParked, SlotsReleased
from farwatch_scheduler.monitors import OWN, Row
from farwatch_store import Connection, Database, append

_META = EventMeta(actor="scheduler")
_STREAM = "schedule"
_SAVE_SECONDS = 2.0

# Taken apart there, where it is done beside our own work: most rows have their text without the own fields in common.
_BY_ID = """
    select id, config_version, type, enabled, deleted_at is not null,
           spec->>'name', spec->>'url', spec->>'host', (spec - $2::text[])::text
    from config.monitors where id = any($1::bigint[])
"""

_SCHEDULED = "deleted_at is null and enabled and type <> 'push'"

_VERSIONS_AFTER = f"""
    select id, config_version from config.monitors where {_SCHEDULED} and id > $1 order by id limit $2
"""  # noqa: S608

_IDS = f"select id from config.monitors where {_SCHEDULED}"  # noqa: S608

_REGIONS = "select name from config.regions where enabled"

_TAKE_EPOCH = """
    update schedule.epoch set epoch = epoch + 1, holder = $1, taken_at = now() returning epoch, checkpoint_ms
"""

_SAVE_CHECKPOINT = "update schedule.epoch set checkpoint_ms = $1 where epoch = $2"


@dataclass(frozen=True, slots=True)
class Epoch:
    """`checkpoint_ms` is where the scheduler before got to, 0 when there was none."""

    number: int
    checkpoint_ms: int


async def read_monitors(connection: Connection, monitor_ids: Collection[int]) -> list[Row]:
    """The rows of these monitors, whatever their condition; deleted ones are rows too."""
    records = await connection.fetch(_BY_ID, list(monitor_ids), list(OWN))
    return [Row(*record) for record in records]


async def read_versions(connection: Connection, after_id: int, limit: int) -> list[tuple[int, int]]:
    """Id and configuration version of the next monitors that are to be checked, by id."""
    return [(record[0], record[1]) for record in await connection.fetch(_VERSIONS_AFTER, after_id, limit)]


async def read_ids(connection: Connection) -> set[int]:
    """All monitors that are to be checked."""
    return {record[0] for record in await connection.fetch(_IDS)}


async def read_enabled_regions(connection: Connection) -> list[str]:
    return [record["name"] for record in await connection.fetch(_REGIONS)]


async def take_epoch(db: Database, holder: str, reason: str, at_ms: int) -> Epoch:
    """The next epoch is ours: whoever had the last one finds out at its next checkpoint."""
    async with db.transaction() as connection:
        record = await connection.fetchrow(_TAKE_EPOCH, holder)
        assert record is not None, "schedule.epoch has lost its row"
        event = EpochStarted(at_ms=at_ms, epoch=record["epoch"], holder=holder, reason=reason)
        await append(connection, _STREAM, [event], _META, None)
    return Epoch(record["epoch"], record["checkpoint_ms"])


async def save_checkpoint(db: Database, epoch: int, checkpoint_ms: int) -> bool:
    """False when the epoch is no longer ours."""
    async with db.connection(_SAVE_SECONDS) as connection:
        return await connection.execute(_SAVE_CHECKPOINT, checkpoint_ms, epoch) == "UPDATE 1"


async def record_parked(db: Database, at_ms: int, ahead_ms: int, *, parked: bool) -> None:
    """That slots are held back from now on, or no longer."""
    event = (SlotsParked if parked else SlotsReleased)(at_ms=at_ms, ahead_ms=ahead_ms)
    async with db.transaction() as connection:
        await append(connection, _STREAM, [event], _META, None)
