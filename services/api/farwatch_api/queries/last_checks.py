"""The last check of every monitor in every region, page by page."""

from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AbstractAsyncContextManager

from farwatch_api.rows import Row
from farwatch_store import Connection

MONITORS_A_PAGE = 250

_PAGE = """
    select m.id, m.name, m.type, v.verdict, s.region, s.last_check
    from (
        select id, name, type from config.monitors
        where deleted_at is null and enabled and id > $1 and ($2::text is null or tags @> array[$2])
        order by id limit $4
    ) m
    left join health.verdicts v on v.monitor_id = m.id
    left join health.monitor_state s
        on s.monitor_id = m.id and s.last_check is not null and ($3::text is null or s.region = $3)
    order by m.id, s.region
"""

_COUNT = """
    select count(*) from config.monitors
    where deleted_at is null and enabled and id > $1 and ($2::text is null or tags @> array[$2])
"""

Read = Callable[[], AbstractAsyncContextManager[Connection]]


async def read_last_checks(read: Read, tag: str | None, region: str | None) -> AsyncIterator[tuple[Sequence[Row], int]]:
    """Pages of whole monitors, each with the id that the next one begins after; `last_check` may be None."""
    after = 0
    while True:
        async with read() as connection:
            rows = await connection.fetch(_PAGE, after, tag, region, MONITORS_A_PAGE)
        if not rows:
            return
        after = rows[-1]["id"]
        yield rows, after


async def count_after(connection: Connection, after: int, tag: str | None) -> int:
    """How many monitors come after this id."""
    return int(await connection.fetchval(_COUNT, after, tag))
