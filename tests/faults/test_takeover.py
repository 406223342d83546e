"""How long nothing is asked, or stored, when a leader dies or freezes beside a standby."""

import asyncio
import base64
import os
import random
import re
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from farwatch_bus import Bus, Message, ensure_events, ensure_leases
from farwatch_events.checks import DueChunk
from farwatch_events.subjects import FOLD_LEASE, LEASES_BUCKET, SCHEDULER_LEASE, due_ring
from farwatch_incidents.jobs import make_partitions
from farwatch_store import Database
from tests.faults.site import note, now_ms
from tests.integration.incidents.conftest import World, up
from tests.support.servers import NatsProcess
from tests.support.up import clean_environment
from tests.support.waiting import eventually

pytestmark = [pytest.mark.faults, pytest.mark.timeout(600)]
ROUNDS = 5
LIMIT_SECONDS = 5.0
REGION = "eu"


class Replicas:
    """Two of one service. The first to hold the lease leads."""

    def __init__(self, module: str, lease: str, bus: Bus, folder: Path, **settings: str) -> None:
        self._module, self._lease, self._bus, self._folder = module, lease, bus, folder
        self._environ = clean_environment(FARWATCH_HEALTH_PORT="-1", **settings)
        self._running: dict[int, subprocess.Popen[bytes]] = {}
        self._started = 0

    async def start(self) -> None:
        self._started += 1
        log = self._folder / f"{self._module}-{self._started}.log"
        with log.open("wb") as output:
            argv = [sys.executable, "-m", self._module]
            process = await asyncio.to_thread(subprocess.Popen, argv, env=self._environ, stdout=output, stderr=output)
        self._running[process.pid] = process
        await eventually(lambda: "bus_connected" in log.read_text(), 60)
        await asyncio.sleep(1)  # it tries for the lease, and its catalogue is warm

    async def leader(self) -> int:
        """0 while nobody is known to lead."""
        subject = {"last_by_subj": f"$KV.{LEASES_BUCKET}.{self._lease}"}
        answer = await self._bus.api(f"STREAM.MSG.GET.KV_{LEASES_BUCKET}", subject)
        holder = base64.b64decode(answer["message"].get("data", "")).decode()
        return next((pid for pid in self._running if str(pid) in re.findall(r"\d+", holder)), 0)

    async def strike(self, pid: int, how: signal.Signals) -> None:
        os.kill(pid, how)
        if how is signal.SIGKILL:
            await asyncio.to_thread(self._running.pop(pid).wait)

    async def mend(self, pid: int) -> None:
        """Two again. One that was frozen finds itself replaced, and stands by or ends, as a supervisor expects."""
        if pid in self._running:
            os.kill(pid, signal.SIGCONT)
            await asyncio.sleep(3)
            if self._running[pid].poll() is None:
                return
            self._running.pop(pid)
        await self.start()

    def end(self) -> None:
        for process in self._running.values():
            process.kill()
            process.wait()


@asynccontextmanager
async def two(replicas: Replicas) -> AsyncIterator[Replicas]:
    try:
        await replicas.start()
        await eventually(replicas.leader, 30)
        await replicas.start()
        yield replicas
    finally:
        replicas.end()


@pytest.fixture
async def world(bus: Bus, database: Database) -> World:
    await ensure_leases(bus)
    await ensure_events(bus)
    await make_partitions(database)
    world = World(bus, database)
    await world.region(REGION)
    return world


async def time_takeovers(
    replicas: Replicas, how: signal.Signals, rng: random.Random, works_since: Callable[[int], Awaitable[bool]]
) -> list[float]:
    """Seconds from each blow until the standby's work was seen."""
    took = []
    for _ in range(ROUNDS):
        await asyncio.sleep(rng.uniform(0, 2))
        leader = await eventually(replicas.leader, 30)
        struck, since_ms = time.monotonic(), now_ms()
        await replicas.strike(leader, how)
        await eventually(lambda since_ms=since_ms: works_since(since_ms), 60)  # type: ignore[misc]
        took.append(time.monotonic() - struck)
        await replicas.mend(leader)
    return took


def judge(title: str, took: list[float]) -> None:
    note({"fault": title, "takeover_seconds": [round(each, 1) for each in sorted(took)]})
    assert max(took) <= LIMIT_SECONDS


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGSTOP], ids=lambda how: how.name)
async def test_the_standby_scheduler_asks(
    world: World, nats_server: NatsProcess, database_url: str, tmp_path: Path, rng: random.Random, how: signal.Signals
) -> None:
    for _ in range(100):
        await world.monitor(interval_seconds=5)
    epochs = [0]

    async def on_chunk(message: Message) -> None:
        epochs.append(DueChunk.from_bytes(message.data).epoch)

    _ = await world.bus.subscribe(due_ring(REGION), on_chunk)
    urls = {"FARWATCH_NATS_URL": nats_server.url, "FARWATCH_DATABASE_URL": database_url}
    async with two(Replicas("farwatch_scheduler", SCHEDULER_LEASE, world.bus, tmp_path, **urls)) as replicas:
        await eventually(lambda: epochs[-1] > 0, 30)
        known: dict[int, int] = {}

        async def asks_since(since_ms: int) -> bool:
            return epochs[-1] > known.setdefault(since_ms, epochs[-1])

        took = await time_takeovers(replicas, how, rng, asks_since)
    judge(f"the leading scheduler gets {how.name}", took)


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGSTOP], ids=lambda how: how.name)
async def test_the_standby_incidents_process_stores(
    world: World, nats_server: NatsProcess, database_url: str, tmp_path: Path, rng: random.Random, how: signal.Signals
) -> None:
    monitor_id = await world.monitor(interval_seconds=5)

    async def check() -> None:
        while True:
            await world.beat(REGION)
            await world.say(REGION, up(monitor_id, now_ms()))
            await asyncio.sleep(0.1)

    async def stores_since(since_ms: int) -> bool:
        newest = "select max(extract(epoch from slot) * 1000)::bigint from health.check_results"
        return (await world.one(newest) or 0) > since_ms + 100  # what was on its way when it was struck does not count

    urls = {"FARWATCH_NATS_URL": nats_server.url, "FARWATCH_DATABASE_URL": database_url}
    checking = asyncio.create_task(check())
    try:
        async with two(Replicas("farwatch_incidents", FOLD_LEASE, world.bus, tmp_path, **urls)) as replicas:
            await eventually(lambda: stores_since(0), 30)
            took = await time_takeovers(replicas, how, rng, stores_since)
    finally:
        checking.cancel()
    judge(f"the leading incidents process gets {how.name}", took)
