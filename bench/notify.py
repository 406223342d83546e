"""What the notifier delivers: how much to a fast webhook, and how soon to channels beside one that hangs.

    python -m bench.notify --alerts 5000 --channels 1
    python -m bench.notify --steady 30 --per-second 50

The first sends alerts that are due already and prints deliveries a second, and a second of processor time, of the
notifier and, apart, of its connections to PostgreSQL. The second lets incidents open steadily while one channel hangs
for a minute and one answers 429, and prints how long the others waited from the confirmation to the answer.
"""

import argparse
import asyncio
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench.harness.backends import Backends
from bench.harness.sink import sink
from bench.harness.usage import read_stats
from farwatch_runtime.secrets import generate_key_file
from farwatch_store import Database
from farwatch_store.migrate import migrate
from tests.support.servers import NatsProcess, PostgresProcess, server_folder
from tests.support.storm import add_monitors, fall

_CHANNEL = """
    insert into config.channels (name, type, config)
    values ($1, 'webhook', jsonb_build_object('url', $2::text, 'timeout', 60)) returning id
"""
_DUE = """
    insert into alerting.deliveries
        (channel_id, moment, dedup_key, thread, incident_id, state, message, give_up_at)
    select $1::bigint, 'down', 'msg_' || $1::bigint || '_' || n, 'incident-' || n, n, 'pending', $2,
           now() + interval '1 day'
    from generate_series(1, $3) n
"""
_SEND_MS = (
    "select percentile_cont(array[0.5, 0.95]) within group (order by duration_ms) from alerting.delivery_attempts"
)
# An attempt is dated from its beginning.
_WAITED_MS = """
    select c.name, count(*) as deliveries,
           percentile_cont(array[0.5, 0.99, 1.0]) within group (
               order by extract(epoch from a.at) * 1000 + a.duration_ms - (e.data->>'at_ms')::double precision
           ) as waited_ms
    from alerting.deliveries d
    join alerting.delivery_attempts a on a.delivery_id = d.id and a.ok
    join alerting.delivery_items i on i.delivery_id = d.id
    join log.events e on e.position = i.position
    join config.channels c on c.id = d.channel_id
    group by c.name order by c.name
"""
MESSAGE = {
    "kind": "down", "tone": "bad", "title": "Shop is down", "sentence": "Shop is down since 12:00: refused",
    "at_ms": 1_795_000_000_000, "thread": "incident-1", "since_ms": 1_795_000_000_000, "monitor_id": 1,
    "monitor_name": "Shop", "monitor_type": "http", "target": "https://shop.example/", "incident_id": 1,
    "severity": "down", "regions": ["eu"], "error_class": "connect_refused", "error": "refused", "reason": "1 of 1",
}  # fmt: skip
GIVE_UP_SECONDS = 60.0
TREES = ("services/notifier", "libs/events", "libs/store", "libs/runtime", "libs/bus")


@dataclass
class Meter:
    """Processor time of a notifier and of its connections, since the last reading."""

    pid: int
    backends: Backends

    async def read(self) -> tuple[float, float, float]:
        """Seconds: by the clock, of the notifier, of PostgreSQL."""
        return time.monotonic(), read_stats()[self.pid].cpu_seconds, await self.backends.cpu_seconds()


@asynccontextmanager
async def notifier(
    options: argparse.Namespace, database_url: str, nats_url: str, db: Database, folder: Path
) -> AsyncIterator[Meter]:
    tree = Path(options.notifier).resolve()
    paths = [
        str(tree / each) for each in ("services/notifier", "libs/events", "libs/store", "libs/runtime", "libs/bus")
    ]
    environ = {name: value for name, value in os.environ.items() if not name.startswith("FARWATCH_")} | {
        "FARWATCH_DATABASE_URL": database_url,
        "FARWATCH_NATS_URL": nats_url,
        "FARWATCH_SECRET_KEY_FILE": str(folder / "key"),
        "FARWATCH_LOG_FORMAT": "json",
        "PYTHONPATH": os.pathsep.join(paths),
    }
    process = start([sys.executable, "-m", "farwatch_notifier"], environ, folder / "log")
    try:
        yield Meter(process.pid, Backends(db, "farwatch_notifier"))
    finally:
        process.terminate()
        process.wait(15)


def start(command: list[str], environ: dict[str, str], log: Path) -> "subprocess.Popen[bytes]":
    with log.open("wb") as output:
        return subprocess.Popen(command, env=environ, stdout=output, stderr=output)


async def backlog(options: argparse.Namespace, servers: tuple[str, str], address: str, folder: Path) -> dict[str, Any]:
    db = await Database.connect(servers[0])
    channels = [
        await db.pool.fetchval(_CHANNEL, f"sink {number}", f"{address}/hook") for number in range(options.channels)
    ]
    for channel in channels:
        await db.pool.execute(_DUE, channel, MESSAGE, options.alerts // options.channels)
    async with notifier(options, *servers, db, folder) as meter:
        await until_delivered(db, options.warm_up)
        if options.profile:
            record = ["py-spy", "record", "-d", "8", "-o", options.profile, "-f", "raw", "-p", str(meter.pid)]
            _ = start(record, dict(os.environ), folder / "py-spy")
        done, before = await count_delivered(db), await meter.read()
        await until_delivered(db, options.alerts)
        took, spent, postgres = (b - a for a, b in zip(before, await meter.read(), strict=True))
    sent = options.alerts - done
    sends = await db.pool.fetchval(_SEND_MS)
    await db.close()
    return {
        "alerts": sent,
        "channels": options.channels,
        "deliveries_per_second": round(sent / took),
        "cpu_us_per_delivery": round(1e6 * spent / sent),
        "deliveries_per_core_second": round(sent / spent),
        "postgres_cpu_us_per_delivery": round(1e6 * postgres / sent),
        "send_ms_p50_p95": [round(each, 2) for each in sends],
        "load_average": os.getloadavg()[0],
    }


async def steady(options: argparse.Namespace, servers: tuple[str, str], address: str, folder: Path) -> dict[str, Any]:
    db = await Database.connect(servers[0])
    names = {f"normal {number}": "/hook" for number in range(1, options.normal + 1)}
    for name, path in {**names, "hangs": "/hang", "busy": "/busy"}.items():
        await db.pool.fetchval(_CHANNEL, name, address + path)
    monitors = await add_monitors(db, options.steady * options.per_second, [])
    async with notifier(options, *servers, db, folder) as meter:
        while not await db.pool.fetchval("select count(*) from log.positions where consumer = 'notifier'"):  # noqa: ASYNC110
            await asyncio.sleep(0.1)
        before = await meter.read()
        began = time.monotonic()
        for number, monitor in enumerate(monitors, start=1):
            await asyncio.sleep(max(0.0, began + number / options.per_second - time.monotonic()))
            await fall(db, [monitor], number)
        written = time.monotonic() - began
        await until_told(db, len(monitors) * options.normal)
        _, spent, postgres = (b - a for a, b in zip(before, await meter.read(), strict=True))
    rows = await db.pool.fetch(_WAITED_MS)
    await db.close()
    return {
        "incidents_per_second": round(len(monitors) / written, 1),
        "seconds": round(written, 1),
        "confirmed_to_delivered": {
            row["name"]: {"deliveries": row["deliveries"]}
            | dict(zip(("p50_ms", "p99_ms", "max_ms"), [round(each) for each in row["waited_ms"]], strict=True))
            for row in rows
        },
        "notifier_cpu_seconds": round(spent, 2),
        "postgres_cpu_seconds": round(postgres, 2),
        "load_average": os.getloadavg()[0],
    }


async def until_told(db: Database, expected: int) -> None:
    """Until the channels that work have everything. Raises TimeoutError."""
    query = "select count(*) from alerting.deliveries d join config.channels c on c.id = d.channel_id"
    query += " where c.name like 'normal%' and d.state = 'delivered'"
    async with asyncio.timeout(GIVE_UP_SECONDS):
        while int(await db.pool.fetchval(query)) < expected:  # noqa: ASYNC110 - another process delivers
            await asyncio.sleep(0.2)


async def count_delivered(db: Database) -> int:
    return int(await db.pool.fetchval("select count(*) from alerting.deliveries where state = 'delivered'"))


async def until_delivered(db: Database, count: int) -> None:
    while await count_delivered(db) < count:  # noqa: ASYNC110 - another process delivers
        await asyncio.sleep(0.05)


async def measure(options: argparse.Namespace, servers: tuple[str, str], address: str, folder: Path) -> dict[str, Any]:
    await migrate(servers[0])
    generate_key_file(folder / "key")
    return await (steady if options.steady else backlog)(options, servers, address, folder)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--alerts", type=int, default=5000)
    parser.add_argument("--channels", type=int, default=1)
    parser.add_argument("--warm-up", type=int, default=200)
    parser.add_argument("--steady", type=int, default=0, help="seconds of incidents beside a channel that hangs")
    parser.add_argument("--per-second", type=int, default=50, help="incidents (50)")
    parser.add_argument("--normal", type=int, default=4, help="channels that work (4)")
    parser.add_argument("--notifier", default=".", help="the tree whose notifier is measured (this one)")
    parser.add_argument("--profile", help="file for py-spy's raw stacks")
    options = parser.parse_args()
    with server_folder("nats") as one, server_folder("postgres") as two, tempfile.TemporaryDirectory() as three:
        nats, postgres = NatsProcess(one), PostgresProcess(two)
        nats.start()
        postgres.start()
        try:
            with sink() as address:
                servers = (postgres.url(), nats.url)
                print(json.dumps(asyncio.run(measure(options, servers, address, Path(three))), indent=1))
        finally:
            nats.stop()
            postgres.stop()


if __name__ == "__main__":
    main()
