"""What scheduling costs: processor time per due check, of the rules alone and with publishing to a real NATS.

python -m bench.schedule            prints JSON
"""

import asyncio
import json
import time
from typing import Any

import uvloop
from prometheus_client import CollectorRegistry

from farwatch_bus import Bus, ensure_region, stream_info
from farwatch_events.checks import DueCheck, DueChunk
from farwatch_events.monitor import parse_monitor
from farwatch_events.subjects import checks_stream
from farwatch_scheduler.catalogue import Catalogue
from farwatch_scheduler.chunks import make_chunks
from farwatch_scheduler.metrics import Metrics
from farwatch_scheduler.monitors import Row
from farwatch_scheduler.outlet import Outlet
from farwatch_scheduler.ring import TICK_MS
from tests.support.servers import NatsProcess, server_folder

CASES = [(20_000, 10), (100_000, 30)]
START_MS = 1_790_000_000_000
REGION = "eu"
PUBLISHED_SECONDS = 10


def spec(number: int, interval_seconds: int) -> dict[str, Any]:
    return {
        "type": "http",
        "name": f"Shop {number}",
        "url": f"https://shop-{number}.example.com/health?deep=1",
        "interval_seconds": interval_seconds,
        "timeout_seconds": 8,
        "expected_text": "ok",
        "tags": ["shop", "prod"],
    }


def load(monitors: int, interval_seconds: int) -> tuple[Catalogue, float]:
    """The catalogue, and microseconds per monitor to read it in."""
    rows = [Row.of(number, 1, spec(number, interval_seconds)) for number in range(1, monitors + 1)]
    catalogue = Catalogue()
    catalogue.set_open_regions([REGION])
    began = time.process_time()
    for row in rows:
        catalogue.apply(row)
    return catalogue, (time.process_time() - began) / monitors * 1e6


def rules_alone(catalogue: Catalogue, interval_seconds: int) -> dict[str, float]:
    """One whole interval of ticks, each made into chunks."""
    checks = chunks = size = 0
    worst = 0.0
    began = time.process_time()
    for tick_ms in range(START_MS, START_MS + interval_seconds * 1000, TICK_MS):
        tick_began = time.perf_counter()
        for slot_ms, monitor_ids in catalogue.rings.due(tick_ms, tick_ms + TICK_MS).slots:
            for region, fragments in catalogue.by_region(monitor_ids).items():
                for chunk in make_chunks(region, 1, slot_ms, fragments):
                    checks, chunks, size = checks + chunk.checks, chunks + 1, size + len(chunk.data)
        worst = max(worst, time.perf_counter() - tick_began)
    spent = time.process_time() - began
    return {
        "due_checks": checks,
        "us_per_due_check": round(spent / checks * 1e6, 3),
        "worst_tick_ms": round(worst * 1e3, 2),
        "checks_per_chunk": round(checks / chunks, 1),
        "bytes_per_check": round(size / checks),
    }


def models_instead(interval_seconds: int) -> float:
    """Microseconds per due check if every chunk were built from the models."""
    monitor = parse_monitor(spec(1, interval_seconds))
    began = time.process_time()
    for _ in range(50):
        checks = [DueCheck(monitor_id=n, config_version=1, slot_ms=START_MS, spec=monitor) for n in range(64)]
        DueChunk(region=REGION, epoch=1, tick_ms=START_MS, checks=checks).to_bytes()
    return (time.process_time() - began) / (50 * 64) * 1e6


async def published(url: str, catalogue: Catalogue) -> dict[str, float]:
    """The tick loop's way out against a real server, in real time."""
    bus = await Bus.connect(url, name="bench")
    await ensure_region(bus, REGION)
    outlet = Outlet(bus, REGION, Metrics(CollectorRegistry()))
    pump = asyncio.create_task(outlet.run())
    before = await stream_info(bus, checks_stream(REGION))
    checks = chunks = 0
    began, due = time.process_time(), time.monotonic()
    for tick in range(PUBLISHED_SECONDS * 1000 // TICK_MS):
        tick_ms = START_MS + tick * TICK_MS
        for slot_ms, monitor_ids in catalogue.rings.due(tick_ms, tick_ms + TICK_MS).slots:
            for region, fragments in catalogue.by_region(monitor_ids).items():
                for chunk in make_chunks(region, 1, slot_ms, fragments):
                    outlet.offer(chunk)
                    checks, chunks = checks + chunk.checks, chunks + 1
        due += TICK_MS / 1000
        await asyncio.sleep(max(0.0, due - time.monotonic()))
    await outlet.drain(10)
    spent = time.process_time() - began
    after = await stream_info(bus, checks_stream(REGION))
    pump.cancel()
    await outlet.close()
    await bus.close()
    assert before is not None
    assert after is not None
    assert after.last_sequence - before.last_sequence == chunks, "not every chunk was stored"
    return {
        "published_checks_per_second": round(checks / PUBLISHED_SECONDS),
        "published_us_per_due_check": round(spent / checks * 1e6, 2),
        "published_percent_of_a_core": round(100 * spent / PUBLISHED_SECONDS, 2),
    }


def main() -> None:
    report = []
    for monitors, interval_seconds in CASES:
        catalogue, load_us = load(monitors, interval_seconds)
        case: dict[str, Any] = {"monitors": monitors, "interval_seconds": interval_seconds}
        case |= {"load_us_per_monitor": round(load_us, 1), **rules_alone(catalogue, interval_seconds)}
        case["models_us_per_due_check"] = round(models_instead(interval_seconds), 2)
        with server_folder("bench") as folder:
            server = NatsProcess(folder)
            server.start()
            try:
                with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
                    case |= runner.run(published(server.url, catalogue))
            finally:
                server.stop()
        report.append(case)
    print(json.dumps(report, indent=2))


if __name__ == "__main__":
    main()
