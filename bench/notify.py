"""Deliveries a second: alerts that are due already, sent by a notifier process to a fast local webhook.

    python -m bench.notify --alerts 5000 --channels 1

Prints JSON: deliveries a second, processor time of the notifier for one, and what a second of it would deliver.
"""

import argparse
import asyncio
import json
import multiprocessing
import os
import subprocess
import sys
import tempfile
import time
from multiprocessing.connection import Connection as Pipe
from pathlib import Path
from typing import Any, cast

import uvloop

from bench.harness.usage import read_stats
from farwatch_runtime.secrets import generate_key_file
from farwatch_store import Database
from farwatch_store.migrate import migrate
from tests.support.servers import NatsProcess, PostgresProcess, server_folder

_CHANNEL = """
    insert into config.channels (name, type, config)
    values ('sink', 'webhook', jsonb_build_object('url', $1::text)) returning id
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
MESSAGE = {
    "kind": "down", "tone": "bad", "title": "Shop is down", "sentence": "Shop is down since 12:00: refused",
    "at_ms": 1_795_000_000_000, "thread": "incident-1", "since_ms": 1_795_000_000_000, "monitor_id": 1,
    "monitor_name": "Shop", "monitor_type": "http", "target": "https://shop.example/", "incident_id": 1,
    "severity": "down", "regions": ["eu"], "error_class": "connect_refused", "error": "refused", "reason": "1 of 1",
}  # fmt: skip


class Sink(asyncio.Protocol):
    """Answers 204 once a whole request is there, and closes."""

    def __init__(self) -> None:
        self._data = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.WriteTransport, transport)

    def data_received(self, data: bytes) -> None:
        self._data += data
        head, found, body = self._data.partition(b"\r\n\r\n")
        if not found:
            return
        length = next(
            (int(line[15:]) for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:")), 0
        )
        if len(body) >= length:
            self._transport.write(b"HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n")
            self._transport.close()


def serve_sink(pipe: Pipe) -> None:
    async def run() -> None:
        server = await asyncio.get_running_loop().create_server(Sink, "127.0.0.1", 0, backlog=1024)
        pipe.send(server.sockets[0].getsockname()[1])
        await asyncio.Event().wait()

    uvloop.run(run())


def start(command: list[str], environ: dict[str, str], log: Path) -> "subprocess.Popen[bytes]":
    with log.open("wb") as output:
        return subprocess.Popen(command, env=environ, stdout=output, stderr=output)


def cpu_seconds(pid: int) -> float:
    return read_stats()[pid].cpu_seconds


async def measure(options: argparse.Namespace, database_url: str, nats_url: str, sink: str, folder: Path) -> Any:
    await migrate(database_url)
    db = await Database.connect(database_url)
    channels = [await db.pool.fetchval(_CHANNEL, sink) for _ in range(options.channels)]
    for channel in channels:
        await db.pool.execute(_DUE, channel, MESSAGE, options.alerts // options.channels)
    generate_key_file(folder / "key")
    environ = {name: value for name, value in os.environ.items() if not name.startswith("FARWATCH_")} | {
        "FARWATCH_DATABASE_URL": database_url,
        "FARWATCH_NATS_URL": nats_url,
        "FARWATCH_SECRET_KEY_FILE": str(folder / "key"),
        "FARWATCH_LOG_FORMAT": "json",
    }
    process = start([sys.executable, "-m", "farwatch_notifier"], environ, folder / "log")
    try:
        await until_delivered(db, options.warm_up)
        if options.profile:
            record = ["py-spy", "record", "-d", "8", "-o", options.profile, "-f", "raw", "-p", str(process.pid)]
            _ = start(record, dict(os.environ), folder / "py-spy")
        done, spent, began = await count_delivered(db), cpu_seconds(process.pid), time.monotonic()
        await until_delivered(db, options.alerts)
        took = time.monotonic() - began
        spent = cpu_seconds(process.pid) - spent
    finally:
        process.terminate()
        process.wait(15)
    sent = options.alerts - done
    sends = await db.pool.fetchval(_SEND_MS)
    await db.close()
    return {
        "alerts": sent,
        "channels": options.channels,
        "deliveries_per_second": round(sent / took),
        "cpu_us_per_delivery": round(1e6 * spent / sent),
        "deliveries_per_core_second": round(sent / spent),
        "send_ms_p50_p95": [round(each, 2) for each in sends],
        "load_average": os.getloadavg()[0],
    }


async def count_delivered(db: Database) -> int:
    return int(await db.pool.fetchval("select count(*) from alerting.deliveries where state = 'delivered'"))


async def until_delivered(db: Database, count: int) -> None:
    while await count_delivered(db) < count:  # noqa: ASYNC110 - another process delivers
        await asyncio.sleep(0.05)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--alerts", type=int, default=5000)
    parser.add_argument("--channels", type=int, default=1)
    parser.add_argument("--warm-up", type=int, default=200)
    parser.add_argument("--profile", help="file for py-spy's raw stacks")
    options = parser.parse_args()
    ours, theirs = multiprocessing.Pipe()
    sink = multiprocessing.Process(target=serve_sink, args=(theirs,), daemon=True)
    sink.start()
    url = f"http://127.0.0.1:{ours.recv()}/hook"
    with server_folder("nats") as one, server_folder("postgres") as two, tempfile.TemporaryDirectory() as three:
        nats, postgres = NatsProcess(one), PostgresProcess(two)
        nats.start()
        postgres.start()
        try:
            print(json.dumps(asyncio.run(measure(options, postgres.url(), nats.url, url, Path(three))), indent=1))
        finally:
            nats.stop()
            postgres.stop()
            sink.terminate()


if __name__ == "__main__":
    main()
