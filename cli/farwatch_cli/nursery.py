"""A process that has every service's code loaded and forks them, so that one that died is back in milliseconds.

`python -m farwatch_cli.nursery <descriptor of a socket>` runs it; `Nursery` is the supervisor's end.
It has one thread, no event loop and no connection, so a fork copies nothing that could be in the middle of something.
docs/decisions/nursery.md says why it is there.
"""

import asyncio
import contextlib
import gc
import importlib
import json
import os
import runpy
import select
import signal
import socket
import subprocess
import sys
import time
import traceback
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

from setproctitle import setproctitle

from farwatch_cli import processes
from farwatch_cli.plan import MODULES
from farwatch_cli.processes import Command, Process

_PR_SET_CHILD_SUBREAPER: Final = 36
_FORK_SECONDS: Final = 20.0
_REQUEST_BYTES: Final = 1024 * 1024


class Forked:
    """A child that somebody else forked for us; as much of subprocess.Popen as the supervisor uses."""

    def __init__(self, pid: int) -> None:
        self.pid = pid
        self.returncode: int | None = None

    def wait(self) -> int:
        if self.returncode is None:
            _, status = os.waitpid(self.pid, 0)
            self.returncode = os.waitstatus_to_exitcode(status)
        return self.returncode

    def send_signal(self, number: int) -> None:
        if self.returncode is None:
            os.kill(self.pid, number)

    def terminate(self) -> None:
        self.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        self.send_signal(signal.SIGKILL)


class Nursery:
    """Starts services by forking; where that fails, as processes of their own from the beginning."""

    def __init__(self, environ: dict[str, str], log: Path) -> None:
        self._environ = {name: value for name, value in environ.items() if not name.startswith("FARWATCH_")}
        self._log = log
        self._turn = asyncio.Lock()
        self._process: subprocess.Popen[bytes] | None = None
        self._line: socket.socket | None = None

    def open(self) -> None:
        """Begins to load. Call it from the main thread: what it forks comes to us when its parent ends."""
        processes.prctl(_PR_SET_CHILD_SUBREAPER, 1)
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        ours.settimeout(_FORK_SECONDS)
        for end in (ours, theirs):
            end.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, _REQUEST_BYTES)
        argv = [sys.executable, "-m", __name__, str(theirs.fileno())]
        command = Command("nursery", argv, self._environ | {"PYTHONUNBUFFERED": "1"}, Path.cwd())
        descriptor = os.open(self._log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        try:
            self._process = processes.start(command, descriptor, keep=theirs.fileno())
        finally:
            os.close(descriptor)
            theirs.close()
        self._line = ours

    async def start(self, command: Command, output: int) -> Process:
        """The service that `command` would run, with both outputs on the descriptor; raises as processes.start."""
        async with self._turn:
            try:
                return Forked(await asyncio.to_thread(self._fork, command, output))
            except (OSError, ValueError):
                self.close()
            with contextlib.suppress(OSError):
                self.open()  # for the next
        return processes.start(command, output)

    def close(self) -> None:
        """Ends it; what it forked goes on."""
        if self._line is not None:
            self._line.close()
            self._line = None
        if self._process is not None:
            processes.stop(self._process, signal.SIGKILL, 1.0)
            self._process = None

    def _fork(self, command: Command, output: int) -> int:
        if self._line is None:
            raise ConnectionError("the nursery is closed")
        request = {
            "module": command.argv[-1],
            "environ": command.environ,
            "cwd": str(command.cwd),
            "death_signal": command.death_signal,
        }
        socket.send_fds(self._line, [json.dumps(request).encode()], [output])
        try:
            answer = self._line.recv(64)
        except TimeoutError:
            if self._process is not None:
                self._process.kill()
            answer = self._line.recv(64)  # what it may have forked before it hung
        if not answer:
            raise ConnectionError("the nursery has ended")
        return int(answer)


async def collect_orphans(pause_seconds: float = 2.0) -> None:
    """Reaps whoever was left to us by a parent that died, as PostgreSQL's processes are. Runs until cancelled.

    Those that we started ourselves are collected at once; only one that nobody has collected for a whole pause is an
    orphan.
    """
    before = 0
    while True:
        await asyncio.sleep(pause_seconds)
        before = _collect(before)


def _collect(before: int) -> int:
    """Reaps the first that has ended if it is the one of the last time; returns which is the first now."""
    first = _first_ended()
    if not first or first != before:
        return first
    with contextlib.suppress(ChildProcessError):
        os.waitpid(first, os.WNOHANG)
    return _first_ended()


def _first_ended() -> int:
    try:
        found = os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
    except ChildProcessError:
        return 0
    return found.si_pid if found else 0


# In the process itself


def serve(line: socket.socket) -> None:
    """Forks whatever is asked for until the other end closes."""
    supervisor = os.getppid()
    while True:
        data, descriptors, _, _ = socket.recv_fds(line, _REQUEST_BYTES, 1)
        if not data:
            return
        request = json.loads(data)
        pid = _fork_for(supervisor, line, request, descriptors[0])
        os.close(descriptors[0])
        line.send(str(pid).encode())


def _fork_for(supervisor: int, line: socket.socket, request: dict[str, Any], output: int) -> int:
    """A child of the supervisor: the process between us and it ends at once, and orphans go to the supervisor."""
    reading, writing = os.pipe()
    between = os.fork()
    if between == 0:
        try:
            between = os.getpid()
            child = os.fork()
            if child == 0:
                os.close(reading)
                os.close(writing)
                line.close()
                _become(request, output, between, supervisor)
            os.write(writing, str(child).encode())
        finally:
            os._exit(0)
    os.close(writing)
    os.waitpid(between, 0)
    with os.fdopen(reading, "rb") as answer:
        return int(answer.read())


def _become(request: dict[str, Any], output: int, between: int, supervisor: int) -> None:
    """Runs the service as `python -m` would, and never returns."""
    code = 1
    try:
        _settle(request, output, between, supervisor)
        runpy.run_module(request["module"], run_name="__main__", alter_sys=True)
        code = 0
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else int(end.code is not None)
    except BaseException:  # noqa: BLE001 - whatever it is, this process ends here
        traceback.print_exc()
    finally:
        with contextlib.suppress(Exception):
            sys.stdout.flush()
            sys.stderr.flush()
        os._exit(code)


def _settle(request: dict[str, Any], output: int, between: int, supervisor: int) -> None:
    while os.getppid() == between:
        select.select((), (), (), 0.0005)  # what libfaketime makes of time.sleep fails after a fork
    processes.prctl(processes.PR_SET_PDEATHSIG, request["death_signal"])
    if os.getppid() != supervisor:  # it died before the setting held
        os._exit(1)
    os.setpgid(0, 0)
    for target in (1, 2):
        os.dup2(output, target)
    os.close(output)
    os.chdir(request["cwd"])
    setproctitle(f"{sys.executable} -m {request['module']}")  # finds its place by the environment of the start
    os.environ.clear()
    os.environ.update(request["environ"])
    time.tzset()
    sys.argv = [request["module"]]


def preload(modules: Sequence[str]) -> None:
    """Loads all that these programs import. One that cannot be loaded says why when it is run."""
    for module in modules:
        main = f"{module}.__main__"
        try:
            importlib.import_module(main)
        except Exception:  # noqa: BLE001 - the service that needs it will say the same
            traceback.print_exc()
        sys.modules.pop(main, None)  # a child runs it afresh


def main() -> None:
    line = socket.socket(fileno=int(sys.argv[1]))
    preload(MODULES)
    gc.collect()
    gc.freeze()  # a search for garbage would write to every object, and so copy the memory that forks share
    serve(line)


if __name__ == "__main__":
    main()
