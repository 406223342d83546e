"""Throughput of the bus: publisher, puller and reader against a nats-server of its own. Prints JSON.

python -m bench.bus [messages]
"""

import asyncio
import json
import resource
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

import structlog
import uvloop

from farwatch_bus import Bus, ConsumerSpec, StreamSpec, ensure_consumer, ensure_stream
from tests.support.servers import NatsProcess

PAYLOAD = b"x" * 200
MEGABYTE = 1024 * 1024


async def measure(work: Callable[[], Awaitable[int]]) -> dict[str, float]:
    """CPU is this process's alone: the client's cost of a message."""
    before, started = resource.getrusage(resource.RUSAGE_SELF), time.perf_counter()
    count = await work()
    seconds = time.perf_counter() - started
    after = resource.getrusage(resource.RUSAGE_SELF)
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return {"messages": count, "per_second": round(count / seconds), "cpu_us_each": round(cpu / count * 1e6, 1)}


async def publish(bus: Bus, subject: str, count: int) -> int:
    publisher = bus.publisher(window=1000)
    last = None
    for _ in range(count):
        last = await publisher.start(subject, PAYLOAD)
    assert last is not None
    await last
    assert await publisher.drain(10)
    return count


async def publish_each(bus: Bus, subject: str, count: int) -> int:
    publisher = bus.publisher()
    for _ in range(count):
        await publisher.publish(subject, PAYLOAD)
    return count


async def pull(bus: Bus, stream: str, count: int, *, ack: bool) -> int:
    puller = bus.puller(stream, "worker", credit=2000)
    taken = 0
    while taken < count:
        batch = await puller.take(1000, 2)
        assert batch, f"starved after {taken}"
        taken += len(batch)
        if ack:
            for message in batch:
                await message.ack()
    return taken


async def read(bus: Bus, stream: str, count: int) -> int:
    reader = bus.reader(stream, 1, credit=2000)
    taken = 0
    while taken < count:
        batch = await reader.batch(1000, 2)
        assert batch, f"starved after {taken}"
        taken += len(batch)
    return taken


async def bench(url: str, count: int) -> dict[str, object]:
    bus = await Bus.connect(url, name="bench")
    await ensure_stream(bus, StreamSpec("LOG", ("log.>",), max_bytes=256 * MEGABYTE))
    await ensure_stream(bus, StreamSpec("WORK", ("work.>",), retention="workqueue", max_bytes=256 * MEGABYTE))
    await ensure_consumer(bus, ConsumerSpec("WORK", "worker", "work.x"))
    results: dict[str, object] = {
        "publish_awaiting_each": await measure(lambda: publish_each(bus, "log.x", count // 20)),
        "publish_pipelined": await measure(lambda: publish(bus, "log.x", count - count // 20)),
        "read": await measure(lambda: read(bus, "LOG", count)),
    }
    await publish(bus, "work.x", count)
    results["pull_and_ack"] = await measure(lambda: pull(bus, "WORK", count, ack=True))
    await bus.close()
    return results


def main() -> None:
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 100_000
    structlog.configure(logger_factory=structlog.ReturnLoggerFactory())
    with tempfile.TemporaryDirectory(prefix="farwatch-bench-") as folder:
        server = NatsProcess(Path(folder))
        server.start()
        try:
            with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
                print(json.dumps(runner.run(bench(server.url, count)), indent=2))
        finally:
            server.stop()


if __name__ == "__main__":
    main()
