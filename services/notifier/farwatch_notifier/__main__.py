"""Wires the notifier and runs it."""

import os
import sys

from farwatch_bus import Bus, BusClosed
from farwatch_notifier.app import Notifier
from farwatch_notifier.outbound import Outbound
from farwatch_notifier.retention import retain_regularly
from farwatch_notifier.settings import NotifierSettings
from farwatch_runtime.secrets import SecretBox
from farwatch_runtime.service import Service, run
from farwatch_store import Database

PROGRESS_MAX_AGE_SECONDS = 60.0
RESOLVER_THREADS = 64


async def serve(service: Service, settings: NotifierSettings) -> None:
    box = SecretBox.from_file(settings.secret_key_file)
    outbound = Outbound.create(settings.ca_file)
    db = await Database.connect(
        settings.database_url.get_secret_value(),
        role="farwatch_notifier",
        max_size=settings.database_pool_size,
        name="farwatch_notifier",
    )
    try:
        notifier = Notifier(db, box, outbound, service.registry, settings.public_url)
        _ = service.spawn("bus", listen(service, settings, notifier))
        _ = service.spawn("retention", retain_regularly(db, settings.keep_deliveries_days, service.stop))
        await notifier.run(service.stop, service.progress("dispatch", PROGRESS_MAX_AGE_SECONDS))
    finally:
        await outbound.close()
        await db.close()


async def listen(service: Service, settings: NotifierSettings, notifier: Notifier) -> None:
    """Beside the work, not before it: deliveries under way must not wait for NATS."""
    password = settings.nats_password
    try:
        bus = await Bus.connect(
            settings.nats_url,
            name="farwatch-notifier",
            user=settings.nats_user,
            password=password.get_secret_value() if password is not None else None,
            domain=settings.nats_domain,
            ca_file=_text(settings.nats_ca_file),
            cert_file=_text(settings.nats_cert_file),
            key_file=_text(settings.nats_key_file),
            stop=service.stop,
        )
    except BusClosed:
        return
    try:
        await notifier.attach(bus)
        service.ready()
        await service.stop.wait()
    finally:
        await bus.close()


def _text(path: object) -> str | None:
    return None if path is None else str(path)


def main() -> int:
    # uvloop resolves names in libuv's threads, of which there are 4: as many names that never answer would stop all.
    os.environ.setdefault("UV_THREADPOOL_SIZE", str(RESOLVER_THREADS))
    return run("notifier", NotifierSettings, serve)


if __name__ == "__main__":
    sys.exit(main())
