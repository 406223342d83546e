"""The incidents process alone: N monitors, R regions, results at their pace over real NATS into real PostgreSQL.

    python -m bench.fold --monitors 20000 --interval 10 --seconds 60
    python -m bench.fold --against /tmp/older --rounds 3

Prints JSON: results said and stored, CPU of the process and of PostgreSQL a result, fold lag and batch size. With
`--against`, a checkout of another commit takes turns with this one, each with servers of its own, and the medians of
the rounds are printed for both.
"""

import argparse
import asyncio
import json
import os
import re
import resource
import statistics
import subprocess
import sys
import time
import urllib.request
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Any

from farwatch_bus import Bus, ensure_region
from farwatch_cli.embedded.nats import NatsServer
from farwatch_events.monitor import dump_monitor, parse_monitor
from farwatch_events.results import CheckResult, ErrorClass, Heartbeat, Phases, ResultBatch, Try
from farwatch_events.subjects import result as result_subject
from farwatch_runtime.clock import now_ms
from farwatch_store import Database
from farwatch_store.migrate import migrate
from tests.support.servers import NatsProcess, PostgresProcess, server_folder

LINGER_SECONDS = 0.01
TICKS = os.sysconf("SC_CLK_TCK")
SAFE = {"fsync": "on", "synchronous_commit": "on", "full_page_writes": "on"}
"""PostgreSQL as it runs for people, not as it does for tests."""
PHASES = Phases(dns_ms=1.0, connect_ms=2.0, tls_ms=10.0, wait_ms=20.0, transfer_ms=1.0)


def cpu_seconds(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICKS


def tree_cpu_seconds(pid: int) -> float:
    """Of a process and its children, those included that have ended."""
    total = 0.0
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError):
            fields = stat.read_text().rpartition(")")[2].split()
            ended = sum(map(int, fields[13:15])) if int(stat.parent.name) == pid else 0
            if pid in (int(stat.parent.name), int(fields[1])):
                total += (int(fields[11]) + int(fields[12]) + ended) / TICKS
    return total


def start_service(
    nats_url: str, database_url: str, log: Path, code: Path | None
) -> tuple["subprocess.Popen[bytes]", int]:
    """The process and the port of its metrics. `code` is the checkout that is run, None for the one installed."""
    environ = {key: value for key, value in os.environ.items() if not key.startswith("FARWATCH_")}
    environ |= {"FARWATCH_NATS_URL": nats_url, "FARWATCH_DATABASE_URL": database_url, "FARWATCH_LOG_FORMAT": "json"}
    if code is not None:
        environ["PYTHONPATH"] = ":".join(str(path) for path in [*code.glob("libs/*"), *code.glob("services/*")])
    with log.open("wb") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", "farwatch_incidents"], env=environ, stdout=output, stderr=output
        )
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        if match := re.search(r'"port": ?(\d+)', log.read_text()):
            return process, int(match[1])
        time.sleep(0.05)
    process.kill()
    raise RuntimeError(log.read_text())


def read_metrics(port: int) -> dict[str, float]:
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=5) as answer:
        lines = answer.read().decode().splitlines()
    return {
        name: float(value) for name, _, value in (line.rpartition(" ") for line in lines if not line.startswith("#"))
    }


def quantile(before: dict[str, float], after: dict[str, float], name: str, fraction: float) -> float:
    """Upper bound of the histogram's bucket in which it lies."""
    counts = {
        float(match[1]): value - before.get(key, 0.0)
        for key, value in after.items()
        if (match := re.fullmatch(rf'{name}_bucket{{le="([^"]+)"}}', key))
    }
    total = counts.get(float("inf"), 0.0)
    return next((bound for bound in sorted(counts) if counts[bound] >= fraction * total), float("inf"))


async def make_monitors(database: Database, number: int, interval_seconds: int) -> list[int]:
    spec = parse_monitor(
        {"type": "http", "url": "http://a.test/", "name": "site", "interval_seconds": interval_seconds}
    )
    query = """insert into config.monitors (name, type, spec)
        select 'site ' || n, 'http', $1::jsonb from generate_series(1, $2) n returning id"""
    return [row["id"] for row in await database.pool.fetch(query, dump_monitor(spec), number)]


def say(monitor_id: int, slot_ms: int, *, failed: bool) -> CheckResult:
    figures: dict[str, Any] = {"latency_ms": 34.0, "status_code": 200, "outcome": "up"}
    if failed:
        figures = {"error_class": ErrorClass.TIMEOUT, "error": "timed out", "attempts": 2, "outcome": "down"}
    return CheckResult(
        monitor_id=monitor_id,
        config_version=1,
        slot_ms=slot_ms,
        started_ms=slot_ms + 3,
        finished_ms=slot_ms + 37,
        phases=PHASES,
        address="192.0.2.1",
        tries=[Try(started_ms=slot_ms + 3, latency_ms=34.0, error_class=figures.get("error_class"))],
        **figures,
    )


async def speak(bus: Bus, region: str, monitors: list[int], interval_seconds: int, seconds: float, bad: float) -> int:
    """Each monitor once an interval, evenly spread, in the batches that a linger of 10 ms makes."""
    publisher, said, began = bus.publisher(), 0, time.monotonic()
    per_second = len(monitors) / interval_seconds
    start_ms, beaten = now_ms(), -2.0
    while (elapsed := time.monotonic() - began) < seconds:
        if elapsed - beaten >= 2:
            beaten = elapsed
            beat = Heartbeat(
                type="heartbeat", region=region, prober="bench", sent_ms=now_ms(), watermark_ms=now_ms() - 50
            )
            _ = await publisher.start(result_subject(region), beat.to_bytes())
        due = int(elapsed * per_second)
        results = []
        for number in range(said, due):
            lap, which = divmod(number, len(monitors))
            slot_ms = start_ms + int((lap * interval_seconds + which / per_second) * 1000)
            failed = lap % 3 == 1 and which < bad * len(monitors)
            results.append(say(monitors[which], slot_ms, failed=failed))
        said = due
        for first in range(0, len(results), 256):
            batch = ResultBatch(type="results", region=region, prober="bench", results=results[first : first + 256])
            _ = await publisher.start(result_subject(region), batch.to_bytes())
        await asyncio.sleep(LINGER_SECONDS)
    await publisher.close()
    return said


def record(pid: int, seconds: float, file: str) -> "subprocess.Popen[bytes]":
    command = [
        str(Path(sys.executable).with_name("py-spy")),
        "record",
        "-d",
        str(int(seconds)),
        "-o",
        file,
        "-f",
        "raw",
        "-p",
        str(pid),
    ]
    return subprocess.Popen(command, stdout=subprocess.DEVNULL)


class Rig:
    """Servers with monitors, for one checkout. `measure` may be called again and again."""

    def __init__(self, options: argparse.Namespace, code: Path | None, folder: Path) -> None:
        self.options = options
        self.code = code
        self.folder = folder
        self.regions = [f"r{number}" for number in range(options.regions)]
        self.postgres = PostgresProcess(folder, SAFE)
        self.nats = NatsProcess(folder)
        self.nats.server = NatsServer(folder, regions=tuple(self.regions), open_access=True)
        self.monitors: list[int] = []

    def start(self) -> None:
        self.nats.start()
        self.postgres.start()

    def stop(self) -> None:
        self.postgres.stop()
        self.nats.stop()

    async def fill(self) -> None:
        await migrate(self.postgres.url())
        database = await Database.connect(self.postgres.url())
        bus = await Bus.connect(self.nats.url, name="bench")
        for region in self.regions:
            await ensure_region(bus, region)
            await database.pool.execute("insert into config.regions (name) values ($1)", region)
        self.monitors = await make_monitors(database, self.options.monitors, self.options.interval)
        await bus.close()
        await database.close()

    async def measure(self) -> dict[str, Any]:
        options, log = self.options, self.folder / "incidents.log"
        bus = await Bus.connect(self.nats.url, name="bench")
        process, port = await asyncio.to_thread(start_service, self.nats.url, self.postgres.url(), log, self.code)
        try:
            await asyncio.sleep(3)
            await self._speak(bus, options.interval + 1, 0.0)
            await asyncio.sleep(5)
            before = await asyncio.to_thread(read_metrics, port)
            cpu, postgres, began = cpu_seconds(process.pid), tree_cpu_seconds(self.postgres.pid), time.monotonic()
            recording = record(process.pid, options.seconds, options.profile) if options.profile else None
            said = await self._speak(bus, options.seconds, options.bad)
            await asyncio.sleep(1)
            spent, elapsed = cpu_seconds(process.pid) - cpu, time.monotonic() - began
            postgres = tree_cpu_seconds(self.postgres.pid) - postgres
            after = await asyncio.to_thread(read_metrics, port)
            if recording:
                recording.wait(30)
        finally:
            process.terminate()
            process.wait(15)
            await bus.close()
        if options.log:
            print(log.read_text()[-5000:])
        return figures(said, options.seconds, before, after, spent, postgres, elapsed)

    async def _speak(self, bus: Bus, seconds: float, bad: float) -> int:
        interval = self.options.interval
        return sum(
            await asyncio.gather(*(speak(bus, each, self.monitors, interval, seconds, bad) for each in self.regions))
        )


def figures(
    said: int,
    seconds: float,
    before: dict[str, float],
    after: dict[str, float],
    spent: float,
    postgres: float,
    elapsed: float,
) -> dict[str, Any]:
    stored = int(after["farwatch_fold_results_total"] - before["farwatch_fold_results_total"])
    lag, batch = "farwatch_fold_lag_seconds", "farwatch_fold_batch_results"
    batches = after[f"{batch}_count"] - before[f"{batch}_count"]
    return {
        "said": said,
        "stored": stored,
        "results_per_second": round(said / seconds),
        "cpu_percent_of_a_core": round(100 * spent / elapsed, 1),
        "cpu_us_per_result": round(1e6 * spent / max(1, stored)),
        "postgres_us_per_result": round(1e6 * postgres / max(1, stored)),
        "lag_p50_ms_below": quantile(before, after, lag, 0.5) * 1000,
        "lag_p99_ms_below": quantile(before, after, lag, 0.99) * 1000,
        "results_per_batch": round(stored / max(1, batches), 1),
        "batches": batches,
        "load_average": os.getloadavg()[0],
    }


async def bench(options: argparse.Namespace, rigs: dict[str, Rig]) -> dict[str, Any]:
    """By the name of the rig: the median of each figure over the rounds."""
    for rig in rigs.values():
        await rig.fill()
    found: dict[str, list[dict[str, Any]]] = {name: [] for name in rigs}
    for _ in range(options.rounds):
        for name, rig in rigs.items():
            found[name].append(await rig.measure())
    return {
        name: {key: statistics.median(each[key] for each in measured) for key in measured[0]}
        for name, measured in found.items()
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--monitors", type=int, default=20_000)
    parser.add_argument("--regions", type=int, default=1)
    parser.add_argument("--interval", type=int, default=10)
    parser.add_argument("--seconds", type=float, default=30)
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--against", type=Path, help="a checkout of another commit, to take turns with")
    parser.add_argument("--code", type=Path, help="the checkout to measure, in place of the installed one")
    parser.add_argument("--bad", type=float, default=0.01, help="share of monitors that go down now and then")
    parser.add_argument("--log", action="store_true", help="show the end of the log of the process")
    parser.add_argument("--profile", help="file for py-spy's raw stacks")
    options = parser.parse_args()
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    codes = {"this": options.code} | ({"against": options.against} if options.against else {})
    with ExitStack() as stack:
        rigs = {}
        for name, code in codes.items():
            rigs[name] = Rig(options, code, stack.enter_context(server_folder(f"fold-{name}")))
            stack.callback(rigs[name].stop)
            rigs[name].start()
        print(json.dumps(asyncio.run(bench(options, rigs)), indent=2))


if __name__ == "__main__":
    main()
