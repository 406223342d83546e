"""`python -m farwatch_scheduler`"""

import sys

from farwatch_bus import Bus, ensure_leases
from farwatch_runtime.service import Service, run
from farwatch_scheduler.metrics import Metrics
from farwatch_scheduler.scheduler import Scheduler
from farwatch_scheduler.settings import SchedulerSettings
from farwatch_store import Database

PROGRESS_SECONDS = 30.0


async def serve(service: Service, settings: SchedulerSettings) -> None:
    db = await Database.connect(
        settings.database_url.get_secret_value(),
        role="farwatch_scheduler",
        max_size=settings.database_pool_size,
        name="farwatch-scheduler",
    )
    bus = await Bus.connect(
        settings.nats_url,
        name="scheduler",
        user=settings.nats_user,
        password=settings.nats_password.get_secret_value() if settings.nats_password else None,
        domain=settings.nats_domain,
        ca_file=str(settings.nats_ca_file) if settings.nats_ca_file else None,
        cert_file=str(settings.nats_cert_file) if settings.nats_cert_file else None,
        key_file=str(settings.nats_key_file) if settings.nats_key_file else None,
        stop=service.stop,
    )
    try:
        await ensure_leases(bus)
        service.ready()
        scheduler = Scheduler(bus, db, Metrics(service.registry), service.progress("scheduler", PROGRESS_SECONDS))
        await scheduler.run(service.stop)
    finally:
        await bus.close()
        await db.close()


if __name__ == "__main__":
    sys.exit(run("scheduler", SchedulerSettings, serve))
