"""A notifier whose clock can be put ahead, so that a bench need not sit out what a rule waits for.

A process of its own, started by the bench: milliseconds to be ahead come one a line on its input, and it ends with it.

    python -m bench.harness.leaping KEY_FILE     database in FARWATCH_BENCH_DATABASE
"""

import asyncio
import os
import sys
from pathlib import Path

import structlog
import uvloop
from prometheus_client import CollectorRegistry

from farwatch_notifier.app import Notifier
from farwatch_notifier.outbound import Outbound
from farwatch_runtime.clock import now_ms
from farwatch_runtime.secrets import SecretBox
from farwatch_store import Database

NAME = "farwatch_leaping"


class Clock(asyncio.Protocol):
    def __init__(self, stop: asyncio.Event) -> None:
        self._ahead_ms = 0
        self._stop = stop

    def __call__(self) -> int:
        return now_ms() + self._ahead_ms

    def data_received(self, data: bytes) -> None:
        self._ahead_ms = int(data.split()[-1])

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002
        self._stop.set()


async def serve(key_file: Path) -> None:
    stop = asyncio.Event()
    clock = Clock(stop)
    await asyncio.get_running_loop().connect_read_pipe(lambda: clock, sys.stdin)
    url = os.environ["FARWATCH_BENCH_DATABASE"]
    db = await Database.connect(url, role="farwatch_notifier", name=NAME)
    box = SecretBox.from_file(key_file)
    notifier = Notifier(db, box, Outbound.create(), CollectorRegistry(), "https://watch.example", now=clock)
    await notifier.run(stop)
    await db.close()


def main() -> None:
    structlog.configure(
        processors=[structlog.processors.TimeStamper(), structlog.processors.JSONRenderer()],
        logger_factory=structlog.PrintLoggerFactory(sys.stdout),
        cache_logger_on_first_use=True,
    )
    uvloop.run(serve(Path(sys.argv[1])))


if __name__ == "__main__":
    main()
