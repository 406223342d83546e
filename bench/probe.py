"""What an HTTP check costs the prober, against an nginx of its own on this machine. Prints JSON.

python bench/probe.py [--seconds 5] [--concurrency 150] [--rate 2000]

engine   one request by libcurl, nothing around it
check    name, policy, request, judgement, result as bytes
process  a prober of its own from due chunk to acknowledged result, `--rate` checks a second asked of it
"""

import argparse
import asyncio
import json
import os
import resource
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import structlog
import uvloop

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from bench.harness.nginx import Nginx
from farwatch_bus import Bus, ensure_region
from farwatch_events import subjects
from farwatch_events.checks import CHUNK_MAX_CHECKS, DueCheck, DueChunk, Reply
from farwatch_events.monitor import parse_monitor
from farwatch_events.results import Heartbeat, parse_result_message
from farwatch_prober.context import Tools
from farwatch_prober.curl import CurlEngine, CurlRequest
from farwatch_prober.icmp import Pinger
from farwatch_prober.policy import AddressPolicy
from farwatch_prober.redirects import parse_target
from farwatch_prober.resolver import Resolver, SystemFiles
from farwatch_prober.runner import Runner
from farwatch_prober.secrets import Revealer
from farwatch_runtime.clock import now_ms
from tests.support.servers import NatsProcess
from tests.support.waiting import eventually

REGION = "bench"
WARM_UP_SECONDS = 1.0
TICK_SECONDS = 0.05
CPU_TICKS = os.sysconf("SC_CLK_TCK")


def due_check(url: str, monitor_id: int) -> DueCheck:
    spec = parse_monitor({"type": "http", "name": "bench", "url": url, "interval_seconds": 60, "timeout_seconds": 10})
    return DueCheck(monitor_id=monitor_id, config_version=1, slot_ms=now_ms(), spec=spec)


async def saturate(work: Callable[[], Awaitable[None]], concurrency: int, seconds: float) -> dict[str, float]:
    """`concurrency` of them at a time; CPU is this process's."""
    done = 0
    ends = 0.0

    async def one() -> None:
        nonlocal done
        while time.perf_counter() < ends:
            await work()
            done += 1

    ends = time.perf_counter() + WARM_UP_SECONDS
    await asyncio.gather(*(one() for _ in range(concurrency)))
    done = 0
    before, started = resource.getrusage(resource.RUSAGE_SELF), time.perf_counter()
    ends = started + seconds
    await asyncio.gather(*(one() for _ in range(concurrency)))
    wall = time.perf_counter() - started
    after = resource.getrusage(resource.RUSAGE_SELF)
    return figures(done, wall, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)


def figures(done: int, wall_seconds: float, cpu_seconds: float) -> dict[str, float]:
    return {
        "probes": done,
        "per_second": round(done / wall_seconds),
        "cpu_us_each": round(cpu_seconds / max(1, done) * 1e6, 1),
        "per_cpu_second": round(done / max(1e-9, cpu_seconds)),
    }


def make_tools() -> Tools:
    return Tools(Resolver(SystemFiles()), AddressPolicy(), CurlEngine(None), Pinger())


async def bench_engine(url: str, concurrency: int, seconds: float) -> dict[str, float]:
    engine, target = CurlEngine(None), parse_target(url)

    async def work() -> None:
        request = CurlRequest(target.url, target.host, target.port, (target.host,), 10.0)
        transfer = await engine.perform(request)
        assert transfer.status == 200, transfer

    try:
        return await saturate(work, concurrency, seconds)
    finally:
        await engine.close()


async def bench_check(url: str, concurrency: int, seconds: float) -> dict[str, float]:
    tools = make_tools()
    runner = Runner(tools, Revealer(None), now_ms, structlog.get_logger())
    check = due_check(url, 1)

    async def work() -> None:
        result = await runner.run(check.model_copy(update={"slot_ms": now_ms()}), epoch=1)
        assert result.outcome == "up", result
        result.to_bytes()

    try:
        return await saturate(work, concurrency, seconds)
    finally:
        await tools.close()


async def bench_process(url: str, rate: int, seconds: float) -> dict[str, Any]:
    with tempfile.TemporaryDirectory(prefix="farwatch-bench-") as folder:
        nats = NatsProcess(Path(folder))
        nats.start()
        bus = await Bus.connect(nats.url, name="bench")
        await ensure_region(bus, REGION)
        await bus.respond(subjects.REGISTER_REGION_COMMAND, _registered)
        environ = {"FARWATCH_NATS_URL": nats.url, "FARWATCH_REGION": REGION, "FARWATCH_CANARIES": "off"}
        prober = await asyncio.create_subprocess_exec(sys.executable, "-m", "farwatch_prober", env=os.environ | environ)
        try:
            return await _drive(bus, prober.pid, url, rate, seconds)
        finally:
            prober.terminate()
            await asyncio.wait_for(prober.wait(), 15)
            await bus.close()
            nats.stop()


async def _registered(_: bytes) -> bytes:
    return Reply(ok=True).to_bytes()


async def _drive(bus: Bus, pid: int, url: str, rate: int, seconds: float) -> dict[str, Any]:
    counted = Counted()
    reading = asyncio.create_task(counted.read(bus))
    await eventually(lambda: counted.beats, 20)
    await _send(bus, url, rate, WARM_UP_SECONDS * 2)
    before_count, before_cpu, started = counted.results, cpu_seconds(pid), time.perf_counter()
    sent = await _send(bus, url, rate, seconds)
    await eventually(lambda: counted.results - before_count >= sent, 10)
    wall, cpu = time.perf_counter() - started, cpu_seconds(pid) - before_cpu
    reading.cancel()
    report: dict[str, Any] = figures(counted.results - before_count, wall, cpu)
    beat = counted.beats[-1]
    return report | {
        "asked": sent,
        "not_up": counted.not_up,
        "start_delay_p99_ms": counted.start_delay(0.99),
        "loop_lag_ms": beat.loop_lag_ms,
    }


async def _send(bus: Bus, url: str, rate: int, seconds: float) -> int:
    publisher = bus.publisher()
    started, sent = time.perf_counter(), 0
    template = due_check(url, 1)
    while (elapsed := time.perf_counter() - started) < seconds:
        wanted = int(elapsed * rate) - sent
        for size in [CHUNK_MAX_CHECKS] * (wanted // CHUNK_MAX_CHECKS):
            now = now_ms()
            checks = [template.model_copy(update={"monitor_id": sent + n, "slot_ms": now}) for n in range(size)]
            chunk = DueChunk(region=REGION, epoch=1, tick_ms=now, checks=checks)
            _ = await publisher.start(subjects.due_ring(REGION), chunk.to_bytes(), ttl_seconds=60)
            sent += size
        await asyncio.sleep(TICK_SECONDS)
    await publisher.drain(5)
    await publisher.close()
    return sent


class Counted:
    def __init__(self) -> None:
        self.results = 0
        self.not_up = 0
        self.delays: list[int] = []
        self.beats: list[Heartbeat] = []

    async def read(self, bus: Bus) -> None:
        reader = bus.reader(subjects.results_stream(REGION), 1)
        while True:
            for message in await reader.batch(256, 0.5):
                said = parse_result_message(message.data)
                if isinstance(said, Heartbeat):
                    self.beats.append(said)
                    continue
                self.results += len(said.results)
                self.not_up += sum(result.outcome != "up" for result in said.results)
                self.delays += [result.started_ms - result.slot_ms for result in said.results]

    def start_delay(self, share: float) -> int:
        ordered = sorted(self.delays)
        return ordered[int(len(ordered) * share)] if ordered else 0


def cpu_seconds(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / CPU_TICKS


async def run(arguments: argparse.Namespace) -> dict[str, Any]:
    with tempfile.TemporaryDirectory(prefix="farwatch-nginx-") as folder:
        nginx = Nginx(Path(folder) / "nginx")
        nginx.start()
        try:
            wanted = arguments.only or ["engine", "check", "process"]
            report: dict[str, Any] = {}
            if "engine" in wanted:
                report["engine"] = await bench_engine(nginx.url, arguments.concurrency, arguments.seconds)
            if "check" in wanted:
                report["check"] = await bench_check(nginx.url, arguments.concurrency, arguments.seconds)
            if "process" in wanted:
                report["process"] = await bench_process(nginx.url, arguments.rate, arguments.seconds)
            return report
        finally:
            nginx.stop()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=5.0)
    parser.add_argument("--concurrency", type=int, default=150)
    parser.add_argument("--rate", type=int, default=2000)
    parser.add_argument("--only", action="append", choices=["engine", "check", "process"])
    print(json.dumps(uvloop.run(run(parser.parse_args())), indent=2))


if __name__ == "__main__":
    main()
