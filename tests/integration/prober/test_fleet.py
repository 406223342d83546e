"""Two prober processes share a region under load; one of them goes. Every slot is answered, and stored once."""

import asyncio
import os
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from contextlib import ExitStack, contextmanager

import pytest

from farwatch_bus import Bus, Message
from farwatch_events import subjects
from farwatch_events.checks import DueCheck, DueChunk
from farwatch_events.monitor import MonitorSpec, dump_monitor, parse_monitor
from farwatch_events.results import ResultBatch, parse_result_message
from farwatch_incidents.fold import Fold
from farwatch_runtime.clock import now_ms
from farwatch_store import Database
from tests.integration.incidents.conftest import World, fold, world
from tests.support.http import HttpServer, Response
from tests.support.servers import NatsProcess
from tests.support.waiting import eventually

__all__ = ["fold", "world"]

REGION = "eu"
MONITORS = 200
ROUNDS = 6
SLOTS = MONITORS * ROUNDS
ANSWER_SECONDS = 0.4
STOP_SECONDS = 15


@contextmanager
def prober_process(nats: NatsProcess) -> Iterator["subprocess.Popen[bytes]"]:
    environ = os.environ | {
        "FARWATCH_NATS_URL": nats.url,
        "FARWATCH_REGION": REGION,
        "FARWATCH_CANARIES": "off",
        "FARWATCH_HEALTH_PORT": "-1",
    }
    process = subprocess.Popen([sys.executable, "-m", "farwatch_prober"], env=environ, stdout=subprocess.DEVNULL)
    try:
        yield process
    finally:
        process.kill()
        process.wait(10)


class Fleet:
    """Two probers with a fold behind them, and what each of them said."""

    def __init__(self, world: World, target: HttpServer, processes: list["subprocess.Popen[bytes]"]) -> None:
        self.world, self.target, self.processes = world, target, processes
        self.said: Counter[str] = Counter()

    async def hear(self, message: Message) -> None:
        said = parse_result_message(message.data)
        if isinstance(said, ResultBatch):
            self.said[said.prober] += len(said.results)

    async def ready(self) -> None:
        await eventually(lambda: self.world.one("select count(*) >= 2 from health.probers"), 30)

    async def add_monitors(self) -> list[int]:
        spec = dump_monitor(self._spec())
        rows = await self.world.rows(
            "insert into config.monitors (name, type, spec) select 'x', 'http', $1 from generate_series(1, $2) "
            "returning id",
            spec,
            MONITORS,
        )
        return [row["id"] for row in rows]

    def _spec(self) -> MonitorSpec:
        return parse_monitor({"type": "http", "name": "x", "url": self.target.url, "timeout_seconds": 10, "retries": 0})

    async def load(self, monitors: list[int]) -> None:
        """A round a second: each monitor's slot, in chunks as the scheduler makes them."""
        publisher, spec = self.world.bus.publisher(), self._spec()
        for _ in range(ROUNDS):
            slot_ms = now_ms()
            for start in range(0, MONITORS, 20):
                checks = [
                    DueCheck(monitor_id=each, config_version=1, slot_ms=slot_ms, spec=spec)
                    for each in monitors[start : start + 20]
                ]
                chunk = DueChunk(region=REGION, epoch=1, tick_ms=slot_ms, checks=checks)
                await publisher.publish(subjects.due_ring(REGION), chunk.to_bytes(), ttl_seconds=120)
            await asyncio.sleep(1)

    async def both_at_work(self) -> None:
        """Both have answered, and the next round is on its way."""
        asked = len(self.target.requests)
        await eventually(lambda: len(self.said) == 2 and len(self.target.requests) > asked, 30, 0.02)

    async def all_answered(self) -> bool:
        info = await self.world.bus.api(f"STREAM.INFO.{subjects.checks_stream(REGION)}")
        stored = await self.world.one("select count(*) from health.check_results")
        return bool(stored >= SLOTS and info["state"]["messages"] == 0)

    async def stored_once(self) -> None:
        """No slot lost, none twice, nothing that nobody asked for."""
        (found,) = await self.world.rows(
            "select count(*) as rows, count(distinct (monitor_id, slot)) as slots, "
            "count(*) filter (where error_class in ('skipped', 'internal')) as unrun from health.check_results"
        )
        assert found == {"rows": SLOTS, "slots": SLOTS, "unrun": 0}


@pytest.fixture
async def fleet(
    nats_server: NatsProcess, bus: Bus, database: Database, world: World, fold: Fold, http_target: HttpServer
) -> AsyncIterator[Fleet]:
    http_target.response = Response(delay_seconds=ANSWER_SECONDS)
    with ExitStack() as stack:
        processes = [stack.enter_context(prober_process(nats_server)) for _ in range(2)]
        made = Fleet(world, http_target, processes)
        heard = await bus.subscribe(subjects.result(REGION), made.hear)
        await made.ready()
        yield made
        await heard.unsubscribe()


async def test_one_that_is_stopped_ends_what_it_began(fleet: Fleet) -> None:
    loading = asyncio.create_task(fleet.load(await fleet.add_monitors()))
    await fleet.both_at_work()
    fleet.processes[0].send_signal(signal.SIGTERM)
    assert await asyncio.to_thread(fleet.processes[0].wait, STOP_SECONDS) == 0
    await loading
    await eventually(fleet.all_answered, 60, 0.2)
    await fleet.stored_once()


async def test_what_a_killed_one_held_is_checked_by_the_other(fleet: Fleet) -> None:
    loading = asyncio.create_task(fleet.load(await fleet.add_monitors()))
    await fleet.both_at_work()
    fleet.target.response = Response(delay_seconds=3)
    asked = len(fleet.target.requests)
    await eventually(lambda: len(fleet.target.requests) >= asked + MONITORS, 30, 0.02)
    fleet.processes[0].kill()
    fleet.target.response = Response()
    await loading
    await eventually(fleet.all_answered, 90, 0.2)
    await fleet.stored_once()
    assert len(fleet.target.requests) > SLOTS, "the killed one held nothing: this showed nothing"
