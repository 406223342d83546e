"""What the nursery forks is what `python -m` would have started."""

import asyncio
import ctypes
import os
import signal
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from farwatch_cli.nursery import Nursery
from farwatch_cli.processes import Command, Process
from tests.support.up import clean_environment, processes
from tests.support.waiting import eventually

PR_SET_CHILD_SUBREAPER = 36

pytestmark = pytest.mark.timeout(90)


@pytest.fixture
async def nursery(tmp_path: Path) -> AsyncIterator[Nursery]:
    made = Nursery({**clean_environment(), "FARWATCH_API_TOKEN": "not for the nursery"}, tmp_path / "nursery.log")
    made.open()
    yield made
    made.close()
    ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 0, 0, 0, 0)


async def start(nursery: Nursery, folder: Path, **settings: str) -> tuple[Process, Path]:
    log = folder / "service.log"
    command = Command("x", [sys.executable, "-m", "farwatch_scheduler"], clean_environment(**settings), folder)
    with log.open("wb") as output:
        return await nursery.start(command, output.fileno()), log


async def test_output_exit_code_and_environment_are_its_own(nursery: Nursery, tmp_path: Path) -> None:
    for number in range(2):
        process, log = await start(nursery, tmp_path, FARWATCH_NONSENSE=str(number))
        assert await asyncio.to_thread(process.wait) == 2
        assert log.read_text().startswith("farwatch scheduler: FARWATCH_NONSENSE is not a setting")
        process.send_signal(signal.SIGTERM)  # too late for anybody


async def test_it_is_our_child_under_its_own_name_and_hears_signals(nursery: Nursery, tmp_path: Path) -> None:
    own = {"FARWATCH_DATABASE_URL": "postgresql://127.0.0.1:1/x", "FARWATCH_NATS_URL": "nats://127.0.0.1:1"}
    process, log = await start(nursery, tmp_path, **own)
    assert processes()[process.pid] == (os.getpid(), f"{sys.executable} -m farwatch_scheduler")
    assert os.getpgid(process.pid) == process.pid
    folder = Path(f"/proc/{process.pid}")
    assert (folder / "cwd").readlink() == tmp_path
    assert {(folder / "fd" / number).readlink() for number in "12"} == {log}
    assert b"FARWATCH" not in (folder / "environ").read_bytes()
    await eventually(lambda: "health_listening" in log.read_text(), 30)
    process.terminate()
    assert await asyncio.to_thread(process.wait) == 0


async def test_without_a_nursery_services_start_by_themselves(nursery: Nursery, tmp_path: Path) -> None:
    nursery.close()
    process, log = await start(nursery, tmp_path, FARWATCH_NONSENSE="1")
    assert await asyncio.to_thread(process.wait) == 2
    assert "FARWATCH_NONSENSE" in log.read_text()
    process, _ = await start(nursery, tmp_path, FARWATCH_NONSENSE="1")  # by the next nursery
    assert await asyncio.to_thread(process.wait) == 2
