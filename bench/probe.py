"""What a check costs: the engine alone, a whole prober process, and prometheus-blackbox-exporter, taking turns.

python bench/probe.py [--rounds 3] [--seconds 3] [--concurrency 192] [--only http …]

engine    the part that talks to the target, nothing around it
process   a prober of its own, from due chunk to acknowledged result
blackbox  the exporter's process, asked over connections that are kept; skipped where it is not installed

Targets are an nginx (1 KB page, new connection each time), its port, a name server and this machine's loopback. As
many probes as `--concurrency` are kept going; CPU is that of the measured process alone, user and system. Prints JSON.
"""

import argparse
import asyncio
import gc
import json
import os
import statistics
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import trustme
import uvloop

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from bench.harness.blackbox import Blackbox, blackbox
from bench.harness.nginx import Nginx
from bench.harness.usage import read_stats
from farwatch_bus import Bus, ensure_region
from farwatch_events import subjects
from farwatch_events.checks import CHUNK_MAX_CHECKS, DueCheck, Reply
from farwatch_events.monitor import MonitorSpec, parse_monitor
from farwatch_events.results import CheckResult, Heartbeat, parse_result_message
from farwatch_prober import dnswire
from farwatch_prober.curl import CurlEngine, CurlRequest
from farwatch_prober.dial import dial
from farwatch_prober.icmp import Pinger
from farwatch_prober.redirects import parse_target
from farwatch_prober.resolver import Resolver, SystemFiles
from farwatch_runtime.clock import now_ms
from tests.support.due import chunk_of
from tests.support.servers import NatsProcess
from tests.support.waiting import eventually

REGION = "bench"
KINDS = ("http", "https-ecdsa", "https-rsa", "port", "ping", "dns")
WARM_UP_SECONDS = 0.5
ENDS_SECONDS = 30.0
NAME = "www.test"
SOME_SLOT_MS = 7_777_777_777_777


@dataclass(frozen=True)
class Turn:
    probes: int
    cpu_seconds: float

    @property
    def per_cpu_second(self) -> float:
        return max(1, self.probes) / max(0.01, self.cpu_seconds)


@dataclass(frozen=True)
class Targets:
    nginx: Nginx
    name_server: str
    authorities: Path

    def url(self, kind: str) -> str:
        return self.nginx.url if kind == "http" else self.nginx.secure_urls[kind.removeprefix("https-")]

    def blackbox_target(self, kind: str) -> tuple[str, str]:
        """Module and target."""
        match kind:
            case "port":
                return "port", f"127.0.0.1:{self.nginx.port}"
            case "ping":
                return "ping", "127.0.0.1"
            case "dns":
                return "dns", self.name_server
        return "http", self.url(kind)

    def monitor(self, kind: str, number: int) -> MonitorSpec:
        """All defaults beside what names the target; one packet, as the exporter sends."""
        fields: dict[str, Any] = {"name": f"bench {number}"}
        match kind:
            case "port":
                fields |= {"type": "port", "host": "127.0.0.1", "port": self.nginx.port}
            case "ping":
                fields |= {"type": "ping", "host": "127.0.0.1", "packets": 1}
            case "dns":
                fields |= {"type": "dns", "host": NAME, "resolver": self.name_server}
            case _:
                fields |= {"type": "http", "url": f"{self.url(kind)}?{number}"}
        return parse_monitor(fields)


def cpu_seconds(pid: int) -> float:
    """Without its children: those of the bench itself are the targets."""
    return read_stats()[pid].cpu_seconds


async def saturate(work: Callable[[], Awaitable[None]], concurrency: int, seconds: float, pid: int) -> Turn:
    """`concurrency` of them at a time, after a while to warm up."""
    done = 0
    ends = time.perf_counter() + WARM_UP_SECONDS + seconds

    async def one() -> None:
        nonlocal done
        while time.perf_counter() < ends:
            await work()
            done += 1

    running = asyncio.gather(*(one() for _ in range(concurrency)))
    await asyncio.sleep(WARM_UP_SECONDS)
    before_done, before = done, cpu_seconds(pid)
    await running
    return Turn(done - before_done, cpu_seconds(pid) - before)


class Engines:
    """The parts of the prober that talk to targets, by kind of check."""

    def __init__(self, targets: Targets) -> None:
        self._targets = targets
        self._curl = CurlEngine(targets.authorities)
        self._pinger = Pinger()
        self._resolver = Resolver(SystemFiles())

    def work(self, kind: str) -> Callable[[], Awaitable[None]]:
        match kind:
            case "port":
                return self._connect
            case "ping":
                return self._ping
            case "dns":
                return self._ask
        target = parse_target(self._targets.url(kind))
        asked = CurlRequest(target.url, target.host, target.port, is_tls=kind != "http")

        async def request() -> None:
            transfer = await self._curl.perform(asked, (target.host,), 10.0)
            assert transfer.status == 200, transfer

        return request

    async def _connect(self) -> None:
        await dial(("127.0.0.1",), self._targets.nginx.port, 10.0)

    async def _ping(self) -> None:
        result = await self._pinger.ping("127.0.0.1", 1, 10.0)
        assert result.received == 1, result

    async def _ask(self) -> None:
        address, _, port = self._targets.name_server.rpartition(":")
        reply = await self._resolver.ask_server(address, int(port), NAME, dnswire.A, 10.0)
        assert reply.addresses, reply

    async def close(self) -> None:
        await self._curl.close()
        await self._resolver.close()
        self._pinger.close()


class Process:
    """A prober of its own that is given chunks, `concurrency` checks at a time."""

    def __init__(self, bus: Bus, pid: int, targets: Targets) -> None:
        self._bus = bus
        self.targets = targets
        self.publisher = bus.publisher()
        self._answered = asyncio.Event()
        self._asked = self.results = 0
        self.pid = pid
        self.beats = 0
        self.wrong: list[CheckResult] = []
        self.on_result: Callable[[CheckResult], None] = lambda _: None
        self.on_heartbeat: Callable[[Heartbeat], None] = lambda _: None

    async def read(self) -> None:
        reader = self._bus.reader(subjects.results_stream(REGION), 1)
        while True:
            for message in await reader.batch(256, 0.5):
                said = parse_result_message(message.data)
                if isinstance(said, Heartbeat):
                    self.beats += 1
                    self.on_heartbeat(said)
                    continue
                self.results += len(said.results)
                self.wrong += [result for result in said.results if result.outcome != "up"]
                for result in said.results:
                    self.on_result(result)
                self._answered.set()

    async def run(self, kind: str, concurrency: int, seconds: float) -> Turn:
        chunks = [self._chunk(kind, start) for start in range(0, 16 * CHUNK_MAX_CHECKS, CHUNK_MAX_CHECKS)]
        await self._feed(chunks, concurrency, WARM_UP_SECONDS)
        before_results, before = self.results, cpu_seconds(self.pid)
        await self._feed(chunks, concurrency, seconds)
        await eventually(lambda: self.results >= self._asked, ENDS_SECONDS)
        turn = Turn(self.results - before_results, cpu_seconds(self.pid) - before)
        assert not self.wrong, self.wrong[0]
        return turn

    def _chunk(self, kind: str, start: int) -> bytes:
        """Of SOME_SLOT_MS, to be replaced by the slot."""
        checks = [
            DueCheck(monitor_id=1 + number, config_version=1, slot_ms=0, spec=self.targets.monitor(kind, number))
            for number in range(start, start + CHUNK_MAX_CHECKS)
        ]
        return chunk_of(REGION, 1, SOME_SLOT_MS, checks)

    async def _feed(self, chunks: list[bytes], concurrency: int, seconds: float) -> None:
        ends = time.perf_counter() + seconds
        while time.perf_counter() < ends:
            for chunk in chunks:
                while self._asked - self.results > concurrency - CHUNK_MAX_CHECKS:
                    self._answered.clear()
                    async with asyncio.timeout(ENDS_SECONDS):
                        await self._answered.wait()
                data = chunk.replace(b"%d" % SOME_SLOT_MS, b"%d" % now_ms())
                _ = await self.publisher.start(subjects.due_ring(REGION), data, ttl_seconds=60)
                self._asked += CHUNK_MAX_CHECKS

    async def close(self) -> None:
        await self.publisher.close()


@asynccontextmanager
async def prober_process(
    folder: Path, targets: Targets, settings: Mapping[str, str] | None = None
) -> AsyncIterator[Process]:
    nats = NatsProcess(folder)
    nats.start()
    bus = await Bus.connect(nats.url, name="bench")
    await ensure_region(bus, REGION)
    await bus.respond(subjects.REGISTER_REGION_COMMAND, _registered)
    environ = {
        "FARWATCH_NATS_URL": nats.url,
        "FARWATCH_REGION": REGION,
        "FARWATCH_CANARIES": "off",
        "FARWATCH_CA_FILE": str(targets.authorities),
        **(settings or {}),
    }
    prober = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "farwatch_prober", env=os.environ | environ, stdout=asyncio.subprocess.DEVNULL
    )
    process = Process(bus, prober.pid, targets)
    reading = asyncio.create_task(process.read())
    try:
        await eventually(lambda: process.beats, 20)
        yield process
    finally:
        reading.cancel()
        await process.close()
        prober.terminate()
        await asyncio.wait_for(prober.wait(), 15)
        await bus.close()
        nats.stop()


async def _registered(_: bytes) -> bytes:
    return Reply(ok=True).to_bytes()


@asynccontextmanager
async def targets_in(folder: Path) -> AsyncIterator[Targets]:
    ca = trustme.CA()
    authorities = folder / "ca.pem"
    ca.cert_pem.write_to_path(str(authorities))
    certificates = {}
    for name, key_type in (("ecdsa", trustme.KeyType.ECDSA), ("rsa", trustme.KeyType.RSA)):
        certificate, key = folder / f"{name}.pem", folder / f"{name}.key"
        issued = ca.issue_cert("127.0.0.1", key_type=key_type)
        issued.private_key_pem.write_to_path(str(key))
        certificate.write_bytes(b"".join(blob.bytes() for blob in issued.cert_chain_pems))
        certificates[name] = (certificate, key)
    nginx = Nginx(folder / "nginx", certificates)
    nginx.start()
    server = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "bench.harness.nameserver",
        stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, cwd=Path(__file__).resolve().parents[1],
    )  # fmt: skip
    try:
        assert server.stdout is not None
        port = int(await asyncio.wait_for(server.stdout.readline(), 10))
        yield Targets(nginx, f"127.0.0.1:{port}", authorities)
    finally:
        server.terminate()
        await server.wait()
        nginx.stop()


def report(turns: Mapping[str, list[Turn]]) -> dict[str, Any]:
    """Medians over the rounds; `spread` is the largest over the smallest, which is the noise of the machine."""
    told: dict[str, Any] = {}
    for who, each in turns.items():
        rates = [turn.per_cpu_second for turn in each]
        told[who] = {
            "per_cpu_second": round(statistics.median(rates)),
            "cpu_us_each": round(1e6 / statistics.median(rates), 1),
            "probes": sum(turn.probes for turn in each),
            "spread": round(max(rates) / min(rates), 2),
        }
    for who in ("engine", "process"):
        if "blackbox" in told and who in told:
            ratios = [
                ours.per_cpu_second / theirs.per_cpu_second
                for ours, theirs in zip(turns[who], turns["blackbox"], strict=True)
            ]
            told[f"{who}_to_blackbox"] = round(statistics.median(ratios), 2)
    return told


async def take_turns(
    kind: str, arguments: argparse.Namespace, engines: Engines, process: Process, exporter: Blackbox | None
) -> dict[str, Any]:
    turns: dict[str, list[Turn]] = {who: [] for who in ("engine", "process", *(("blackbox",) if exporter else ()))}
    concurrency, seconds = arguments.concurrency, arguments.seconds
    for _ in range(arguments.rounds):
        turns["engine"].append(await saturate(engines.work(kind), concurrency, seconds, os.getpid()))
        turns["process"].append(await process.run(kind, concurrency, seconds))
        if exporter is not None:
            asked = process.targets.blackbox_target(kind)
            turns["blackbox"].append(await _exporter_turn(exporter, *asked, concurrency, seconds))
    told = report(turns)
    if exporter is not None:
        told["blackbox"]["failed"], exporter.failed = exporter.failed, 0
    print(json.dumps({kind: told}), file=sys.stderr, flush=True)
    return told


async def _exporter_turn(exporter: Blackbox, module: str, target: str, concurrency: int, seconds: float) -> Turn:
    """Its probes that fail for want of buffers count like the others: they cost as much."""

    async def work() -> None:
        if not await exporter.probe(module, target):
            exporter.failed += 1

    return await saturate(work, concurrency, seconds, exporter.pid)


async def run(arguments: argparse.Namespace) -> dict[str, Any]:
    async with AsyncExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="farwatch-bench-")))
        targets = await stack.enter_async_context(targets_in(folder))
        exporter = await stack.enter_async_context(blackbox(folder, targets.authorities))
        if exporter is None:
            print("prometheus-blackbox-exporter is not installed: no comparison", file=sys.stderr)
        (folder / "nats").mkdir()
        process = await stack.enter_async_context(prober_process(folder / "nats", targets))
        engines = Engines(targets)
        stack.push_async_callback(engines.close)
        gc.collect()
        gc.freeze()
        gc.set_threshold(50_000, 20, 20)  # as a prober has it
        started = os.getloadavg()[0]
        found = {
            kind: await take_turns(kind, arguments, engines, process, exporter) for kind in arguments.only or KINDS
        }
        return {"load_average": [round(started, 1), round(os.getloadavg()[0], 1)], "cores": os.cpu_count()} | found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=3.0)
    parser.add_argument("--concurrency", type=int, default=192)
    parser.add_argument("--only", action="append", choices=KINDS)
    print(json.dumps(uvloop.run(run(parser.parse_args())), indent=2))


if __name__ == "__main__":
    main()
