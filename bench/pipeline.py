"""The whole path for real: `farwatch up` with N monitors against a local target, measured for S seconds. Prints JSON.

python bench/pipeline.py --monitors 20000 --interval 10 --seconds 300

What is measured begins after every monitor had its first check and a warm-up, and spans whole intervals. Slots are
counted exactly, from the rows stored; fold lag comes from the histogram of the service, so its quantiles are as fine
as the buckets. Everything that was started ends with this process, however it ends. --growth adds the run to those
that bench/growth.py draws.
"""

import argparse
import asyncio
import json
import os
import platform
import signal
import sys
import time
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from bench import growth
from bench.harness import metrics, usage
from bench.harness.browsers import ROWS
from bench.harness.load import all_ids, insert_monitors, preload_monitors
from bench.harness.nginx import Nginx
from bench.harness.pages import Visitor
from farwatch_store import Database
from tests.support.servers import server_folder
from tests.support.slots import Stretch, count_rows, count_slots, lateness
from tests.support.up import Up, free_ports

PAGES = ("/", "/api/monitors")
SETTLED_SECONDS = 240.0
CAUGHT_UP_MS = 1_000
SETTLE_SECONDS = 60.0
SERVICES = ("api", "scheduler", "incidents", "notifier")
LAG = "farwatch_fold_lag_seconds"


@dataclass(frozen=True)
class Options:
    monitors: int
    interval: int
    seconds: int
    warmup: int
    probers: int
    regions: list[str]
    target: str | None
    pages: bool
    concurrency: int | None
    insert_rate: float
    preload: bool
    measure_after: int
    browsers: int
    growth: Path | None


def read_options() -> Options:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--monitors", type=int, default=200)
    parser.add_argument("--interval", type=int, default=10, help="seconds between the checks of a monitor (10)")
    parser.add_argument("--seconds", type=int, default=60, help="to measure, rounded up to whole intervals (60)")
    parser.add_argument("--warmup", type=int, default=20, help="seconds left out after the first checks (20)")
    parser.add_argument("--probers", type=int, default=1, help="in each region (1)")
    parser.add_argument("--region", dest="regions", action="append", help="repeat for several (local)")
    parser.add_argument("--target", help="URL to check (an nginx of its own)")
    parser.add_argument("--no-pages", dest="pages", action="store_false", help="nobody looks at the dashboard")
    parser.add_argument("--insert-rate", type=float, default=500, help="monitors inserted per second (500)")
    parser.add_argument("--preload", action="store_true", help="monitors are there when Farwatch starts")
    parser.add_argument(
        "--measure-after", type=int, default=0, metavar="SECONDS",
        help="begin then, were all found up or not, and measure for less than an interval if so asked",
    )  # fmt: skip
    parser.add_argument("--browsers", type=int, default=0, help="that hold a live stream of 100 rows each (0)")
    parser.add_argument("--concurrency", type=int, help="FARWATCH_MAX_CONCURRENCY of each prober")
    parser.add_argument("--growth", type=Path, help="CSV to add this run to, as bench/results/growth.csv")
    given = vars(parser.parse_args())
    return Options(**{**given, "regions": given["regions"] or ["local"]})


def say(text: str) -> None:
    print(f"{time.strftime('%H:%M:%S')} {text}", file=sys.stderr, flush=True)


def pids_of(up: Up, nginx: Nginx | None) -> dict[str, int]:
    """By the name under which a process is reported."""
    found = {"supervisor": up.process.pid, "nats": up.child("nats-server"), "postgres": up.child("bin/postgres")}
    found |= {name: up.child(f"farwatch_{name}") for name in SERVICES}
    probers = sorted(pid for pid, line in up.children().items() if "farwatch_prober" in line)
    found |= {f"prober-{number}": pid for number, pid in enumerate(probers, start=1)}
    if nginx is not None and nginx.process is not None:
        found["nginx"] = nginx.process.pid
    return found


@dataclass(frozen=True)
class Reading:
    at: float
    machine: usage.Machine
    own: float
    processes: dict[str, usage.Usage]
    scheduler: metrics.Samples
    incidents: metrics.Samples


class Run:
    """One run against a Farwatch that is ready. `health_port` is that of the first service."""

    def __init__(self, options: Options, up: Up, nginx: Nginx | None, target: str, health_port: int) -> None:
        self._options, self._up, self._nginx, self._target = options, up, nginx, target
        self._health_port = health_port
        self._report: dict[str, Any] = {}

    async def run(self) -> dict[str, Any]:
        url = (self._up.data_dir / "database-url").read_text().strip()
        db = await Database.connect(url, min_size=1, max_size=2, name="bench")
        try:
            await self._measure(db)
        finally:
            await db.close()
        return self._report

    async def _measure(self, db: Database) -> None:
        options = self._options
        began = time.monotonic()
        if options.preload:
            ids = await all_ids(db)
        else:
            ids = await insert_monitors(db, self._target, options.monitors, options.interval, options.insert_rate)
        say(f"{len(ids)} monitors there after {time.monotonic() - began:.1f} s")
        first_checks = await self._ready_to_measure(db, len(ids))
        stretch, before, after, looked = await self._watch(ids)
        await self._settle(db, stretch, sum(len(stretch.slots_of(each)) for each in ids) * len(options.regions))
        say("counting")
        async with db.connection(600) as connection:
            await connection.execute("set statement_timeout = 0")  # millions of rows take minutes
            count = await count_slots(connection, ids, options.regions, stretch)
            late = await lateness(connection, stretch)
        self._report = {
            "machine": describe_machine(),
            "options": {**vars(options), "growth": None, "measured_seconds": stretch.seconds},
            "seconds_from_last_insert_until_all_up": first_checks,
            "checks_per_second": {
                "asked": round(count.expected / stretch.seconds, 1),
                "stored": round((count.rows - count.skipped) / stretch.seconds, 1),
            },
            "slots": {
                "expected": count.expected, "missed": count.missed, "doubled": count.doubled,
                "skipped": count.skipped, "missed_examples": count.examples,
            },
            "start_lateness": late,
            "fold": fold_report(before, after),
            "scheduler_skipped": metrics.by_label(after.scheduler, "farwatch_skipped_slots_total", "why"),
            **cost_report(before, after, count.rows),
            **looked,
        }  # fmt: skip

    async def _ready_to_measure(self, db: Database, monitors: int) -> float | None:
        """The seconds until all were up; None when that was not waited for."""
        if self._options.measure_after:
            await asyncio.sleep(self._options.measure_after)
            return None
        began = time.monotonic()
        await self._until_up(db, monitors)
        await self._until_caught_up(db)
        seconds = round(time.monotonic() - began, 1)
        say(f"all up {seconds} s after the last was inserted; {self._options.warmup} s to warm up")
        await asyncio.sleep(self._options.warmup)
        return seconds

    async def _until_up(self, db: Database, monitors: int) -> None:
        """Until every monitor was found up; a run in which that does not happen measures nothing."""
        deadline = time.monotonic() + SETTLED_SECONDS + 2 * self._options.interval
        while True:
            async with db.connection(60) as connection:
                up = await connection.fetchval("select count(*) from health.verdicts where verdict = 'up'")
            if up >= monitors:
                return
            if time.monotonic() > deadline:
                raise RuntimeError(f"only {up} of {monitors} monitors were up after {SETTLED_SECONDS:g} s")
            await asyncio.sleep(0.5)

    async def _until_caught_up(self, db: Database) -> None:
        """Until the fold stands at what arrived within the last second, five times in a row."""
        deadline, in_a_row = time.monotonic() + SETTLED_SECONDS, 0
        while in_a_row < 5:
            async with db.connection(60) as connection:
                folded_ms = await connection.fetchval("select now_ms from health.shards")
            in_a_row = in_a_row + 1 if time.time_ns() // 1_000_000 - folded_ms < CAUGHT_UP_MS else 0
            if time.monotonic() > deadline:
                say("the fold does not catch up; measuring all the same")
                return
            await asyncio.sleep(0.5)

    async def _watch(self, ids: list[int]) -> tuple[Stretch, Reading, Reading, dict[str, Any]]:
        """The stretch that is measured, with readings at both of its ends, and what those who looked on saw."""
        interval_ms = self._options.interval * 1000
        whole_ms = -(-self._options.seconds // self._options.interval) * interval_ms
        length_ms = self._options.seconds * 1000 if self._options.measure_after else whole_ms
        from_ms = time.time_ns() // 1_000_000 // 1000 * 1000 + 1000
        stretch = Stretch(from_ms, from_ms + length_ms, interval_ms)
        await sleep_until(from_ms)
        before = self._read()
        token = (self._up.data_dir / "api-token").read_text().strip()
        visitor = Visitor(self._up.url, token, PAGES)
        visiting = [asyncio.create_task(visitor.run())] if self._options.pages else []
        crowd = await self._crowd(token, ids, stretch.seconds) if self._options.browsers else None
        say(f"measuring {stretch.seconds:g} s; processes: {json.dumps(pids_of(self._up, self._nginx))}")
        await sleep_until(stretch.to_ms)
        after = self._read()
        for task in visiting:
            task.cancel()
        await asyncio.gather(*visiting, return_exceptions=True)
        looked = {"pages": visitor.report() if visiting else {}}
        if crowd is not None:
            told, _ = await asyncio.wait_for(crowd.communicate(), 60)
            looked["browsers"] = json.loads(told or b"{}")
        return stretch, before, after, looked

    async def _crowd(self, token: str, ids: list[int], seconds: float) -> asyncio.subprocess.Process:
        shown = [str(each) for each in ids[: self._options.browsers * ROWS]]
        command = ("-m", "bench.harness.browsers", self._up.url, str(self._options.browsers), str(seconds), *shown)
        environment = {**os.environ, "FARWATCH_BENCH_TOKEN": token}
        return await asyncio.create_subprocess_exec(
            sys.executable, *command, env=environment, cwd=sys.path[0], stdout=asyncio.subprocess.PIPE
        )

    def _read(self) -> Reading:
        return Reading(
            at=time.monotonic(),
            machine=usage.read_machine(),
            own=time.process_time(),
            processes=usage.measure(pids_of(self._up, self._nginx)),
            scheduler=metrics.scrape(self._health_port + 1),
            incidents=metrics.scrape(self._health_port + 2),
        )

    async def _settle(self, db: Database, stretch: Stretch, expected: int) -> None:
        """Until everything of the stretch is stored: a late slot has an interval to be answered, and then some."""
        give_up_ms = stretch.to_ms + stretch.interval_ms + int(SETTLE_SECONDS * 1000)
        while time.time_ns() // 1_000_000 < give_up_ms:
            await asyncio.sleep(5)
            async with db.connection(600) as connection:
                await connection.execute("set statement_timeout = 0")
                rows = await count_rows(connection, stretch)
            if rows >= expected:
                return


async def sleep_until(moment_ms: int) -> None:
    await asyncio.sleep(max(0.0, moment_ms / 1000 - time.time()))


def describe_machine() -> dict[str, Any]:
    model = next(
        (
            line.partition(":")[2].strip()
            for line in Path("/proc/cpuinfo").read_text().splitlines()
            if line.startswith("model name")
        ),
        platform.machine(),
    )
    return {
        "cores": os.cpu_count(), "cpu": model, "kernel": platform.release(), "python": platform.python_version(),
        "load_average": [round(each, 2) for each in os.getloadavg()],
    }  # fmt: skip


def fold_report(before: Reading, after: Reading) -> dict[str, Any]:
    """Lag: from the arrival of the oldest message of a batch in its stream until the batch is committed."""

    def milliseconds(name: str, share: float) -> float | None:
        grown = metrics.growth(metrics.buckets(before.incidents, name), metrics.buckets(after.incidents, name))
        seconds = metrics.quantile(grown, share)
        return None if seconds is None else round(seconds * 1000, 1)

    def grown(name: str) -> float:
        return metrics.total(after.incidents, name) - metrics.total(before.incidents, name)

    return {
        "lag_p50_ms": milliseconds(LAG, 0.5),
        "lag_p99_ms": milliseconds(LAG, 0.99),
        "lag_p999_ms": milliseconds(LAG, 0.999),
        "commit_p50_ms": milliseconds("farwatch_fold_commit_seconds", 0.5),
        "commit_p99_ms": milliseconds("farwatch_fold_commit_seconds", 0.99),
        "batches": int(grown(f"{LAG}_count")),
        "results": int(grown("farwatch_fold_results_total")),
        "dropped": int(grown("farwatch_fold_results_dropped_total")),
        "late": int(grown("farwatch_fold_results_late_total")),
        "restarts": int(grown("farwatch_fold_restarts_total")),
    }


def cost_report(before: Reading, after: Reading, checks: int) -> dict[str, Any]:
    """`others` is what processes that are not ours had of the machine meanwhile: the noise of the measurement."""
    elapsed = after.at - before.at
    processes = {}
    ours = after.own - before.own
    for name, now in after.processes.items():
        used = now.cpu_seconds - before.processes[name].cpu_seconds if name in before.processes else now.cpu_seconds
        ours += used
        processes[name] = {
            "cpu_us_per_check": round(used / max(1, checks) * 1e6, 1),
            "core_percent": round(100 * used / elapsed, 1),
            "memory_mb_before": round(before.processes[name].memory_mb, 1) if name in before.processes else None,
            "memory_mb": round(now.memory_mb, 1),
        }
    farwatch = [each for name, each in processes.items() if name != "nginx"]
    busy = after.machine.busy - before.machine.busy
    return {
        "cpu_us_per_check": round(sum(each["cpu_us_per_check"] or 0 for each in farwatch), 1),
        "core_percent": round(sum(each["core_percent"] or 0 for each in farwatch), 1),
        "memory_mb": round(sum(each["memory_mb"] or 0 for each in farwatch), 1),
        "processes": processes,
        "noise": {
            "bench_core_percent": round(100 * (after.own - before.own) / elapsed, 1),
            "others_core_percent": round(100 * (busy - ours) / elapsed, 1),
            "idle_core_percent": round(100 * (after.machine.idle - before.machine.idle) / elapsed, 1),
            "stolen_core_percent": round(100 * (after.machine.stolen - before.machine.stolen) / elapsed, 1),
        },
    }


def settings_of(options: Options, health_port: int) -> dict[str, str]:
    settings = {"FARWATCH_HEALTH_PORT": str(health_port), "FARWATCH_LOG_FORMAT": "json"}
    if options.concurrency is not None:
        settings["FARWATCH_MAX_CONCURRENCY"] = str(options.concurrency)
    return settings


async def preload(up: Up, target: str, options: Options) -> None:
    db = await Database.connect(
        (up.data_dir / "database-url").read_text().strip(), min_size=1, max_size=2, name="bench"
    )
    try:
        began = time.monotonic()
        await preload_monitors(db, target, options.monitors, options.interval)
        say(f"{options.monitors} monitors laid in {time.monotonic() - began:.1f} s")
    finally:
        await db.close()


def run(options: Options) -> dict[str, Any]:
    with ExitStack() as stack:
        folder = stack.enter_context(server_folder("bench"))
        nginx = None
        if options.target is None:
            nginx = Nginx(folder / "nginx")
            stack.callback(nginx.stop)
            nginx.start()
        target = options.target or (nginx.url if nginx else "")
        health_port = free_ports(len(SERVICES) + options.probers * len(options.regions))
        regions = [word for region in options.regions for word in ("--region", region)]
        up = Up(folder, "--probers", str(options.probers), *regions, **settings_of(options, health_port))
        stack.callback(up.stop)
        up.wait_ready()
        say(f"{up.url} is ready, data in {up.data_dir}")
        started = 0.0
        if options.preload:
            asyncio.run(preload(up, target, options))
            up.stop(timeout_seconds=60)
            began = time.monotonic()
            up = Up(folder, "--probers", str(options.probers), *regions, **settings_of(options, health_port))
            stack.callback(up.stop)
            up.wait_ready()
            started = time.monotonic() - began
            say(f"ready again with {options.monitors} monitors after {started:.1f} s")
        return {"seconds_to_ready": round(started, 1)} | asyncio.run(Run(options, up, nginx, target, health_port).run())


def interrupt(_number: int, _frame: FrameType | None) -> None:
    raise KeyboardInterrupt


def main() -> int:
    options = read_options()
    signal.signal(signal.SIGTERM, interrupt)
    try:
        report = run(options)
        print(json.dumps(report, indent=2))
        if options.growth:
            growth.keep(report, options.growth)
    except KeyboardInterrupt:
        say("interrupted; everything is stopped")
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
