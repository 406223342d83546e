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
    bus = await Bus.connect(name="scheduler", stop=service.stop, **settings.nats_options())
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
