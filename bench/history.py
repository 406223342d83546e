"""History at its full size: millions of results in a database, and how long people wait for what they ask of it.

    python -m bench.history --rows 30000000 --monitors 10000

Fills a PostgreSQL of its own, as `farwatch up` sets it up, with a week of results in daily partitions and with rollups
of a year; asks a real api process for charts, bars and pages; then lets a real incidents process roll the week up while
results come in, kills it half-way, and lets the next one finish. Prints JSON. Needs about 6 GB under --folder.
--undisturbed puts those who answer and who asks before all other processes, on a machine that others use too.
"""

import argparse
import asyncio
import contextlib
import json
import os
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from datetime import UTC, date, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

import asyncpg
import httpx

from bench.fold import quantile, read_metrics, speak
from bench.harness import usage
from farwatch_bus import Bus, ensure_region
from farwatch_cli.embedded.nats import NatsServer
from farwatch_events.monitor import dump_monitor, parse_monitor
from farwatch_incidents.rules.codec import dump_local
from farwatch_incidents.rules.votes import LocalState
from farwatch_runtime.clock import now_ms
from farwatch_store import Connection, Database
from farwatch_store.jsonb import set_codec
from farwatch_store.migrate import migrate
from tests.support.servers import NatsProcess, PostgresProcess, server_folder

RAW_DAYS = 7
ROLLUP_DAYS = 365
HOURLY_DAYS = 90
BUSY = 10
"""Monitors besides that are checked every 20 s from three regions: 12,960 results a day each."""
BUSY_SECONDS = 20
TOKEN = "a-token-of-the-bench-that-is-long-enough"
REGION = "r0"

LAST_CHECK = {
    "slot": "2026-01-01T00:00:00Z", "region": REGION, "ok": True, "latency_ms": 45.1, "status_code": 200,
    "phases": {"dns_ms": 1.0, "connect_ms": 9.0, "tls_ms": 15.0, "wait_ms": 20.0, "transfer_ms": 0.1},
    "address": "192.0.2.1", "attempts": 1, "error_class": None, "error": None,
    "certificate": {"not_after": "2027-01-01T00:00:00Z", "days": 200, "subject": "a.test", "issuer": "Test CA"},
}  # fmt: skip

MONITORS = """
    insert into config.monitors (name, type, spec, tags, created_at)
    select 'Site ' || n, 'http', $1::jsonb || jsonb_build_object('name', 'Site ' || n, 'interval_seconds',
        case when n > $2::int then $4::int else $3::int end), array['team-' || n % 20], now() - interval '400 days'
    from generate_series(1, $2::int + $5::int) n
"""

# In the order of time, as they come in: the results of one monitor lie far apart.
RESULTS = """
    insert into health.{table}
    select slot + make_interval(secs => m * $3::float8 / $4), m, latency, 1, latency * 0.2, latency * 0.3,
        latency * 0.4, latency * 0.1, 3, 200, 1, 'r0', case when bad then 'down' else 'up' end, null,
        case when bad then 'timeout' end, case when bad then 'No answer within 10 s' end
    from generate_series($1::timestamptz, $2::timestamptz - make_interval(secs => $3), make_interval(secs => $3)) slot
    cross join generate_series(1, $4::int) m
    cross join lateral (select (20 + 200 * power(random(), 4) + 0 * m)::real as latency,
        (m * 31 + extract(epoch from slot)::bigint / 200) % 997 = 0 as bad) r
"""

BUSY_RESULTS = """
    insert into health.{table}
    select slot, m, latency, 1, latency * 0.2, latency * 0.3, latency * 0.4, latency * 0.1, 3, 200, 1, region, 'up'
    from generate_series($1::timestamptz, $2::timestamptz - interval '1 second', make_interval(secs => $3)) slot
    cross join unnest(array['r0', 'r1', 'r2']) region cross join generate_series($4::int + 1, $4::int + $5::int) m
    cross join lateral (select (20 + 200 * power(random(), 4) + 0 * m)::real as latency) r
"""

ROLLUPS = """
    insert into health.{table} select at, m, region, 430, 1, 1, 0, 431, 18000, 240,
        '{{{{40,100}},{{50,120}},{{55,90}},{{60,60}},{{66,30}},{{70,20}},{{75,11}}}}',
        '{{431,3600,5400,7200,1800}}'
    from generate_series($1::timestamptz, $2::timestamptz, $3::interval) at
    cross join generate_series(1, $4::int) m cross join unnest($6::text[]) region where m % $5 = 0
"""

UPTIMES = """
    insert into health.{table} (at, monitor_id, up_seconds, down_seconds)
    select at, m, extract(epoch from $3::interval) - 60 * (m % 2), 60 * (m % 2)
    from generate_series($1::timestamptz, $2::timestamptz, $3::interval) at cross join generate_series(1, $4::int) m
"""

STATES = (
    "insert into config.regions (name) select 'r' || n from generate_series(0, 2) n on conflict do nothing",
    """insert into health.regions (region, last_heartbeat_at) select name, now() from config.regions
       on conflict do nothing""",
    """insert into health.monitor_state (monitor_id, region, vote, vote_slot, state, last_check)
       select m.id, r.name, 'up', now(), ($3::jsonb) -> 'v', $1::jsonb from config.monitors m join config.regions r
       on r.name = 'r0' or m.id > $2::int""",
    """insert into health.verdicts (monitor_id, verdict, since, reason) select id, case when id % 500 = 0 then 'down'
       else 'up' end, now() - interval '3 days', 'Up: r0' from config.monitors where $1::jsonb is not null
       and $2::int is not null and $3::jsonb is not null""",
    """insert into health.verdict_changes (monitor_id, at, verdict) select m.id, now() - make_interval(hours => n * 20),
       case when n % 2 = 1 then 'up' else 'down' end from config.monitors m cross join generate_series(1, 21) n
       where $1::jsonb is not null and $2::int is not null
       and $3::jsonb is not null""",
)


def say(text: str) -> None:
    print(f"{datetime.now(UTC):%H:%M:%S} {text}", file=sys.stderr, flush=True)


async def fill(connection: Connection, rows: int, monitors: int) -> dict[str, Any]:
    """A week of results up to now, and the rollups of a year before."""
    began = time.monotonic()
    interval = max(5, round(monitors * RAW_DAYS * 86400 / rows))
    spec = dump_monitor(parse_monitor({"type": "http", "url": "https://a.test/", "name": "x"}))
    await connection.execute(MONITORS, spec, monitors, interval, BUSY_SECONDS, BUSY)
    for statement in STATES:
        arguments = (LAST_CHECK, monitors, {"v": dump_local(LocalState())}) if "$1" in statement else ()
        await connection.execute(statement, *arguments)
    now = datetime.now(UTC).replace(microsecond=0)
    for number in range(-RAW_DAYS, 1):
        await _fill_day(connection, now.date() + timedelta(days=number), now, interval, monitors)
    loaded = time.monotonic() - began
    await _fill_rollups(connection, now, monitors)
    await connection.execute("vacuum analyze")
    stored = await connection.fetchval("select count(*) from health.check_results")
    size = await connection.fetchval("select pg_database_size(current_database())")
    return {
        "results": stored, "monitors": monitors + BUSY, "interval_seconds": interval,
        "seconds_for_results": round(loaded), "seconds_in_all": round(time.monotonic() - began),
        "database_gb": round(size / 1e9, 2),
    }  # fmt: skip


async def _fill_day(connection: Connection, day: date, now: datetime, interval: int, monitors: int) -> None:
    """Loaded beside the table and attached: so the indexes are made once and not row by row."""
    midnight = datetime(day.year, day.month, day.day, tzinfo=UTC)
    start, end = max(midnight, now - timedelta(days=RAW_DAYS)), min(midnight + timedelta(days=1), now)
    table = f"check_results_{day:%Y%m%d}"
    async with connection.transaction():
        await connection.execute("set local role farwatch_incidents")  # whose it is in production, to be dropped again
        await connection.execute(f"create table health.{table} (like health.check_results including defaults)")
        await connection.execute(RESULTS.format(table=table), start, end, float(interval), monitors)
        await connection.execute(BUSY_RESULTS.format(table=table), start, end, float(BUSY_SECONDS), monitors, BUSY)
        await connection.execute(
            f"alter table health.check_results attach partition health.{table} "
            f"for values from ('{day} 00:00+00') to ('{day + timedelta(days=1)} 00:00+00')"
        )
    say(f"{day} is filled")


async def _fill_rollups(connection: Connection, now: datetime, monitors: int) -> None:
    """Hours of every 20th monitor (all would be 7 GB), days of all; uptime of all."""
    hour, today = timedelta(hours=1), now.replace(hour=0, minute=0, second=0)
    last_hour, yesterday, day = now.replace(minute=0, second=0) - hour, today - timedelta(days=1), timedelta(days=1)
    first_hour, first_day = last_hour - timedelta(days=HOURLY_DAYS), today - timedelta(days=ROLLUP_DAYS)
    for table, start, end, step, every in (
        ("rollup_hours", first_hour, last_hour, hour, 20),
        ("rollup_days", first_day, yesterday, day, 1),
    ):
        statement = ROLLUPS.format(table=table)
        await connection.execute(statement, start, end, step, monitors, every, [REGION])
        busy = statement.replace("generate_series(1, $4::int)", f"generate_series($4::int + 1, $4::int + {BUSY})")
        await connection.execute(busy, start, end, step, monitors, 1, ["r0", "r1", "r2"])
    for table, start, end, step in (
        ("uptime_hours", last_hour - timedelta(days=8), last_hour, hour),
        ("uptime_days", first_day, yesterday, day),
    ):
        await connection.execute(UPTIMES.format(table=table), start, end, step, monitors + BUSY)
    say("rollups are filled")


def put_first(*pids: int) -> None:
    """Before every other process of the machine; what they start later, too. Only for root."""
    for pid in pids:
        os.sched_setscheduler(pid, os.SCHED_RR, os.sched_param(1))


# -- asking ----------------------------------------------------------------------------------------------------------


@contextlib.contextmanager
def service(module: str, folder: Path, **settings: str) -> "Iterator[tuple[subprocess.Popen[bytes], dict[str, int]]]":
    """A process of ours, and the ports that it said it listens on, by the event of its log."""
    environ = {key: value for key, value in os.environ.items() if not key.startswith("FARWATCH_")}
    log = folder / f"{module}-{time.monotonic_ns()}.log"
    with log.open("wb") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", module], env=environ | {"FARWATCH_LOG_FORMAT": "json"} | settings,
            stdout=output, stderr=output,
        )  # fmt: skip
    try:
        yield process, _ports(log, process, 2 if module == "farwatch_api" else 1)
    finally:
        process.terminate()
        process.wait(20)


def _ports(log: Path, process: "subprocess.Popen[bytes]", wanted: int) -> dict[str, int]:
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline and process.poll() is None:
        lines = [json.loads(line) for line in log.read_text().splitlines() if line.startswith("{")]
        ports = {line["event"]: line["port"] for line in lines if "port" in line}
        if len(ports) >= wanted:
            return ports
        time.sleep(0.05)
    raise RuntimeError(log.read_text()[-3000:])


async def ask(client: httpx.AsyncClient, processes: Mapping[str, int], addresses: Sequence[str]) -> dict[str, float]:
    """Milliseconds until the whole answer was there, each address once; and what it took of a processor, which says
    more on a machine that others use too."""
    took, size, before = [], 0, usage.measure(processes)
    for address in addresses:
        began = time.perf_counter()
        answer = await client.get(address)
        took.append((time.perf_counter() - began) * 1000)
        if answer.status_code != 200:
            raise RuntimeError(f"{address}: {answer.status_code} {answer.text[:300]}")
        size = max(size, len(answer.content))
    took.sort()
    after = usage.measure(processes)
    spent = {name: (after[name].cpu_seconds - before[name].cpu_seconds) * 1000 / len(took) for name in processes}
    return {
        "asked": len(took), "p50_ms": round(statistics.median(took), 1),
        "p95_ms": round(took[int(len(took) * 0.95)], 1), "max_ms": round(took[-1], 1), "kb": round(size / 1000, 1),
        **{f"cpu_ms_{name}": round(each, 1) for name, each in spent.items()},
    }  # fmt: skip


async def ask_everything(url: str, processes: Mapping[str, int], monitors: int) -> dict[str, Any]:
    """Each question about other monitors every time, so that nothing is in a cache but what would be."""
    step = max(20, monitors // 40 // 20 * 20)
    some = list(range(step, monitors + 1, step))[:40]
    busy = list(range(monitors + 1, monitors + BUSY + 1))

    def each(path: str, ids: Sequence[int]) -> list[str]:
        return [path.format(id=monitor_id) for monitor_id in ids]

    def fifties(path: str) -> list[str]:
        return [path.format(ids=",".join(str(first + n) for n in range(50))) for first in range(1, monitors - 50, step)]

    headers = {"Authorization": f"Bearer {TOKEN}"}
    async with httpx.AsyncClient(base_url=url, headers=headers, timeout=120, trust_env=False) as client:
        await client.get("/api/session")
        asking = partial(ask, client, processes)
        latency = "/api/monitors/{id}/latency?hours="
        return {
            "chart_24h": await asking(each(latency + "24", some)),
            "chart_24h_busy_3_regions": await asking(each(latency + "24", busy)),
            "chart_7d": await asking(each(latency + "168", some)),
            "chart_90d": await asking(each(latency + "2160", some)),
            "chart_90d_busy_3_regions": await asking(each(latency + "2160", busy)),
            "chart_365d": await asking(each(latency + "8760", some)),
            "overview_page": await asking([f"/?page={1 + number % 200}" for number in range(0, 400, 10)]),
            "overview_search": await asking([f"/?q=Site+{number}" for number in range(10, 50)]),
            "status": await asking(["/api/status"] * 20),
            "bars_90d_of_50": await asking(fifties("/api/uptime?days=90&monitors={ids}")[:40]),
            "heartbeats_of_50": await asking(fifties("/api/heartbeats?monitors={ids}")[:40]),
            "uptime_of_one": await asking(each("/api/monitors/{id}/uptime?series=90", some)),
            "monitor_page": await asking(each("/monitors/{id}", some)),
            "export_7d_csv": await asking(each("/api/monitors/{id}/checks.csv", some[:5])),
            "export_7d_csv_busy": await asking(each("/api/monitors/{id}/checks.csv", busy[:3])),
            "metrics_of_monitors": await asking(["/metrics/monitors"] * 3),
        }


# -- rolling up while results come in --------------------------------------------------------------------------------


async def roll_up_under_load(
    nats_url: str, database: Database, settings: dict[str, str], folder: Path, monitors: int, rate: int
) -> dict[str, Any]:
    """The week's hours, none of which is rolled up yet; a kill -9 after 20 s; results all the while."""
    bus = await Bus.connect(nats_url, name="bench")
    await ensure_region(bus, REGION)
    ids, interval = list(range(1, monitors + 1)), max(1, monitors // rate)
    await database.pool.execute("update health.shards set now_ms = $1", now_ms())
    speaking = asyncio.create_task(speak(bus, REGION, ids, interval, 100_000, 0.0))
    try:
        with service("farwatch_incidents", folder, **settings) as (process, _):
            await asyncio.sleep(20)
            process.kill()
        at_kill = await _rolled(database)
        say(f"killed with {at_kill} hours rolled up")
        with service("farwatch_incidents", folder, **settings) as (_, ports):
            port = next(iter(ports.values()))
            report = await _watch_rollups(database, port)
    finally:
        speaking.cancel()
        await asyncio.gather(speaking, return_exceptions=True)
        await bus.close()
    return {"hours_when_killed": at_kill, **report}


async def _rolled(database: Database) -> int:
    query = "select count(*) from health.rollup_progress where period = 'hour' and rolled_at is not null and not dirty"
    return int(await database.pool.fetchval(query))


async def _watch_rollups(database: Database, port: int) -> dict[str, Any]:
    """From 10 s after its start, when it has caught up, until nothing is left to do or 5 minutes passed."""
    await asyncio.sleep(10)
    before, began, first = await asyncio.to_thread(read_metrics, port), time.monotonic(), await _rolled(database)
    last, since = first, time.monotonic()
    while time.monotonic() - began < 300 and time.monotonic() - since < 20:
        await asyncio.sleep(2)
        if (found := await _rolled(database)) != last:
            last, since = found, time.monotonic()
    after, took = await asyncio.to_thread(read_metrics, port), since - began
    lag = "farwatch_fold_lag_seconds"
    return {
        "hours_in_all": last,
        "seconds_per_hour_rolled_up": round(took / max(1, last - first), 2),
        "results_per_second_meanwhile": round(
            (after["farwatch_fold_results_total"] - before["farwatch_fold_results_total"]) / (time.monotonic() - began)
        ),
        "fold_lag_p50_ms_below": quantile(before, after, lag, 0.5) * 1000,
        "fold_lag_p99_ms_below": quantile(before, after, lag, 0.99) * 1000,
    }


# -- all of it -------------------------------------------------------------------------------------------------------


@contextlib.asynccontextmanager
async def loader(url: str) -> AsyncIterator[Connection]:
    """A connection whose statements may take as long as they need."""
    connection: asyncpg.Connection[Any] = await asyncpg.connect(url, server_settings={"timezone": "UTC", "jit": "off"})
    try:
        await set_codec(connection)
        yield connection
    finally:
        await connection.close(timeout=10)


async def bench(options: argparse.Namespace, nats_url: str, postgres: PostgresProcess, folder: Path) -> dict[str, Any]:
    database_url = postgres.url()
    keys = folder / "keys"
    keys.write_text("MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY=\n")
    settings = {"FARWATCH_NATS_URL": nats_url, "FARWATCH_DATABASE_URL": database_url}
    api = {"FARWATCH_API_TOKEN": TOKEN, "FARWATCH_SECRET_KEY_FILE": str(keys), "FARWATCH_PORT": "0"}
    report: dict[str, Any] = {"load_average": [round(each, 2) for each in os.getloadavg()]}
    await migrate(database_url)
    async with loader(database_url) as connection:
        if not await connection.fetchval("select exists (select from config.monitors)"):
            report["filled"] = await fill(connection, options.rows, options.monitors)
            # So that the next start on this folder has nothing to recover.
            async with loader(postgres.superuser_url("farwatch")) as superuser:
                await superuser.execute("checkpoint")
    report["load_average_when_asked"] = [round(each, 2) for each in os.getloadavg()]
    with service("farwatch_api", folder, **settings, **api) as (process, ports):
        processes = {"api": process.pid, "postgres": postgres.pid}
        if options.undisturbed:
            put_first(os.getpid(), process.pid, *usage.family(postgres.pid, usage.read_stats()))
        url = f"http://127.0.0.1:{ports['listening']}"
        report["answers"] = await ask_everything(url, processes, options.monitors)
    if options.rollups:
        database = await Database.connect(database_url)
        try:
            report["rollups"] = await roll_up_under_load(
                nats_url, database, settings, folder, options.monitors, options.rate
            )
        finally:
            await database.close()
    return report


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=30_000_000)
    parser.add_argument("--monitors", type=int, default=10_000)
    parser.add_argument("--rate", type=int, default=1_000, help="results a second while hours are rolled up")
    parser.add_argument("--rollups", action=argparse.BooleanOptionalAction, default=True)
    parser.add_argument("--undisturbed", action="store_true", help="before all other processes, as root, while asking")
    parser.add_argument("--folder", type=Path, help="keep the database there, and ask the one that is there")
    options = parser.parse_args()
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    with contextlib.ExitStack() as stack:
        folder = options.folder or Path(stack.enter_context(server_folder("history")))
        folder.mkdir(parents=True, exist_ok=True, mode=0o711)
        work = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        nats, postgres = NatsProcess(stack.enter_context(server_folder("nats"))), PostgresProcess(folder)
        nats.server = NatsServer(nats.folder, regions=("r0", "r1", "r2"), open_access=True)
        nats.start()
        stack.callback(nats.stop)
        postgres.start()
        stack.callback(postgres.stop)
        print(json.dumps(asyncio.run(bench(options, nats.url, postgres, work)), indent=2))


if __name__ == "__main__":
    main()
