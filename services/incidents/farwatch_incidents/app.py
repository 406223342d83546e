"""The parts of the service, put together; what runs under a lease runs in one process at a time."""

import asyncio
import os
import socket
from collections.abc import Awaitable, Callable

import structlog

from farwatch_bus import Bus, BusError, ensure_events, ensure_leases
from farwatch_events import subjects
from farwatch_events.events import RecordedEvent
from farwatch_incidents import commands
from farwatch_incidents.fold import Fold
from farwatch_incidents.following import TYPES
from farwatch_incidents.jobs import make_partitions
from farwatch_store import Database, Relay

log = structlog.get_logger("farwatch_incidents")


def holder_name() -> str:
    return f"incidents-{socket.gethostname()}-{os.getpid()}"


async def prepare(bus: Bus, db: Database, stop: asyncio.Event) -> None:
    """The lease bucket, the EVENTS stream and today's partitions; tries until it has them."""
    while not stop.is_set():
        try:
            await ensure_leases(bus)
            await ensure_events(bus)
            break
        except BusError as error:
            log.warning("bus_not_ready", error=str(error))
            await asyncio.sleep(0.5)
    await make_partitions(db)


async def run_under_lease(
    bus: Bus, name: str, holder: str, stop: asyncio.Event, body: Callable[[asyncio.Event], Awaitable[None]]
) -> None:
    """Waits for the lease and runs `body` with an event that is set when the lease is lost or `stop` is; again and
    again until `stop`. What `body` raises is raised."""
    lease = bus.lease(name, holder)
    keeper = asyncio.create_task(_keep(bus, lease.run))
    try:
        while not stop.is_set():
            if not await _first(stop, lease.wait_held()):
                continue
            over = asyncio.Event()
            work: asyncio.Future[None] = asyncio.ensure_future(body(over))
            await _first(stop, lease.wait_lost(), work)
            over.set()
            await work
    finally:
        keeper.cancel()
        await asyncio.gather(keeper, return_exceptions=True)


async def _keep(bus: Bus, run: Callable[[], Awaitable[None]]) -> None:
    """Keeps the lease's own loop running; a bucket that went away with its server is made again."""
    making = asyncio.create_task(_keep_bucket(bus))
    try:
        await run()
    finally:
        making.cancel()


async def _keep_bucket(bus: Bus) -> None:
    while True:
        await asyncio.sleep(2.0)
        if bus.connected:
            try:
                await ensure_leases(bus)
                await ensure_events(bus)
            except BusError as error:
                log.debug("streams_not_ensured", error=str(error))


async def _first(stop: asyncio.Event, *others: Awaitable[None]) -> bool:
    """Waits for the first; False when that is `stop`."""
    futures = [asyncio.ensure_future(stop.wait()), *(asyncio.ensure_future(other) for other in others)]
    keep = {other for other in others if isinstance(other, asyncio.Future)}
    try:
        await asyncio.wait(futures, return_when=asyncio.FIRST_COMPLETED)
        return not stop.is_set()
    finally:
        for future in futures:
            if future not in keep:
                future.cancel()


async def run_fold(bus: Bus, fold: Fold, over: asyncio.Event) -> None:
    """One term of being the fold: commands are answered while it lasts."""
    listening = await commands.listen(bus, fold)
    nudges = [await bus.subscribe(subjects.event(each), _nudge(fold)) for each in TYPES]
    try:
        await fold.run(over)
    finally:
        for subscription in (*listening, *nudges):
            await subscription.unsubscribe()


def _nudge(fold: Fold) -> Callable[[object], Awaitable[None]]:
    async def on_event(_: object) -> None:
        fold.look_at_log()

    return on_event


async def run_relay(bus: Bus, db: Database, over: asyncio.Event) -> None:
    """Carries the log to the EVENTS stream while the lease lasts."""
    publisher = bus.publisher()

    async def publish(event: RecordedEvent) -> None:
        await publisher.publish(subjects.event(event.type), event.to_bytes(), msg_id=event.id)

    try:
        await Relay(db, publish).run(over)
    finally:
        await publisher.close()
