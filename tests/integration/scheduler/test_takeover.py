"""Real scheduler processes, killed with -9, and servers killed under them: no slot missed, none doubled.

tests/faults/test_takeover.py says how long it takes.
"""

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.integration.scheduler.conftest import INTERVAL_MS, Prober, World, missed_and_doubled, now_ms
from tests.support.servers import NatsProcess
from tests.support.waiting import eventually

MONITORS = 500


class Processes:
    """`python -m farwatch_scheduler`, as many as wanted."""

    def __init__(self, nats_url: str, database_url: str, folder: Path) -> None:
        self._environ = {
            **{name: value for name, value in os.environ.items() if not name.startswith("FARWATCH_")},
            "FARWATCH_NATS_URL": nats_url,
            "FARWATCH_DATABASE_URL": database_url,
            "FARWATCH_HEALTH_PORT": "-1",
        }
        self._folder = folder
        self.running: dict[int, subprocess.Popen[bytes]] = {}

    def start(self) -> int:
        with (self._folder / f"scheduler-{len(self.running)}.log").open("wb") as output:
            process = subprocess.Popen(
                [sys.executable, "-m", "farwatch_scheduler"], env=self._environ, stdout=output, stderr=output
            )
        self.running[process.pid] = process
        return process.pid

    def end(self, pid: int, number: signal.Signals) -> int:
        """Returns the exit code."""
        process = self.running.pop(pid)
        process.send_signal(number)
        return process.wait(10)

    def end_all(self) -> None:
        for pid in list(self.running):
            self.end(pid, signal.SIGKILL)


@pytest.fixture
def processes(nats_server: NatsProcess, database_url: str, tmp_path: Path) -> Iterator[Processes]:
    processes = Processes(nats_server.url, database_url, tmp_path)
    yield processes
    processes.end_all()


async def leader(world: World) -> tuple[int, int]:
    """Epoch and process id of who took it last; (0, 0) before anybody did."""
    async with world.db.connection() as connection:
        row = await connection.fetchrow("select epoch, holder from schedule.epoch")
    assert row is not None
    return (row["epoch"], int(row["holder"].split(".")[-2])) if row["epoch"] else (0, 0)


async def wait_for_epoch(world: World, epoch: int, timeout_seconds: float = 30) -> int:
    """The process that leads in this epoch."""

    async def pid() -> int:
        number, holder = await leader(world)
        return holder if number == epoch else 0

    return await eventually(pid, timeout_seconds)


async def test_the_standby_takes_over_a_killed_leader_without_a_hole(
    world: World, prober: Prober, processes: Processes
) -> None:
    ids = await world.add_monitors(MONITORS, interval_seconds=5)
    processes.start()
    processes.start()
    first = await wait_for_epoch(world, 1)
    await eventually(lambda: len(prober.asked) > 50)
    since_ms = now_ms()
    await asyncio.sleep(2.3)

    processes.end(first, signal.SIGKILL)
    second = await wait_for_epoch(world, 2)
    await eventually(lambda: any(chunk.epoch == 2 for _, chunk, _ in prober.asked))
    assert second != first

    await asyncio.sleep(5)
    until_ms = now_ms() - 500
    assert missed_and_doubled(prober, ids, since_ms, until_ms) == (0, 0)
    newest: dict[int, tuple[int, int]] = {}
    for _, chunk, check in prober.asked:
        assert newest.get(check.monitor_id, (0, 0)) < (chunk.epoch, check.slot_ms)
        newest[check.monitor_id] = (chunk.epoch, check.slot_ms)


async def test_a_leader_that_is_asked_to_stop_hands_over_at_once(
    world: World, prober: Prober, processes: Processes
) -> None:
    ids = await world.add_monitors(MONITORS, interval_seconds=5)
    processes.start()
    first = await wait_for_epoch(world, 1)
    processes.start()
    await eventually(lambda: len(prober.asked) > 50)
    await asyncio.sleep(1.5)
    since_ms = now_ms()
    assert await asyncio.to_thread(processes.end, first, signal.SIGTERM) == 0
    await wait_for_epoch(world, 2)
    await asyncio.sleep(3)
    assert missed_and_doubled(prober, ids, since_ms, now_ms() - 500) == (0, 0)


async def test_a_leader_that_was_frozen_does_not_go_on_beside_its_successor(
    world: World, prober: Prober, processes: Processes
) -> None:
    ids = await world.add_monitors(MONITORS, interval_seconds=5)
    processes.start()
    processes.start()
    first = await wait_for_epoch(world, 1)
    await eventually(lambda: len(prober.asked) > 50)
    since_ms = now_ms()
    os.kill(first, signal.SIGSTOP)
    try:
        await wait_for_epoch(world, 2)
        await asyncio.sleep(2)
    finally:
        os.kill(first, signal.SIGCONT)
    await asyncio.sleep(3)
    assert missed_and_doubled(prober, ids, since_ms, now_ms() - 500) == (0, 0)
    assert (await leader(world))[0] == 2


async def test_nats_killed_for_seconds_costs_no_slot(
    world: World, prober: Prober, processes: Processes, nats_server: NatsProcess
) -> None:
    ids = await world.add_monitors(MONITORS, interval_seconds=5)
    processes.start()
    await wait_for_epoch(world, 1)
    await eventually(lambda: len(prober.asked) > 50)
    since_ms = now_ms()
    await asyncio.sleep(1)
    nats_server.kill()
    await asyncio.sleep(3)
    await asyncio.to_thread(nats_server.start)
    await wait_for_epoch(world, 2)
    await eventually(lambda: any(chunk.epoch == 2 for _, chunk, _ in prober.asked))
    await asyncio.sleep(4)
    missed, doubled = missed_and_doubled(prober, ids, since_ms, now_ms() - 1_000)
    # A killed NATS forgets the message ids of what was taken: what was asked twice has the same identity, and the
    # fold drops it. It can only be what lay between the checkpoint and the kill.
    assert missed == 0
    assert doubled <= MONITORS * 2_000 // INTERVAL_MS
