"""A real `farwatch up` for tests: started in a folder, listened to, asked, stopped or killed."""

import contextlib
import os
import queue
import re
import signal
import socket
import sys
import threading
import time
from pathlib import Path

import httpx

from farwatch_cli import processes as processes_of
from farwatch_cli.embedded.files import free_port
from farwatch_cli.processes import Command

READY = re.compile(r"^Farwatch is ready: (http://\S+)$")
_START_SECONDS = 60.0


def clean_environment(**settings: str) -> dict[str, str]:
    """Ours without any setting of Farwatch, so that a developer's own do not change a test."""
    return {name: value for name, value in os.environ.items() if not name.startswith("FARWATCH_")} | settings


class Up:
    """One `farwatch up`. `lines` are what it printed so far."""

    def __init__(self, folder: Path, *options: str, **settings: str) -> None:
        self.folder = folder
        self.data_dir = folder / "data"
        self.url = ""
        self.lines: list[str] = []
        self._new: queue.Queue[str | None] = queue.Queue()
        argv = [sys.executable, "-m", "farwatch_cli", "up", "--data-dir", str(self.data_dir), "--port", "0", *options]
        reading, writing = os.pipe()
        try:
            # It ends with us, even when we are killed, so a test run that is broken off leaves no servers behind.
            command = Command("up", argv, clean_environment(**settings), folder, death_signal=signal.SIGTERM)
            self.process = processes_of.start(command, writing)
        finally:
            os.close(writing)
        self._output = os.fdopen(reading, errors="replace")
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def wait_ready(self) -> "Up":
        self.url = self.wait_line(READY, _START_SECONDS)[1]
        return self

    def wait_line(self, pattern: "re.Pattern[str] | str", timeout_seconds: float) -> "re.Match[str]":
        """The next line that matches; earlier ones are passed over."""
        deadline = time.monotonic() + timeout_seconds
        while (left := deadline - time.monotonic()) > 0:
            with contextlib.suppress(queue.Empty):
                line = self._new.get(timeout=left)
                if line is None:
                    raise AssertionError("it ended:\n" + "\n".join(self.lines[-30:]))
                if found := re.search(pattern, line):
                    return found
        raise AssertionError(f"no line {pattern!r} within {timeout_seconds:g} s:\n" + "\n".join(self.lines[-30:]))

    def client(self) -> httpx.Client:
        """Signed in with the token that the command wrote into its folder."""
        token = (self.data_dir / "api-token").read_text().strip()
        headers = {"Authorization": f"Bearer {token}"}
        return httpx.Client(base_url=self.url, headers=headers, timeout=20, trust_env=False)

    def children(self) -> dict[int, str]:
        """Command lines of its direct children by pid."""
        return {pid: line for pid, (parent, line) in processes().items() if parent == self.process.pid}

    def child(self, word: str) -> int:
        """The pid of the one child whose command line holds this word, such as farwatch_scheduler or nats-server."""
        found = [pid for pid, line in self.children().items() if word in line]
        assert len(found) == 1, f"{len(found)} children hold {word!r}: {self.children()}"
        return found[0]

    def stop(self, how: int = signal.SIGTERM, timeout_seconds: float = 15) -> int:
        """The exit code."""
        if self.process.poll() is None:
            self.process.send_signal(how)
        code = self.process.wait(timeout_seconds)
        self._reader.join(5)
        self._output.close()
        return code

    def _read(self) -> None:
        with contextlib.suppress(ValueError):  # closed beneath us
            for line in self._output:
                self.lines.append(line.rstrip("\n"))
                self._new.put(line.rstrip("\n"))
        self._new.put(None)


def processes() -> dict[int, tuple[int, str]]:
    """Parent and command line of every process that runs, by pid; those that only wait to be collected left out."""
    found: dict[int, tuple[int, str]] = {}
    for folder in Path("/proc").iterdir():
        if not folder.name.isdigit():
            continue
        with contextlib.suppress(OSError):
            state, parent = (folder / "stat").read_text().rsplit(")", 1)[1].split()[:2]
            line = (folder / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace").strip()
            if state != "Z":
                found[int(folder.name)] = (int(parent), line)
    return found


def free_ports(count: int) -> int:
    """The first of so many neighbouring ports; as FARWATCH_HEALTH_PORT the services take them in turn."""
    for _ in range(100):
        first = free_port()
        try:
            for port in range(first, first + count):
                with socket.socket() as probe:
                    probe.bind(("127.0.0.1", port))
        except OSError:
            continue
        return first
    raise OSError(f"no {count} neighbouring ports are free")
