"""Daily partitions of the raw results: made before they are needed, dropped when they are too old."""

import re
from collections.abc import Iterable
from datetime import date, timedelta

from farwatch_incidents.history import DAY_MS
from farwatch_store import Connection

_NAME = re.compile(r"^check_results_(\d{4})(\d\d)(\d\d)$")
_EPOCH = date(1970, 1, 1)
_LOCK = "select pg_advisory_xact_lock(hashtext('farwatch partitions'))"

_PRESENT = """
    select c.relname from pg_inherits i join pg_class c on c.oid = i.inhrelid
    where i.inhparent = 'health.check_results'::regclass
"""


def date_of(day: int) -> date:
    """Of days since 1970."""
    return _EPOCH + timedelta(days=day)


def day_of(ms: int) -> int:
    return ms // DAY_MS


def partition_name(day: int) -> str:
    return f"check_results_{date_of(day):%Y%m%d}"


async def present_days(connection: Connection) -> set[int]:
    """Days since 1970 that have a partition."""
    days = set()
    for row in await connection.fetch(_PRESENT):
        if match := _NAME.match(row["relname"]):
            days.add((date(*(int(part) for part in match.groups())) - _EPOCH).days)
    return days


async def ensure_days(connection: Connection, days: Iterable[int]) -> None:
    """Makes the partitions that are missing. Made beside the table and attached: that locks no reader out."""
    for day in sorted(set(days)):
        async with connection.transaction():
            await connection.execute(_LOCK)
            if day in await present_days(connection):
                continue
            name, first, after = partition_name(day), date_of(day), date_of(day + 1)
            await connection.execute(f"create table health.{name} (like health.check_results including defaults)")
            await connection.execute(
                f"alter table health.check_results attach partition health.{name} "
                f"for values from ('{first} 00:00+00') to ('{after} 00:00+00')"
            )


async def drop_day(connection: Connection, day: int) -> None:
    """Drops a day's results. Raises LockNotAvailableError after 2 s behind a long reader: nobody may queue up."""
    async with connection.transaction():
        await connection.execute("set local lock_timeout = '2s'")
        await connection.execute(f"drop table if exists health.{partition_name(day)}")
