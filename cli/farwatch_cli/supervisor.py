"""`farwatch up`: the servers, the migration, then the services, and all of it down again in the reverse order."""

import asyncio
import os
import signal
import socket
import time
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Final

import asyncpg
import httpx

from farwatch_cli.child import Child
from farwatch_cli.client import ADDRESS_FILE, TOKEN_FILE
from farwatch_cli.embedded.files import data_folder, free_port, kept_secret, private_folder, write_private
from farwatch_cli.embedded.nats import NatsServer
from farwatch_cli.embedded.postgres import PostgresServer
from farwatch_cli.failures import Mendable
from farwatch_cli.nursery import Nursery, collect_orphans
from farwatch_cli.plan import ServicePlan, plan_services, server_of
from farwatch_cli.processes import Command, StartError, try_lock
from farwatch_cli.settings import UpSettings
from farwatch_runtime.secrets import generate_key_file
from farwatch_runtime.settings import read_variable
from farwatch_store.errors import StoreError
from farwatch_store.revision import CURRENT_REVISION, read_revision

_SERVER_START_SECONDS: Final = 300.0
_READY_SECONDS: Final = 90.0
_SERVICES_STOP_SECONDS: Final = 6.0
_NATS_STOP_SECONDS: Final = 1.0
_POSTGRES_STOP_SECONDS: Final = 2.0
_POLL_SECONDS: Final = 0.05


def say(text: str) -> None:
    print(text, flush=True)


class Supervisor:
    """Everything that runs on one data folder. `environ` is the environment the services start from."""

    def __init__(self, settings: UpSettings, environ: Mapping[str, str], verbose: bool = False) -> None:
        self._settings = settings
        self._environ = dict(environ)
        self._folder = settings.data_dir.expanduser().absolute()
        self._port = settings.port or free_port()
        self._echo = say if verbose else None
        self._stop = asyncio.Event()
        self._refusal: str | None = None
        self._services: list[Child] = []
        self._servers: dict[str, Child] = {}
        self._nats = NatsServer(self._folder / "nats", settings.region, sync_interval=settings.nats_sync)
        self._nats_url = ""
        self._postgres: PostgresServer | None = None
        self._nursery = Nursery(self._environ, self._folder / "logs" / "nursery.log")
        self._collecting: asyncio.Task[None] | None = None

    async def run(self) -> int:
        """The exit code, once a signal or a refused setting has ended it; raises StartError and Mendable."""
        for number in (signal.SIGINT, signal.SIGTERM):
            asyncio.get_running_loop().add_signal_handler(number, self._stop.set)
        lock = self._take_folder()
        try:
            self._require_free_port()
            self._log("nursery")  # makes the folder
            self._nursery.open()
            self._collecting = asyncio.create_task(collect_orphans(), name="orphans")
            await self._until_stopped()
        finally:
            await self._stop_all()
            os.close(lock)
        if self._refusal is not None:
            raise Mendable(self._refusal)
        return 0

    async def _until_stopped(self) -> None:
        stopped = asyncio.create_task(self._stop.wait())
        started = asyncio.create_task(self._start_all())
        await asyncio.wait({started, stopped}, return_when=asyncio.FIRST_COMPLETED)
        if started.done():
            started.result()
            await stopped
        else:
            started.cancel()
            with suppress(asyncio.CancelledError):
                await started
        if self._refusal is None:
            say("Stopping.")

    def _take_folder(self) -> int:
        try:
            lock = try_lock(data_folder(self._folder) / "lock")
        except OSError as error:
            raise Mendable(f"the data folder {self._folder} cannot be used: {error.strerror}") from None
        if lock is None:
            raise Mendable(f"another `farwatch up` already runs on {self._folder}; stop it, or choose --data-dir")
        return lock

    def _require_free_port(self) -> None:
        family = socket.AF_INET6 if ":" in self._settings.host else socket.AF_INET
        with socket.socket(family) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((self._settings.host, self._port))
            except OSError as error:
                address = f"{self._settings.host}:{self._port}"
                raise Mendable(
                    f"cannot listen on {address} ({error.strerror}); choose another --host or --port"
                ) from None

    async def _start_all(self) -> None:
        began = time.monotonic()
        environ = await self._start_servers()
        await self._migrate(environ)
        self._write_keys(environ)
        for plan in plan_services(environ, self._settings.region, self._settings.probers):
            self._services.append(self._service(plan))
        await asyncio.gather(*(service.start(_SERVER_START_SECONDS) for service in self._services))
        await self._until_ready()
        write_private(self._folder / ADDRESS_FILE, self._url() + "\n")
        say(f"Farwatch is ready: {self._url()}")
        self._tell_setup_link()
        say(f"(after {time.monotonic() - began:.1f} s; data and logs in {self._folder}; Ctrl-C stops it)")

    async def _start_servers(self) -> dict[str, str]:
        """Starts what the environment does not name, and returns the environment with both."""
        environ = {**self._environ, "FARWATCH_HOST": self._settings.host, "FARWATCH_PORT": str(self._port)}
        environ.setdefault("FARWATCH_PUBLIC_URL", self._url())
        own_nats = read_variable("FARWATCH_NATS_URL", environ) is None
        own_postgres = read_variable("FARWATCH_DATABASE_URL", environ) is None
        starting = [self._start_nats()] if own_nats else []
        starting += [self._start_postgres()] if own_postgres else []
        await asyncio.gather(*starting)
        if self._nats_url:
            environ["FARWATCH_NATS_URL"] = self._nats_url
        if self._postgres is not None:
            environ["FARWATCH_DATABASE_URL_FILE"] = str(self._database_url_file())
        return self._keep_probes_off(environ)

    def _keep_probes_off(self, environ: Mapping[str, str]) -> dict[str, str]:
        """Probers are not told where the database is, so they cannot know by themselves what to leave alone."""
        database = server_of(read_variable("FARWATCH_DATABASE_URL", environ) or "")
        denied = [part for part in (read_variable("FARWATCH_PROBE_DENY", environ), database) if part]
        kept = {name: value for name, value in environ.items() if name != "FARWATCH_PROBE_DENY_FILE"}
        return kept | {"FARWATCH_PROBE_DENY": ",".join(denied)}

    async def _start_nats(self) -> None:
        async def is_ready(pid: int) -> bool:
            address = self._nats.address(pid)
            if address is None or not await _answers(f"{address.http_url}/healthz"):
                return False
            await self._moved(self._nats_url, address.client_url)
            self._nats_url = address.client_url
            return True

        child = Child("nats", self._nats.prepare, self._log("nats"), say, is_ready=is_ready)
        self._servers["nats"] = child
        await child.start(_SERVER_START_SECONDS)

    async def _start_postgres(self) -> None:
        postgres = PostgresServer(self._folder / "postgres")
        url = ""

        async def on_ready() -> None:
            nonlocal url
            await postgres.complete()
            await self._moved(url, postgres.url())
            url = postgres.url()
            write_private(self._database_url_file(), url + "\n")

        async def is_ready(_pid: int) -> bool:
            return await postgres.answers()

        child = Child("postgres", postgres.prepare, self._log("postgres"), say, is_ready=is_ready, on_ready=on_ready)
        self._servers["postgres"] = child
        await child.start(_SERVER_START_SECONDS)
        self._postgres = postgres

    async def _moved(self, before: str, after: str) -> None:
        """A server that came back on another port is found only by services that start anew."""
        if before and before != after:
            say("a server came back on another port; the services start again")
            for service in self._services:
                service.restart()

    async def _migrate(self, environ: Mapping[str, str]) -> None:
        url = read_variable("FARWATCH_DATABASE_URL", environ) or ""
        try:
            if not await _is_current(url):
                from farwatch_store.migrate import migrate  # half a second that most starts need not spend

                await migrate(url)
        except StoreError as error:
            raise StartError(f"the database cannot be brought up to date: {error}") from None

    def _write_keys(self, environ: dict[str, str]) -> None:
        if "FARWATCH_SECRET_KEY_FILE" not in environ:
            path = self._folder / "secret-key"
            generate_key_file(path)
            environ["FARWATCH_SECRET_KEY_FILE"] = str(path)
        if read_variable("FARWATCH_API_TOKEN", environ) is None:
            kept_secret(self._folder / TOKEN_FILE)  # lets the commands of this account in without a set-up
            environ["FARWATCH_API_TOKEN_FILE"] = str(self._folder / TOKEN_FILE)
        self._setup_link_file().unlink(missing_ok=True)
        environ.setdefault("FARWATCH_SETUP_LINK_FILE", str(self._setup_link_file()))

    def _service(self, plan: ServicePlan) -> Child:
        def prepare() -> Command:
            return Command(
                plan.name, plan.argv, plan.environ | self._access(plan) | {"PYTHONUNBUFFERED": "1"}, Path.cwd()
            )

        return Child(
            plan.name,
            prepare,
            self._log(plan.name),
            say,
            on_refusal=self._on_refusal,
            echo=self._echo,
            launch=self._nursery.start,
        )

    def _access(self, plan: ServicePlan) -> dict[str, str]:
        """How a service reaches the embedded NATS, read anew at each start since the port may have changed."""
        if not self._nats_url:
            return {}
        password = self._nats.password_file(plan.nats_user)
        return {
            "FARWATCH_NATS_URL": self._nats_url,
            "FARWATCH_NATS_USER": plan.nats_user,
            "FARWATCH_NATS_PASSWORD_FILE": str(password),
        }

    def _on_refusal(self, line: str) -> None:
        """A service that refuses its settings would refuse them again."""
        self._refusal = self._refusal or line.removeprefix("farwatch ")
        self._stop.set()

    async def _until_ready(self) -> None:
        deadline = time.monotonic() + _READY_SECONDS
        while not await _answers(f"{self._url()}/readyz"):
            if time.monotonic() > deadline:
                raise StartError(f"{self._url()} does not answer after {_READY_SECONDS:g} s; see {self._log('api')}")
            await asyncio.sleep(_POLL_SECONDS)

    def _tell_setup_link(self) -> None:
        file = self._setup_link_file()
        if file.exists() and (link := file.read_text().strip()):
            say(f"Nobody has an account yet. Make the first here: {link}")

    async def _stop_all(self) -> None:
        (self._folder / ADDRESS_FILE).unlink(missing_ok=True)
        services = (service.stop(signal.SIGTERM, _SERVICES_STOP_SECONDS) for service in self._services)
        await asyncio.gather(*services)
        self._nursery.close()
        if self._collecting is not None:
            self._collecting.cancel()
        if nats := self._servers.get("nats"):
            await nats.stop(signal.SIGTERM, _NATS_STOP_SECONDS)
        if postgres := self._servers.get("postgres"):
            await postgres.stop(signal.SIGINT, _POSTGRES_STOP_SECONDS)

    def _url(self) -> str:
        host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(self._settings.host, self._settings.host)
        return f"http://{f'[{host}]' if ':' in host else host}:{self._port}"

    def _log(self, name: str) -> Path:
        return private_folder(self._folder / "logs") / f"{name}.log"

    def _database_url_file(self) -> Path:
        return self._folder / "database-url"

    def _setup_link_file(self) -> Path:
        return self._folder / "setup-link"


async def _is_current(url: str) -> bool:
    """False too when the server does not answer yet: the migration waits for it."""
    try:
        connection: asyncpg.Connection[asyncpg.Record] = await asyncpg.connect(url, timeout=5)
        try:
            return await read_revision(connection) == CURRENT_REVISION
        finally:
            await connection.close(timeout=5)
    except (OSError, TimeoutError, asyncpg.PostgresError, asyncpg.InterfaceError):
        return False


async def _answers(url: str) -> bool:
    try:
        async with httpx.AsyncClient(timeout=2, trust_env=False, verify=False) as client:  # noqa: S501
            return (await client.get(url)).status_code == 200
    except httpx.HTTPError:
        return False


def up(settings: UpSettings, environ: Mapping[str, str], verbose: bool) -> int:
    """Runs until stopped and returns the exit code; raises StartError and Mendable."""

    async def supervise() -> int:
        return await Supervisor(settings, environ, verbose).run()

    return asyncio.run(supervise())
