"""Messages that nobody will ask about any more are removed, in small steps."""

import asyncio

import structlog

from farwatch_store import Database, StoreUnavailable

ROUND_SECONDS = 3600.0
ROWS_A_STATEMENT = 1_000

# What an open incident was told of decides who hears of its end, and so does the newest of any other thread (a region
# that is still silent): those stay, however old. Attempts and items go with their delivery.
_DELETE = """
    delete from alerting.deliveries where id = any(array(
        select d.id from alerting.deliveries d
        where d.created_at < now() - make_interval(days => $1) and d.state <> 'pending'
            and not exists (select from health.incidents i where i.state <> 'resolved' and (i.id = d.incident_id
                or 'incident-' || i.id in (select t.thread from alerting.delivery_items t where t.delivery_id = d.id)))
            and (d.incident_id is not null or exists (
                select from alerting.deliveries later
                where later.channel_id = d.channel_id and later.thread = d.thread and later.id > d.id
            ))
        order by d.id limit $2
    ))
"""

log = structlog.get_logger("farwatch_notifier")


async def retain(db: Database, keep_days: int) -> int:
    """Removes what is older; returns how many deliveries that were."""
    removed = 0
    while True:
        async with db.connection() as connection:
            answer = await connection.execute(_DELETE, keep_days, ROWS_A_STATEMENT)
        found = int(answer.rpartition(" ")[2])
        removed += found
        if found < ROWS_A_STATEMENT:
            return removed


async def retain_regularly(db: Database, keep_days: int, stop: asyncio.Event) -> None:
    """Now and every hour, until `stop`."""
    while not stop.is_set():
        try:
            if removed := await retain(db, keep_days):
                log.info("old_deliveries_removed", deliveries=removed)
        except StoreUnavailable as error:
            log.info("retention_postponed", error=str(error))
        try:
            async with asyncio.timeout(ROUND_SECONDS):
                await stop.wait()
        except TimeoutError:
            continue
