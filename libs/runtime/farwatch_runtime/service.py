"""The life of a service: settings, logging, signals, side tasks, health, and an orderly end."""

import asyncio
import signal
import sys
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, TypeVar

import structlog
import uvloop
from prometheus_client import CollectorRegistry, Gauge, PlatformCollector, ProcessCollector

from farwatch_runtime.collector import SearchTimer, calm_collector
from farwatch_runtime.health import Health, HealthServer
from farwatch_runtime.logs import configure_logging
from farwatch_runtime.settings import ServiceSettings, SettingsError

SettingsT = TypeVar("SettingsT", bound=ServiceSettings)
T = TypeVar("T")

EXIT_OK, EXIT_FAILED, EXIT_SETTINGS = 0, 1, 2
STOP_GRACE_SECONDS = 7.0
CANCEL_GRACE_SECONDS = 1.5
LAG_PERIOD_SECONDS = 0.5
STANDSTILL_SECONDS = 1.0
"""Nearly as long as a lease lasts."""


class Service:
    """One running service. Tests make their own and call the body with it; `run` makes it for a process."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.stop = asyncio.Event()
        self.log = structlog.get_logger(f"farwatch_{name}")
        self.registry = CollectorRegistry()
        self.health = Health(name)
        self.failed: str | None = None
        self._tasks: set[asyncio.Task[Any]] = set()

    def spawn(self, name: str, coroutine: Coroutine[Any, Any, T]) -> asyncio.Task[T]:
        """Run a side task. If it dies with an exception, the service stops with exit 1."""
        task = asyncio.create_task(coroutine, name=name)
        self._tasks.add(task)
        task.add_done_callback(self._side_task_done)
        return task

    def progress(self, name: str, max_age_seconds: float) -> Callable[[], None]:
        """Call the result on every step of work; /healthz answers 503 when the last is too long ago."""
        return self.health.watch(name, max_age_seconds)

    def ready(self) -> None:
        calm_collector()
        self.health.ready = True

    def fail(self, reason: str) -> None:
        """Stop the service with exit 1; the first reason is kept."""
        self.failed = self.failed or reason
        self.request_stop()

    def request_stop(self) -> None:
        self.health.stopping = True
        self.stop.set()

    async def close(self, timeout_seconds: float = CANCEL_GRACE_SECONDS) -> None:
        """Cancel the side tasks and wait for them."""
        tasks = set(self._tasks)
        for task in tasks:
            task.cancel()
        if tasks:
            _, hung = await asyncio.wait(tasks, timeout=timeout_seconds)
            for task in hung:
                self.log.warning("side_task_hung", task=task.get_name())

    def _side_task_done(self, task: asyncio.Task[Any]) -> None:
        self._tasks.discard(task)
        if task.cancelled() or (error := task.exception()) is None:
            return
        self.log.error("side_task_died", task=task.get_name(), exc_info=error)
        self.fail(f"side task {task.get_name()} died: {type(error).__name__}")


def run(
    name: str,
    settings_class: type[SettingsT],
    body: Callable[[Service, SettingsT], Awaitable[None]],
) -> int:
    """Run a service until it is told to stop, and return the exit code: 0 stopped, 1 failed, 2 bad settings."""
    try:
        settings = settings_class.load()
    except SettingsError as error:
        sys.stderr.write(f"farwatch {name}: {error}\n")
        return EXIT_SETTINGS
    configure_logging(name, settings.log_level, settings.log_format)
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(_live(Service(name), settings, body))


async def _live(service: Service, settings: SettingsT, body: Callable[[Service, SettingsT], Awaitable[None]]) -> int:
    _listen_to_signals(service)
    ProcessCollector(registry=service.registry)
    PlatformCollector(registry=service.registry)
    server = HealthServer(service.health, service.registry, _plain(settings))
    try:
        await _start_health(service, server, settings)
        _ = service.spawn("loop-lag", _measure_loop_lag(service.registry, service.log))
        await _run_body(service, asyncio.ensure_future(body(service, settings)))
    finally:
        service.request_stop()
        await service.close()
        await server.close()
    service.log.info("stopped", reason=service.failed or "asked to")
    return EXIT_FAILED if service.failed else EXIT_OK


def _plain(settings: ServiceSettings) -> str | None:
    return settings.metrics_token.get_secret_value() if settings.metrics_token else None


def _listen_to_signals(service: Service) -> None:
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, service.request_stop)


async def _start_health(service: Service, server: HealthServer, settings: ServiceSettings) -> None:
    if settings.health_port < 0:
        return
    try:
        port = await server.start(settings.health_host, settings.health_port)
    except OSError as error:
        wanted = f"{settings.health_host}:{settings.health_port}"
        service.log.error("health_port_taken", address=wanted, error=str(error), setting="FARWATCH_HEALTH_PORT")
        raise SystemExit(EXIT_SETTINGS) from None
    service.log.info("health_listening", host=settings.health_host, port=port)


async def _run_body(service: Service, body: asyncio.Future[Any]) -> None:
    """Wait for the body; after a stop it has STOP_GRACE_SECONDS to finish what is in flight."""
    stop: asyncio.Future[Any] = asyncio.create_task(service.stop.wait())
    await asyncio.wait([body, stop], return_when=asyncio.FIRST_COMPLETED)
    stop.cancel()
    if not body.done():
        service.health.stopping = True
        await asyncio.wait({body}, timeout=STOP_GRACE_SECONDS)
    if not body.done():
        service.log.warning("stop_took_too_long", seconds=STOP_GRACE_SECONDS)
        body.cancel()
        await asyncio.wait({body}, timeout=CANCEL_GRACE_SECONDS)
    if not body.done() or body.cancelled() or (error := body.exception()) is None:
        return
    if service.stop.is_set() and not service.health.ready:
        # Broke off a start that waited for a server: there was nothing to lose.
        service.log.info("stopped_before_ready", waiting_for=str(error))
        return
    service.log.error("service_failed", exc_info=error)
    service.fail(f"{type(error).__name__}: {error}")


async def _measure_loop_lag(registry: CollectorRegistry, log: Any) -> None:
    gauge = Gauge("farwatch_loop_lag_seconds", "How late the event loop ran a timer, last sample", registry=registry)
    loop = asyncio.get_running_loop()
    searches = SearchTimer()
    try:
        while True:
            due = loop.time() + LAG_PERIOD_SECONDS
            await asyncio.sleep(LAG_PERIOD_SECONDS)
            late, searched = max(0.0, loop.time() - due), searches.take_seconds()
            gauge.set(late)
            if late > STANDSTILL_SECONDS:
                log.warning("loop_stood_still", seconds=round(late, 1), searching_garbage_seconds=round(searched, 1))
    finally:
        searches.close()
