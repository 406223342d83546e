"""How far reported times are from the truth: a fast target, with 2,000 slow checks in flight and a busy prober.

python bench/honest.py [--slow 2000] [--share 0.6] [--seconds 20] [--undisturbed]

A prober of its own is given its checks every 100 ms, as a scheduler does: those of slow targets, always as many in
flight; those that keep it busy, as many as take the wanted share of a core; and 100 a second of a fast target, whose
packets are stamped by the kernel. The time to first byte that results report (connect and wait) is held against two
truths: from SYN to the first byte on the wire, and the stricter sum of SYN to SYN-ACK and request to first byte, which
leaves out what the prober itself took to send its request. With `--undisturbed` the prober is put before all other
processes (SCHED_RR), so that a machine that others use too does not count as its lateness. Needs root. Prints JSON.
"""

import argparse
import asyncio
import json
import os
import random
import statistics
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import uvloop

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from bench.harness.nginx import Nginx
from bench.harness.wire import Passage, Wire
from bench.probe import REGION, Process, Targets, cpu_seconds, prober_process, targets_in
from farwatch_events import subjects
from farwatch_events.checks import CHUNK_MAX_CHECKS, DueCheck
from farwatch_events.monitor import MonitorSpec, parse_monitor
from farwatch_events.results import CheckResult
from farwatch_runtime.clock import now_ms
from tests.support.due import chunk_of

TICK_SECONDS = 0.1
FAST_A_TICK = 10
FAST_FROM, BUSY_FROM = 1_000_000, 2_000_000
BUSY_MONITORS = 4_000
SLOW_SECONDS = (6.0, 10.0)
SETTLE_SECONDS = 12


def web_monitor(number: int, url: str) -> MonitorSpec:
    fields = {"type": "http", "name": f"bench {number}", "url": f"{url}?{number}"}
    return parse_monitor(fields | {"timeout_seconds": 30, "retries": 0})


@dataclass
class Load:
    """What is due, tick by tick. `busy_a_tick` is set from outside to reach the wanted share."""

    process: Process
    urls: Mapping[str, str]
    slow: int
    busy_a_tick: float = 20.0
    slow_waiting: list[int] = field(default_factory=list)
    fast: dict[int, list[CheckResult]] = field(default_factory=lambda: defaultdict(list))
    _busy_next: int = 0
    _fast_next: int = 0
    _owed: float = 0.0
    _specs: dict[int, MonitorSpec] = field(default_factory=dict)

    def on_result(self, result: CheckResult) -> None:
        if result.monitor_id < FAST_FROM:
            self.slow_waiting.append(result.monitor_id)
        elif result.monitor_id < BUSY_FROM:
            self.fast[result.monitor_id].append(result)

    def _check(self, number: int, kind: str, slot_ms: int) -> DueCheck:
        spec = self._specs.get(number)
        if spec is None:
            spec = self._specs[number] = web_monitor(number, self.urls[kind])
        return DueCheck(monitor_id=number, config_version=1, slot_ms=slot_ms, spec=spec)

    def _due(self) -> list[DueCheck]:
        slot_ms = now_ms()
        slow, self.slow_waiting = self.slow_waiting[:200], self.slow_waiting[200:]
        due = [self._check(number, "slow", slot_ms) for number in slow]
        self._owed += self.busy_a_tick
        for _ in range(int(self._owed)):
            self._busy_next = (self._busy_next + 1) % BUSY_MONITORS
            due.append(self._check(BUSY_FROM + self._busy_next, "busy", slot_ms))
        self._owed %= 1
        for _ in range(FAST_A_TICK):
            self._fast_next += 1
            due.append(self._check(FAST_FROM + self._fast_next, "fast", slot_ms))
        random.shuffle(due)
        return due

    async def run(self) -> None:
        self.slow_waiting = list(range(1, self.slow + 1))
        due_at = time.monotonic()
        while True:
            checks = self._due()
            for start in range(0, len(checks), CHUNK_MAX_CHECKS):
                part = checks[start : start + CHUNK_MAX_CHECKS]
                data = chunk_of(REGION, 1, part[0].slot_ms, part)
                _ = await self.process.publisher.start(subjects.due_ring(REGION), data, ttl_seconds=60)
            due_at += TICK_SECONDS
            await asyncio.sleep(max(0.0, due_at - time.monotonic()))


async def settle(load: Load, share: float, seconds: float) -> None:
    """Finds the load that takes the wanted share of a core."""
    for _ in range(int(seconds)):
        taken = await share_of(load.process.pid, 1.0)
        load.busy_a_tick = max(1.0, load.busy_a_tick * min(1.6, max(0.6, share / max(0.05, taken))))


async def share_of(pid: int, seconds: float) -> float:
    before, began = cpu_seconds(pid), time.monotonic()
    await asyncio.sleep(seconds)
    return (cpu_seconds(pid) - before) / (time.monotonic() - began)


@asynccontextmanager
async def slow_target() -> AsyncIterator[int]:
    server = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "bench.harness.slow", *map(str, SLOW_SECONDS),
        stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, cwd=Path(__file__).resolve().parents[1],
    )  # fmt: skip
    try:
        assert server.stdout is not None
        yield int(await asyncio.wait_for(server.stdout.readline(), 10))
    finally:
        server.terminate()
        await server.wait()


def quantiles(values: Sequence[float]) -> dict[str, float]:
    parts = statistics.quantiles(values, n=100)
    return {"p50": round(parts[49], 3), "p90": round(parts[89], 3), "p99": round(parts[98], 3)}


def compare(passages: Sequence[Passage], results: Mapping[int, Sequence[CheckResult]]) -> dict[str, Any]:
    """Milliseconds. Each monitor of the fast target is checked once, so its number joins the two."""
    reported, whole, strict = [], [], []
    for passage in passages:
        for result in results.get(passage.number, ()):
            reported.append((result.phases.connect_ms or 0.0) + (result.phases.wait_ms or 0.0))
            whole.append(passage.whole_seconds * 1000)
            strict.append((passage.connect_seconds + passage.answer_seconds) * 1000)
    return {
        "compared": len(reported),
        "reported_ms": quantiles(reported),
        "truth_ms": quantiles(whole),
        "differs_by_ms": quantiles([abs(said - true) for said, true in zip(reported, whole, strict=True)]),
        "strict_truth_ms": quantiles(strict),
        "differs_from_strict_by_ms": quantiles([abs(a - b) for a, b in zip(reported, strict, strict=True)]),
    }


async def measure(load: Load, wire: Wire, seconds: float) -> dict[str, Any]:
    load.fast.clear()
    wire.passages.clear()
    before = load.process.results
    lags: list[float] = []
    load.process.on_heartbeat = lambda beat: lags.append(beat.loop_lag_ms)
    share = await share_of(load.process.pid, seconds)
    answered = load.process.results - before
    await asyncio.sleep(1.0)  # for the last results
    in_flight = load.slow - len(load.slow_waiting)
    return {
        "share_of_core": round(share, 2),
        "checks_a_second": round(answered / seconds),
        "slow_in_flight": in_flight,
        "loop_lag_ms": round(statistics.median(lags), 1) if lags else None,
        **compare(list(wire.passages), load.fast),
    }


async def run(arguments: argparse.Namespace) -> dict[str, Any]:
    async with AsyncExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="farwatch-bench-")))
        targets: Targets = await stack.enter_async_context(targets_in(folder))
        fast = Nginx(folder / "fast")
        fast.start()
        stack.callback(fast.stop)
        slow_port = await stack.enter_async_context(slow_target())
        wire = Wire(fast.port)
        stack.callback(wire.close)
        asyncio.get_running_loop().add_reader(wire.socket.fileno(), wire.read)
        (folder / "nats").mkdir()
        capacity = {"FARWATCH_MAX_CONCURRENCY": str(2 * arguments.slow + 2000)}
        process = await stack.enter_async_context(prober_process(folder / "nats", targets, capacity))
        urls = {"slow": f"http://127.0.0.1:{slow_port}/", "busy": targets.nginx.url, "fast": fast.url}
        load = Load(process, urls, arguments.slow)
        process.on_result = load.on_result
        if arguments.undisturbed:
            os.sched_setscheduler(process.pid, os.SCHED_RR, os.sched_param(1))
        feeding = asyncio.create_task(load.run())
        started = os.getloadavg()[0]
        await settle(load, arguments.share, SETTLE_SECONDS)
        found = await measure(load, wire, arguments.seconds)
        feeding.cancel()
        process.wrong.clear()
        about = {"undisturbed": arguments.undisturbed, "cores": os.cpu_count()}
        return about | {"load_average": [round(started, 1), round(os.getloadavg()[0], 1)]} | found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--slow", type=int, default=2000)
    parser.add_argument("--share", type=float, default=0.6)
    parser.add_argument("--seconds", type=float, default=20.0)
    parser.add_argument("--undisturbed", action="store_true")
    if os.geteuid() != 0:
        raise SystemExit("bench/honest.py needs root, to see the kernel's time of each packet")
    print(json.dumps(uvloop.run(run(parser.parse_args())), indent=2))


if __name__ == "__main__":
    main()
