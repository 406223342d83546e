"""One supervised process: its output, its end, and its return after a pause that grows."""

import asyncio
import os
import signal
import time
from collections import deque
from collections.abc import Awaitable, Callable
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO, Final

from farwatch_cli import processes
from farwatch_cli.processes import Command, Process, StartError

_PAUSES_SECONDS: Final = (0.0, 0.5, 1.0, 2.0, 5.0)
_STEADY_SECONDS: Final = 30.0
_LAST_LINES: Final = 5
_LOG_BYTES: Final = 5 * 1024 * 1024
_READY_POLL_SECONDS: Final = 0.02
_RETURN_SECONDS: Final = 600.0  # recovery after a crash may take PostgreSQL minutes; killing it then starts it anew
_GUARD_SECONDS: Final = 2.0
_SILENT_SECONDS: Final = 20.0

Say = Callable[[str], None]
Launch = Callable[[Command, int], Awaitable[Process]]


async def launch_anew(command: Command, output: int) -> Process:
    return processes.start(command, output)


def pause_before_restart(failures: int) -> float:
    """Seconds to wait after the nth failure in a row (from 1)."""
    return _PAUSES_SECONDS[min(failures, len(_PAUSES_SECONDS)) - 1]


def describe_end(code: int) -> str:
    if code < 0:
        with suppress(ValueError):
            return f"was killed by {signal.Signals(-code).name}"
    return f"stopped with exit code {code}"


class Output:
    """Keeps a child's lines in a file of bounded size, and the last few for a message."""

    def __init__(self, path: Path, echo: Say | None = None) -> None:
        self.last: deque[str] = deque(maxlen=_LAST_LINES)
        self._path = path
        self._echo = echo
        self._partial = b""
        self._file = self._open()

    def begin(self) -> None:
        """A new run: lines of the last one explain nothing any more."""
        self.last.clear()
        self._partial = b""

    def feed(self, data: bytes) -> None:
        self._file.write(data)
        self._file.flush()
        *lines, self._partial = (self._partial + data).split(b"\n")
        self._partial = self._partial[-4096:]
        for line in lines:
            text = line.decode(errors="replace").rstrip()
            self.last.append(text)
            if self._echo is not None:
                self._echo(f"{self._path.stem} | {text}")
        if self._file.tell() > _LOG_BYTES:
            self._rotate()

    def close(self) -> None:
        self._file.close()

    def _open(self) -> BinaryIO:
        descriptor = os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        return os.fdopen(descriptor, "ab")

    def _rotate(self) -> None:
        self._file.close()
        self._path.replace(self._path.with_suffix(".log.1"))
        self._file = self._open()


class Child:
    """`prepare` makes the command before every start and may block; `is_ready` is asked until it says so.

    `on_ready` runs after each start, the first too; `on_refusal` when it ends with exit code 2, a bad setting.
    """

    def __init__(
        self,
        name: str,
        prepare: Callable[[], Command],
        log: Path,
        say: Say,
        *,
        is_ready: Callable[[int], Awaitable[bool]] | None = None,
        on_ready: Callable[[], Awaitable[None]] | None = None,
        on_refusal: Callable[[str], None] | None = None,
        echo: Say | None = None,
        launch: Launch = launch_anew,
    ) -> None:
        self.name = name
        self.process: Process | None = None
        self._start_process = launch
        self._prepare, self._say = prepare, say
        self._is_ready, self._on_ready, self._on_refusal = is_ready, on_ready, on_refusal
        self._output = Output(log, echo)
        self._stopping = False
        self._returning = False
        self._ended = asyncio.Event()
        self._tasks: list[asyncio.Task[None]] = []
        self._drained: asyncio.Task[None] | None = None

    async def start(self, timeout_seconds: float) -> None:
        """Starts it and waits until it is ready; raises StartError. Afterwards it is watched over."""
        await self._launch()
        await self._become_ready(timeout_seconds)
        self._tasks.append(asyncio.create_task(self._watch(), name=f"watch {self.name}"))
        if self._is_ready is not None:
            self._tasks.append(asyncio.create_task(self._guard(self._is_ready), name=f"guard {self.name}"))

    def restart(self) -> None:
        """Ends it so that it comes back with a new command."""
        if self._is_running():
            self._process().terminate()

    async def stop(self, how: int, timeout_seconds: float) -> None:
        """Asks with the signal, kills after the timeout. Never started again afterwards."""
        self._stopping = True
        if self._is_running():
            self._process().send_signal(how)
            try:
                await asyncio.wait_for(self._ended.wait(), timeout_seconds)
            except TimeoutError:
                self._say(f"{self.name} did not stop within {timeout_seconds:g} s and is killed")
                self._process().kill()
                await self._ended.wait()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        if self._drained is not None:
            await self._drained
        self._output.close()

    async def _launch(self) -> None:
        command = await asyncio.to_thread(self._prepare)
        reading, writing = os.pipe()
        try:
            self.process = await self._start_process(command, writing)
        except BaseException:
            os.close(reading)
            raise
        finally:
            os.close(writing)
        self._ended.clear()
        self._output.begin()
        self._drained = asyncio.create_task(self._drain(reading), name=f"output of {self.name}")
        self._notice_end(self.process)

    def _notice_end(self, process: Process) -> None:
        loop = asyncio.get_running_loop()
        descriptor = os.pidfd_open(process.pid)

        def on_end() -> None:
            loop.remove_reader(descriptor)
            os.close(descriptor)
            process.wait()
            self._ended.set()

        loop.add_reader(descriptor, on_end)

    async def _drain(self, descriptor: int) -> None:
        reader = asyncio.StreamReader()
        transport, _ = await asyncio.get_running_loop().connect_read_pipe(
            lambda: asyncio.StreamReaderProtocol(reader), os.fdopen(descriptor, "rb")
        )
        try:
            while data := await reader.read(65536):
                self._output.feed(data)
        finally:
            transport.close()

    async def _become_ready(self, timeout_seconds: float) -> None:
        deadline = time.monotonic() + timeout_seconds
        while self._is_ready is not None and not await self._is_ready(self._process().pid):
            if self._ended.is_set():
                raise StartError(await self._end_message())
            if time.monotonic() > deadline:
                raise StartError(f"{self.name} is not ready after {timeout_seconds:g} s{self._last_lines()}")
            await asyncio.sleep(_READY_POLL_SECONDS)
        if self._on_ready is not None:
            await self._on_ready()

    async def _watch(self) -> None:
        failures = 0
        while True:
            started = time.monotonic()
            await self._ended.wait()
            if self._stopping:
                return
            message = await self._end_message()
            if self._process().returncode == 2 and self._on_refusal is not None:
                self._on_refusal(self._output.last[-1] if self._output.last else message)
                return
            failures = 1 if time.monotonic() - started > _STEADY_SECONDS else failures + 1
            await self._come_back(message, failures)

    async def _guard(self, is_ready: Callable[[int], Awaitable[bool]]) -> None:
        """Ends a process that runs but no longer answers: a full disk leaves NATS so even when space returns."""
        answered = time.monotonic()
        while True:
            await asyncio.sleep(_GUARD_SECONDS)
            if self._returning or self._ended.is_set() or await is_ready(self._process().pid):
                answered = time.monotonic()
            elif time.monotonic() - answered > _SILENT_SECONDS:
                self._say(f"{self.name} has not answered for {_SILENT_SECONDS:g} s and is killed")
                self._process().kill()
                answered = time.monotonic()

    async def _come_back(self, message: str, failures: int) -> None:
        pause = pause_before_restart(failures)
        self._say(f"{message}\n  starting {self.name} again {f'in {pause:g} s' if pause else 'at once'}")
        await asyncio.sleep(pause)
        self._returning = True
        try:
            await self._launch()
            await self._become_ready(_RETURN_SECONDS)
        except (StartError, OSError) as error:
            self._say(f"{self.name}: {error}")
            if self._is_running():
                self._process().kill()
        finally:
            self._returning = False

    async def _end_message(self) -> str:
        if self._drained is not None:
            with suppress(TimeoutError):  # a grandchild may hold the pipe open
                await asyncio.wait_for(asyncio.shield(self._drained), 1.0)
        return f"{self.name} {describe_end(self._process().returncode or 0)}{self._last_lines()}"

    def _last_lines(self) -> str:
        lines = "".join(f"\n  | {line}" for line in self._output.last)
        return f"; its last lines:{lines}" if lines else ""

    def _is_running(self) -> bool:
        return self.process is not None and not self._ended.is_set()

    def _process(self) -> Process:
        assert self.process is not None, f"{self.name} was never started"
        return self.process
