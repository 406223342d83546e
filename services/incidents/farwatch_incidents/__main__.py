"""`python -m farwatch_incidents`: wires, and nothing else."""

import asyncio

from farwatch_bus import Bus
from farwatch_events import subjects
from farwatch_incidents.app import holder_name, prepare, run_fold, run_relay, run_under_lease
from farwatch_incidents.canary import Canary
from farwatch_incidents.fold import Fold
from farwatch_incidents.jobs import run_jobs
from farwatch_incidents.metrics import Metrics
from farwatch_incidents.retention import Keep
from farwatch_incidents.settings import IncidentsSettings
from farwatch_incidents.watching import Gauges, Watcher
from farwatch_runtime.service import Service, run
from farwatch_store import Database

ROLE = "farwatch_incidents"
IDLE_SECONDS = 3.0
"""Longer than a lease: whoever is silent for so long in a transaction has lost it, and holds up the next fold."""


async def body(service: Service, settings: IncidentsSettings) -> None:
    password = settings.nats_password
    db = await Database.connect(
        settings.database_url.get_secret_value(),
        ROLE,
        max_size=settings.database_pool_size,
        name=ROLE,
        idle_seconds=IDLE_SECONDS,
    )
    bus = await Bus.connect(
        settings.nats_url,
        name="incidents",
        user=settings.nats_user,
        password=password.get_secret_value() if password else None,
        domain=settings.nats_domain,
        ca_file=str(settings.nats_ca_file) if settings.nats_ca_file else None,
        cert_file=str(settings.nats_cert_file) if settings.nats_cert_file else None,
        key_file=str(settings.nats_key_file) if settings.nats_key_file else None,
        stop=service.stop,
    )
    try:
        await prepare(bus, db, service.stop)
        await work(service, settings, bus, db, holder_name())
    finally:
        await bus.close()
        await db.close()


async def work(service: Service, settings: IncidentsSettings, bus: Bus, db: Database, holder: str) -> None:
    fold = Fold(bus, db, Metrics(service.registry), settings.keep_raw_days)
    keep = Keep(settings.keep_raw_days, settings.keep_hourly_days, settings.keep_daily_days)
    stop = service.stop
    watcher = Watcher(bus, db, Gauges(service.registry), fold.skipping)
    url = settings.canary_push_url
    canary = Canary(url, watcher.read_flow, service.registry) if url is not None else None

    async def fold_term(over: asyncio.Event) -> None:
        fold.progress = service.progress("fold", 30.0)
        watcher.begin()
        beside = {
            asyncio.create_task(run_jobs(db, keep, over, service.progress("jobs", 3600.0))),
            asyncio.create_task(watcher.run(over, service.progress("watcher", 300.0))),
        }
        if canary is not None:
            beside.add(asyncio.create_task(canary.run(over)))
        try:
            await run_fold(bus, fold, over)
        finally:
            for task in beside:
                task.cancel()  # begun again by whoever folds next: a rollup is made anew, never continued
            await asyncio.wait(beside, timeout=3.0)
            for name in ("fold", "jobs", "watcher"):
                service.health.forget(name)  # on standby there is no progress to make

    service.ready()
    await asyncio.gather(
        run_under_lease(bus, subjects.FOLD_LEASE, holder, stop, fold_term),
        run_under_lease(bus, subjects.RELAY_LEASE, holder, stop, lambda over: run_relay(bus, db, over)),
    )


if __name__ == "__main__":
    raise SystemExit(run("incidents", IncidentsSettings, body))
