"""Ten thousand monitors fall behind one parent: what that costs the notifier and its database, and how long it takes.

    python -m bench.storm --monitors 10000 [--notifier OTHER_TREE] [--profile FILE]

Incidents are written as the fold writes them, by this process. The waits that rules ask for (30 s for the parent, 15 s
for the group) are leapt over by a clock that can be put ahead; the times are therefore work alone. Processor time of
PostgreSQL is that of the notifier's own connections. Prints JSON.
"""

import argparse
import asyncio
import json
import os
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

from bench.harness.backends import Backends
from bench.harness.leaping import NAME
from bench.harness.usage import read_stats
from farwatch_runtime.secrets import generate_key_file
from farwatch_store import Database
from farwatch_store.migrate import migrate
from tests.support.http import HttpServer
from tests.support.servers import PostgresProcess, server_folder
from tests.support.storm import add_monitors, fall, rise

GIVE_UP_SECONDS = 300.0
PARENT_WAIT_MS = 31_000
GROUP_WAIT_MS = 16_000
TREES = ("services/notifier", "libs/events", "libs/store", "libs/runtime", "libs/bus", ".")

_CHANNEL = """
    insert into config.channels (name, type, config)
    values ('sink', 'webhook', jsonb_build_object('url', $1::text)) returning id
"""
_ROUTER = """
    insert into config.monitors (name, type, spec)
    values ('Router', 'http', '{"type": "http", "name": "Router", "url": "https://router.example/"}') returning id
"""
TAKEN_IN = "select count(*) from alerting.escalations"
HELD = "select count(*) from alerting.deliveries where state = 'suppressed' and reason like '%stands behind%'"
BEHIND = "select count(distinct thread) from alerting.delivery_items where moment = 'behind'"
READ = """
    select (select position from log.positions where consumer = 'notifier') >= (select position from log.head)
        and not exists (select from alerting.deliveries where state = 'pending')
"""


class Costs:
    """Processor time of the notifier and of its connections to PostgreSQL, by stage."""

    def __init__(self, db: Database, pid: int) -> None:
        self._pid = pid
        self._backends = Backends(db, NAME)
        self.stages: dict[str, dict[str, float]] = {}

    async def read(self) -> tuple[float, float, float]:
        return time.monotonic(), read_stats()[self._pid].cpu_seconds, await self._backends.cpu_seconds()

    async def stage(self, name: str, work: Callable[[], Awaitable[None]]) -> None:
        before = await self.read()
        await work()
        after = await self.read()
        figures = [round(b - a, 2) for a, b in zip(before, after, strict=True)]
        self.stages[name] = dict(zip(("seconds", "notifier_cpu_seconds", "postgres_cpu_seconds"), figures, strict=True))


async def until(db: Database, query: str, expected: int) -> None:
    deadline = time.monotonic() + GIVE_UP_SECONDS
    while int(await db.pool.fetchval(query) or 0) < expected:
        if time.monotonic() > deadline:
            raise RuntimeError(f"{query} does not reach {expected}")
        await asyncio.sleep(0.1)


class Storm:
    def __init__(
        self, db: Database, sink: HttpServer, notifier: "subprocess.Popen[bytes]", monitors: int, channels: int
    ) -> None:
        self._db, self._sink, self._notifier = db, sink, notifier
        self._monitors, self._channels = monitors, channels
        self._costs = Costs(db, notifier.pid)
        self._ahead_ms = 0

    async def run(self) -> dict[str, Any]:
        for _ in range(self._channels):
            await self._db.pool.fetchval(_CHANNEL, self._sink.url)
        self._router = int(await self._db.pool.fetchval(_ROUTER))
        self._children = await add_monitors(self._db, self._monitors, [self._router])
        for _ in range(100):
            if await self._db.pool.fetchval("select count(*) from log.positions where consumer = 'notifier'"):
                break
            await asyncio.sleep(0.1)
        for name, work in (
            ("taken_in", self._fall), ("held", self._hold), ("told", self._tell), ("recovered", self._rise)
        ):  # fmt: skip
            await self._costs.stage(name, work)
        bodies = [each.json() for each in self._sink.requests]
        behind = sum(each["data"]["count"] for each in bodies if each["type"] == "group.behind") // self._channels
        stages = self._costs.stages
        told = ("taken_in", "held", "told")
        return {
            "monitors": self._monitors,
            "channels": self._channels,
            "messages": Counter(each["type"] for each in bodies),
            "named_behind_the_parent": behind,
            "stages": stages,
            "until_told": {key: round(sum(stages[s][key] for s in told), 2) for key in stages["told"]},
            "load_average": round(os.getloadavg()[0], 2),
        }

    def _leap(self, milliseconds: int) -> None:
        self._ahead_ms += milliseconds
        assert self._notifier.stdin is not None
        self._notifier.stdin.write(b"%d\n" % self._ahead_ms)
        self._notifier.stdin.flush()

    async def _fall(self) -> None:
        half = self._monitors // 2
        self._incidents = await fall(self._db, self._children[:half], 10)
        await fall(self._db, [self._router], 1, "Router ")
        self._incidents += await fall(self._db, self._children[half:], 10 + half)
        await until(self._db, TAKEN_IN, self._monitors + 1)

    async def _hold(self) -> None:
        self._leap(PARENT_WAIT_MS)
        await until(self._db, HELD, self._monitors * self._channels)

    async def _tell(self) -> None:
        self._leap(GROUP_WAIT_MS)
        await until(self._db, BEHIND, self._monitors)
        while len(self._sink.requests) < 2 * self._channels:  # noqa: ASYNC110 - another process sends
            await asyncio.sleep(0.05)

    async def _rise(self) -> None:
        await rise(self._db, [self._router], [1])
        await rise(self._db, self._children, self._incidents)
        await until(self._db, f"select ({READ})::int", 1)


def start(tree: Path, database_url: str, folder: Path) -> "subprocess.Popen[bytes]":
    environ = {
        **os.environ,
        "FARWATCH_BENCH_DATABASE": database_url,
        "PYTHONPATH": os.pathsep.join([str(tree / each) for each in TREES[:-1]] + [str(Path.cwd())]),
    }
    command = [sys.executable, "-m", "bench.harness.leaping", str(folder / "key")]
    with (folder / "log").open("wb") as output:
        return subprocess.Popen(command, env=environ, stdin=subprocess.PIPE, stdout=output, stderr=output)


def profile(pid: int, file: str) -> None:
    record = ["py-spy", "record", "-d", "60", "-o", file, "-f", "raw", "-p", str(pid)]
    _ = subprocess.Popen(record, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


async def measure(options: argparse.Namespace, database_url: str, folder: Path) -> dict[str, Any]:
    await migrate(database_url)
    generate_key_file(folder / "key")
    db = await Database.connect(database_url)
    sink = HttpServer()
    await sink.start()
    notifier = start(Path(options.notifier).resolve(), database_url, folder)
    try:
        if options.profile:
            profile(notifier.pid, options.profile)
        report = await Storm(db, sink, notifier, options.monitors, options.channels).run()
        return report | {"log_lines": (folder / "log").read_bytes().count(b"\n")}
    finally:
        assert notifier.stdin is not None
        notifier.stdin.close()
        notifier.wait(30)
        await sink.stop()
        await db.close()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--monitors", type=int, default=10_000)
    parser.add_argument("--channels", type=int, default=3, help="all of them the same sink (3)")
    parser.add_argument("--notifier", default=".", help="the tree whose notifier is measured (this one)")
    parser.add_argument("--profile", help="file for py-spy's raw stacks")
    options = parser.parse_args()
    with server_folder("postgres") as data, tempfile.TemporaryDirectory() as folder:
        postgres = PostgresProcess(data)
        postgres.start()
        try:
            print(json.dumps(asyncio.run(measure(options, postgres.url(), Path(folder))), indent=1))
        finally:
            postgres.stop()


if __name__ == "__main__":
    main()
