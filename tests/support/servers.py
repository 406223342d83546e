"""The real servers that tests run against, started from their wheels as `farwatch up` does it."""

import asyncio
import os
import shutil
import signal
import subprocess
import tempfile
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from farwatch_cli import processes
from farwatch_cli.embedded.nats import NatsServer
from farwatch_cli.embedded.postgres import PostgresServer

_START_SECONDS = 20.0
_UNSAFE_BUT_QUICK = {"fsync": "off", "synchronous_commit": "off", "full_page_writes": "off", "max_connections": "200"}


@contextmanager
def server_folder(name: str) -> Iterator[Path]:
    """A folder under /tmp that the account of the database server can enter, unlike pytest's own for root."""
    folder = Path(tempfile.mkdtemp(prefix=f"farwatch-test-{name}-"))
    folder.chmod(0o711)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


class _Process:
    """One server process of a test, with its output kept in a file for the message when it does not start."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.process: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int:
        assert self.process is not None
        return self.process.pid

    def kill(self) -> None:
        """kill -9, as a crash would."""
        assert self.process is not None
        self.process.kill()
        self.process.wait()

    def _run(self, command: processes.Command, is_ready: Callable[[], bool]) -> None:
        log = self.folder / f"{command.name}.log"
        with log.open("ab") as output:
            self.process = processes.start(command, output.fileno())
        deadline = time.monotonic() + _START_SECONDS
        while not is_ready():
            if self.process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"{command.name} did not start:\n{log.read_text(errors='replace')[-2000:]}")
            time.sleep(0.005)


class NatsProcess(_Process):
    """A nats-server with JetStream that asks for no password. `url` stays the same across restarts."""

    url = ""
    http_url = ""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.server = NatsServer(folder, open_access=True)

    def start(self) -> None:
        self._run(self.server.prepare(), self._is_ready)

    def stop(self) -> None:
        if self.process is not None:
            processes.stop(self.process, signal.SIGTERM, 5)

    def pause(self) -> None:
        """Stopped when this returns: the signal alone lets threads on other cores finish what they are at."""
        os.kill(self.pid, signal.SIGSTOP)
        threads = [thread / "stat" for thread in Path(f"/proc/{self.pid}/task").iterdir()]
        while any(thread.read_text().rsplit(")", 1)[1].split()[0] != "T" for thread in threads):
            time.sleep(0.001)

    def resume(self) -> None:
        os.kill(self.pid, signal.SIGCONT)

    def _is_ready(self) -> bool:
        address = self.server.address(self.pid)
        if address is None:
            return False
        self.url, self.http_url = address.client_url, address.http_url
        with suppress(OSError), urllib.request.urlopen(f"{self.http_url}/healthz", timeout=2) as answer:
            return bool(answer.status == 200)
        return False


class PostgresProcess(_Process):
    """A PostgreSQL cluster without fsync. The services' user owns its databases and is no superuser."""

    def __init__(self, folder: Path, extra: dict[str, str] | None = None) -> None:
        super().__init__(folder)
        self.server = PostgresServer(folder / "postgres", extra=_UNSAFE_BUT_QUICK | (extra or {}))

    def start(self) -> None:
        self._run(self.server.prepare(), lambda: asyncio.run(self.server.answers()))
        asyncio.run(self.server.complete())

    def stop(self) -> None:
        if self.process is not None:
            processes.stop(self.process, signal.SIGQUIT, 10)

    def url(self, database: str = "farwatch") -> str:
        return self.server.url(database)

    def superuser_url(self, database: str = "postgres") -> str:
        return self.server.superuser_url(database)
