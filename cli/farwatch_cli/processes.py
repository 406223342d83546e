"""Child processes that end with their parent, hold a lock while they live, and may run as another account."""

import ctypes
import fcntl
import os
import pwd
import signal
import subprocess
import time
import warnings
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Protocol

from farwatch_cli.failures import Failure

PR_SET_PDEATHSIG: Final = 1
_LOCK_POLL_SECONDS: Final = 0.02
_LIBC: Final = ctypes.CDLL(None, use_errno=True)


class StartError(Failure):
    """A server cannot be started."""


@dataclass(frozen=True)
class Account:
    """The account a child runs as when we are root."""

    name: str
    uid: int
    gid: int

    @classmethod
    def named(cls, *names: str) -> "Account":
        """The first of these accounts that this machine has; raises StartError when it has none."""
        for name in names:
            with suppress(KeyError):
                entry = pwd.getpwnam(name)
                return cls(entry.pw_name, entry.pw_uid, entry.pw_gid)
        raise StartError(f"this machine has none of the accounts {', '.join(names)} to run PostgreSQL as")


@dataclass(frozen=True)
class Command:
    """One program to run. `lock` is a file locked for exactly as long as the program and its children live."""

    name: str
    argv: Sequence[str]
    environ: dict[str, str]
    cwd: Path
    account: Account | None = None
    death_signal: int = signal.SIGKILL
    lock: Path | None = None


class Process(Protocol):
    """What is known of a child that runs or ran: subprocess.Popen is one."""

    @property
    def pid(self) -> int: ...
    @property
    def returncode(self) -> int | None: ...

    def wait(self) -> int: ...
    def send_signal(self, number: int, /) -> None: ...
    def terminate(self) -> None: ...
    def kill(self) -> None: ...


def prctl(option: int, value: int) -> None:
    """Linux's prctl(2) with one argument; a system that refuses is left as it is."""
    _LIBC.prctl(option, value, 0, 0, 0)


def die_with_parent(death_signal: int) -> Callable[[], None]:
    """A preexec function. It runs after the change of user, which would have cleared the setting."""
    parent = os.getpid()

    def arrange() -> None:
        prctl(PR_SET_PDEATHSIG, death_signal)
        if os.getppid() != parent:  # the parent died before the setting held
            os._exit(1)

    return arrange


def popen_options(command: Command) -> dict[str, Any]:
    """Options for subprocess.Popen and asyncio.create_subprocess_exec alike."""
    options: dict[str, Any] = {
        "env": command.environ,
        "cwd": command.cwd,
        "stdin": subprocess.DEVNULL,
        "preexec_fn": die_with_parent(command.death_signal),
        # a Ctrl-C in the terminal reaches the supervisor alone, which stops its children in order
        "process_group": 0,
    }
    if command.account is not None:
        options |= {"user": command.account.uid, "group": command.account.gid, "extra_groups": []}
    return options


def try_lock(path: Path) -> int | None:
    """An open descriptor that holds the lock of this file, or None while another process holds it."""
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        return None
    return descriptor


def wait_for_lock(path: Path, timeout_seconds: float) -> int:
    """The lock, once its holder is gone; raises StartError after the timeout."""
    deadline = time.monotonic() + timeout_seconds
    while (descriptor := try_lock(path)) is None:
        if time.monotonic() > deadline:
            raise StartError(f"{path} is still held by a process of an earlier run after {timeout_seconds:g} s")
        time.sleep(_LOCK_POLL_SECONDS)
    return descriptor


def start(
    command: Command, output: int, lock_timeout_seconds: float = 10.0, keep: int | None = None
) -> subprocess.Popen[bytes]:
    """Starts the command with both outputs on the descriptor. The child inherits the lock, we keep none of it.

    `keep` is another descriptor that the child is to have.

    Call it from the main thread: the child dies with the thread that started it.
    """
    descriptor = wait_for_lock(command.lock, lock_timeout_seconds) if command.lock else None
    try:
        with warnings.catch_warnings():
            # Python 3.12 warns of any preexec_fn beside threads; ours makes two system calls and takes no lock
            warnings.simplefilter("ignore", DeprecationWarning)
            return subprocess.Popen(
                list(command.argv),
                stdout=output,
                stderr=output,
                pass_fds=[each for each in (descriptor, keep) if each is not None],
                **popen_options(command),
            )
    finally:
        if descriptor is not None:
            os.close(descriptor)


def stop(process: subprocess.Popen[bytes], how: int, timeout_seconds: float) -> None:
    """Asks with the signal, then kills after the timeout. A process already gone is fine."""
    if process.poll() is None:
        process.send_signal(how)
    try:
        process.wait(timeout_seconds)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def run_to_end(command: Command, timeout_seconds: float) -> None:
    """Runs a short program; raises StartError with its last lines when it fails."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        done = subprocess.run(
            list(command.argv),
            capture_output=True,
            timeout=timeout_seconds,
            check=False,
            **popen_options(command),
        )
    if done.returncode != 0:
        last = " / ".join((done.stderr or done.stdout).decode(errors="replace").strip().splitlines()[-3:])
        raise StartError(f"{command.name} failed with exit code {done.returncode}: {last}")
