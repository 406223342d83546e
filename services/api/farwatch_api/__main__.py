"""Wiring of the api service."""

import asyncio
import contextlib
import sys
from collections.abc import Iterator

import uvicorn
from fastapi import FastAPI

from farwatch_api import web
from farwatch_api.app import create_app
from farwatch_api.auth import setup
from farwatch_api.auth.passwords import Passwords
from farwatch_api.background import end_drills, move_windows_on, sweep_regularly
from farwatch_api.deps import Deps
from farwatch_api.hub import Hub
from farwatch_api.push import PushGateway, push_publisher
from farwatch_api.settings import ApiSettings
from farwatch_bus import Bus
from farwatch_runtime.clock import now_ms
from farwatch_runtime.secrets import SecretBox
from farwatch_runtime.service import Service, run
from farwatch_store import Database

ROLE = "farwatch_api"


class Server(uvicorn.Server):
    """The service handles the signals; uvicorn must not."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


def make_server(app: FastAPI, settings: ApiSettings) -> Server:
    return Server(
        uvicorn.Config(
            app,
            host=settings.host,
            port=settings.port,
            loop="none",
            http="httptools",
            lifespan="off",
            log_config=None,
            access_log=False,
            log_level="warning",
            server_header=False,
            date_header=True,
            proxy_headers=bool(settings.trusted_proxies),
            forwarded_allow_ips=settings.trusted_proxies or None,
            timeout_graceful_shutdown=3,
            timeout_keep_alive=30,
            limit_concurrency=1000,
        )
    )


async def body(service: Service, settings: ApiSettings) -> None:
    box = SecretBox.from_file(settings.secret_key_file)
    db = await Database.connect(
        settings.database_url.get_secret_value(), ROLE, max_size=settings.database_pool_size, name="farwatch_api"
    )
    bus = await Bus.connect(
        settings.nats_url,
        name="api",
        user=settings.nats_user,
        password=settings.nats_password.get_secret_value() if settings.nats_password else None,
        domain=settings.nats_domain,
        ca_file=str(settings.nats_ca_file) if settings.nats_ca_file else None,
        cert_file=str(settings.nats_cert_file) if settings.nats_cert_file else None,
        key_file=str(settings.nats_key_file) if settings.nats_key_file else None,
        stop=service.stop,
    )
    deps = Deps(db, bus, push_publisher(bus), box, settings, Hub(db), Passwords(), service.health, service.registry)
    try:
        await serve(service, deps)
    finally:
        deps.passwords.close()
        await bus.close()
        await db.close()


async def serve(service: Service, deps: Deps) -> None:
    app = create_app(deps)
    server = make_server(app, deps.settings)
    config = server.config
    config.load()
    listener = config.bind_socket()
    port = listener.getsockname()[1]
    host = "127.0.0.1" if deps.settings.host in ("0.0.0.0", "::", "") else deps.settings.host
    url = deps.settings.public_url or f"http://{host}:{port}"
    await setup.prepare(deps.db, deps.settings, deps.passwords, url, now_ms())
    await deps.hub.start(deps.bus)
    _ = service.spawn("templates", web.compile_templates(app))
    _ = service.spawn("hub", deps.hub.run(service.stop))
    _ = service.spawn("push", PushGateway(deps.bus, deps.publisher).run(service.stop))
    _ = service.spawn("sweep", sweep_regularly(deps.db, service.stop))
    _ = service.spawn("drills", end_drills(deps, service.stop))
    _ = service.spawn("windows", move_windows_on(deps, service.stop))
    serving = asyncio.create_task(server.serve(sockets=[listener]), name="uvicorn")
    service.ready()
    service.log.info("listening", host=deps.settings.host, port=port, url=url)
    stopping = asyncio.create_task(service.stop.wait())
    await asyncio.wait([serving, stopping], return_when=asyncio.FIRST_COMPLETED)
    stopping.cancel()
    await deps.hub.close()
    server.should_exit = True
    await serving


if __name__ == "__main__":
    sys.exit(run("api", ApiSettings, body))
