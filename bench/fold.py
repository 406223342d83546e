"""The incidents process alone: N monitors, R regions, results at their pace over real NATS into real PostgreSQL.

    python -m bench.fold --monitors 20000 --interval 10 --seconds 60

Prints JSON: results said and stored, CPU of the process (percent of one core), fold lag and batch size.
"""

import argparse
import asyncio
import json
import os
import re
import resource
import subprocess
import sys
import tempfile
import time
import urllib.request
from pathlib import Path
from typing import Any

from farwatch_bus import Bus, ensure_region
from farwatch_cli.embedded.nats import NatsServer
from farwatch_events.monitor import dump_monitor, parse_monitor
from farwatch_events.results import CheckResult, ErrorClass, Heartbeat, Phases, ResultBatch
from farwatch_events.subjects import result as result_subject
from farwatch_runtime.clock import now_ms
from farwatch_store import Database
from farwatch_store.migrate import migrate
from tests.support.servers import NatsProcess, PostgresProcess, server_folder

LINGER_SECONDS = 0.01
TICKS = os.sysconf("SC_CLK_TCK")
PHASES = Phases(dns_ms=1.0, connect_ms=2.0, tls_ms=10.0, wait_ms=20.0, transfer_ms=1.0)


def cpu_seconds(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICKS


def start_service(nats_url: str, database_url: str, log: Path) -> tuple["subprocess.Popen[bytes]", int]:
    """The process and the port of its metrics."""
    environ = {key: value for key, value in os.environ.items() if not key.startswith("FARWATCH_")}
    environ |= {"FARWATCH_NATS_URL": nats_url, "FARWATCH_DATABASE_URL": database_url, "FARWATCH_LOG_FORMAT": "json"}
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


async def bench(options: argparse.Namespace, nats_url: str, database_url: str, folder: Path) -> dict[str, Any]:
    await migrate(database_url)
    database = await Database.connect(database_url)
    bus = await Bus.connect(nats_url, name="bench")
    regions = [f"r{number}" for number in range(options.regions)]
    for region in regions:
        await ensure_region(bus, region)
        await database.pool.execute("insert into config.regions (name) values ($1)", region)
    monitors = await make_monitors(database, options.monitors, options.interval)
    process, port = await asyncio.to_thread(start_service, nats_url, database_url, folder / "incidents.log")
    try:
        await asyncio.sleep(3)
        for region in regions:
            _ = await speak(bus, region, monitors, options.interval, options.interval + 1, 0.0)
        await asyncio.sleep(5)
        before = await asyncio.to_thread(read_metrics, port)
        cpu, began = cpu_seconds(process.pid), time.monotonic()
        recording = record(process.pid, options.seconds, options.profile) if options.profile else None
        speaking = (speak(bus, each, monitors, options.interval, options.seconds, options.bad) for each in regions)
        said = sum(await asyncio.gather(*speaking))
        await asyncio.sleep(1)
        spent, elapsed = cpu_seconds(process.pid) - cpu, time.monotonic() - began
        after = await asyncio.to_thread(read_metrics, port)
        if recording:
            recording.wait(30)
        stored = int(after["farwatch_fold_results_total"] - before["farwatch_fold_results_total"])
        incidents = await database.pool.fetchval("select count(*) from health.incidents")
    finally:
        process.terminate()
        process.wait(15)
        await bus.close()
        await database.close()
    if options.log:
        print((folder / "incidents.log").read_text()[-5000:])
    lag, batch = "farwatch_fold_lag_seconds", "farwatch_fold_batch_results"
    batches = after[f"{batch}_count"] - before[f"{batch}_count"]
    return {
        "said": said,
        "stored": stored,
        "results_per_second": round(said / options.seconds),
        "incidents": incidents,
        "cpu_percent_of_a_core": round(100 * spent / elapsed, 1),
        "cpu_us_per_result": round(1e6 * spent / max(1, stored)),
        "lag_p50_ms_below": quantile(before, after, lag, 0.5) * 1000,
        "lag_p99_ms_below": quantile(before, after, lag, 0.99) * 1000,
        "results_per_batch": round(stored / max(1, batches), 1),
        "batches": batches,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--monitors", type=int, default=20_000)
    parser.add_argument("--regions", type=int, default=1)
    parser.add_argument("--interval", type=int, default=10)
    parser.add_argument("--seconds", type=float, default=30)
    parser.add_argument("--bad", type=float, default=0.01, help="share of monitors that go down now and then")
    parser.add_argument("--log", action="store_true", help="show the end of the log of the process")
    parser.add_argument("--profile", help="file for py-spy's raw stacks")
    options = parser.parse_args()
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    with server_folder("nats") as one, server_folder("postgres") as two, tempfile.TemporaryDirectory() as three:
        nats, postgres = NatsProcess(one), PostgresProcess(two)
        regions = tuple(f"r{number}" for number in range(options.regions))
        nats.server = NatsServer(Path(one), regions=regions, open_access=True)
        nats.start()
        postgres.start()
        try:
            print(json.dumps(asyncio.run(bench(options, nats.url, postgres.url(), Path(three))), indent=2))
        finally:
            postgres.stop()
            nats.stop()


if __name__ == "__main__":
    main()
