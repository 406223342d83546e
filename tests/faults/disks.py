"""Small disks that can be filled: a tmpfs in the place of a folder. Root only."""

import errno
import os
import subprocess
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager, contextmanager
from pathlib import Path

import pytest

_BLOCK = b"\0" * 65536


@contextmanager
def small_disk(folder: Path, megabytes: int) -> Iterator[Path]:
    """Mounts one on the folder, which is made when it is missing; skips the test where that is not allowed."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    command = ["mount", "-t", "tmpfs", "-o", f"size={megabytes}m,mode=0700", "tmpfs", str(folder)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        pytest.skip(f"a disk of its own needs root and mount: {done.stderr.strip()}")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)


def filled(folder: Path) -> Callable[[], AbstractAsyncContextManager[object]]:
    """The fault: not a byte is left, and at the end the room is given back."""

    @asynccontextmanager
    async def fault() -> AsyncIterator[None]:
        ballast = folder / "ballast"
        try:
            _fill(ballast)
            yield
        finally:
            ballast.unlink(missing_ok=True)

    return fault


def _fill(ballast: Path) -> None:
    with ballast.open("wb", buffering=0) as file:
        for size in (len(_BLOCK), 4096, 1):
            try:
                while True:
                    os.write(file.fileno(), _BLOCK[:size])
            except OSError as error:
                if error.errno != errno.ENOSPC:
                    raise
