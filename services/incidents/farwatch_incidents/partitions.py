"""Daily partitions of the raw results: made before they are needed, dropped when they are too old."""

import re
from collections.abc import Iterable
from datetime import date, timedelta

from farwatch_incidents.history import DAY_MS
from farwatch_store import Connection, transaction_on

_NAME = re.compile(r"^check_results_(\d{4})(\d\d)(\d\d)$")
_EPOCH = date(1970, 1, 1)
_LOCK = "select pg_advisory_xact_lock(hashtext('farwatch partitions'))"

_PRESENT = """
    select c.relname from pg_inherits i join pg_class c on c.oid = i.inhrelid
    where i.inhparent = 'health.check_results'::regclass and not i.inhdetachpending
"""

# Also those that a crash left detached, or half detached.
_STORED = """
    select c.relname, i.inhdetachpending as pending
    from pg_class c left join pg_inherits i on i.inhrelid = c.oid
    where c.relnamespace = 'health'::regnamespace and c.relkind = 'r' and c.relname like 'check\\_results\\_%'
"""


def date_of(day: int) -> date:
    """Of days since 1970."""
    return _EPOCH + timedelta(days=day)


def day_of(ms: int) -> int:
    return ms // DAY_MS


def partition_name(day: int) -> str:
    return f"check_results_{date_of(day):%Y%m%d}"


def day_named(table: str) -> int | None:
    """Days since 1970 of a partition's name, None for another table."""
    match = _NAME.match(table)
    return None if match is None else (date(*(int(part) for part in match.groups())) - _EPOCH).days


async def present_days(connection: Connection) -> set[int]:
    """Days since 1970 that have a partition."""
    found = (day_named(row["relname"]) for row in await connection.fetch(_PRESENT))
    return {day for day in found if day is not None}


async def stored_days(connection: Connection) -> dict[int, str]:
    """Days since 1970 that take up room, and how their table stands: "attached", "pending" (half detached), "apart"."""
    standing = {None: "apart", True: "pending", False: "attached"}
    rows = await connection.fetch(_STORED)
    return {day: standing[row["pending"]] for row in rows if (day := day_named(row["relname"])) is not None}


async def ensure_days(connection: Connection, days: Iterable[int]) -> None:
    """Makes the partitions that are missing. Made beside the table and attached: that locks no reader out."""
    for day in sorted(set(days)):
        async with transaction_on(connection):
            await connection.execute(_LOCK)
            if day in await present_days(connection):
                continue
            name, first, after = partition_name(day), date_of(day), date_of(day + 1)
            await connection.execute(
                f"create table if not exists health.{name} (like health.check_results including defaults)"
            )
            await connection.execute(
                f"alter table health.check_results attach partition health.{name} "
                f"for values from ('{first} 00:00+00') to ('{after} 00:00+00')"
            )


async def drop_day(connection: Connection, day: int, standing: str) -> None:
    """Takes a day's results out of the table, then away; `standing` as stored_days tells it.

    Detached concurrently, so that nobody waits for us: not even the fold, behind a reader for whom we wait. Broken off
    anywhere, the next call goes on from there. Raises LockNotAvailableError or QueryCanceledError behind a long reader.
    """
    name = f"health.{partition_name(day)}"
    if standing == "attached":
        await connection.execute(f"alter table health.check_results detach partition {name} concurrently")
    elif standing == "pending":
        await connection.execute(f"alter table health.check_results detach partition {name} finalize")
    async with transaction_on(connection):
        await connection.execute("set local lock_timeout = '2s'")
        await connection.execute(f"drop table {name}")
