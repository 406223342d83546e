"""Push monitors: a call becomes a result of the region `push`; our heartbeat says that we could have heard it."""

import asyncio
import os
import socket
import time
from typing import Literal

import structlog

from farwatch_bus import Bus, BusError, Publisher
from farwatch_events import subjects
from farwatch_events.checks import RegisterRegionRequest
from farwatch_events.results import (
    PUSH_MESSAGE_MAX_CHARS,
    CheckResult,
    ErrorClass,
    Heartbeat,
    PushCall,
    ResultBatch,
)

log = structlog.get_logger("farwatch_api")

HEARTBEAT_SECONDS = 2.0
ACK_SECONDS = 3.0
REGISTER_SECONDS = 3.0
MESSAGE_MAX_CHARS = 500
Signal = Literal["start", "finish"]
PROBER = f"api-{socket.gethostname()}-{os.getpid()}"[:64]


def push_result(
    monitor_id: int,
    config_version: int,
    now_ms: int,
    status: str,
    message: str,
    ping_ms: float | None,
    *,
    signal: Signal = "finish",
    exit_code: int | None = None,
    run_id: str | None = None,
) -> CheckResult:
    """One call of a push URL as a result. Anything but "up" is the job saying that it failed, and so is an exit code
    other than 0. How long the run took and whether that is good is for the fold to say, which knows its start. Pure."""
    ok = signal == "start" or (status == "up" and not exit_code)
    said = f"The job ended with exit code {exit_code}" if exit_code else "The job reported that it failed"
    return CheckResult(
        monitor_id=monitor_id,
        config_version=config_version,
        slot_ms=now_ms,
        outcome="up" if ok else "down",
        started_ms=now_ms,
        finished_ms=now_ms,
        latency_ms=ping_ms,
        error_class=None if ok else ErrorClass.ASSERTION,
        error=None if ok else (message[:MESSAGE_MAX_CHARS] or said),
        push=PushCall(
            signal=signal, run_id=run_id, message=message[:PUSH_MESSAGE_MAX_CHARS].strip(), exit_code=exit_code
        ),
    )


def push_publisher(bus: Bus) -> Publisher:
    """Gives up when the caller is told to send again: what was answered with 503 is not stored minutes later."""
    return bus.publisher(deadline_seconds=ACK_SECONDS)


async def publish_push(publisher: Publisher, result: CheckResult) -> None:
    """Returns once the bus has stored it. Raises BusError or TimeoutError: nobody knows then, the caller repeats."""
    batch = ResultBatch(type="results", region=subjects.PUSH_REGION, prober=PROBER, results=[result])
    async with asyncio.timeout(ACK_SECONDS + 1):
        await publisher.publish(subjects.result(subjects.PUSH_REGION), batch.to_bytes())


class PushGateway:
    """Makes the push region exist and says every 2 s that this process listens."""

    def __init__(self, bus: Bus, publisher: Publisher) -> None:
        self._bus = bus
        self._publisher = publisher
        self._started_ms = now_ms()

    async def run(self, stop: asyncio.Event) -> None:
        registered = False
        while not stop.is_set():
            try:
                if not registered:
                    await self._register()
                registered = True
                async with asyncio.timeout(ACK_SECONDS):
                    await self._beat()
            except (BusError, TimeoutError) as error:
                registered = False
                log.debug("push_heartbeat_missed", error=type(error).__name__)
            try:
                async with asyncio.timeout(HEARTBEAT_SECONDS):
                    await stop.wait()
            except TimeoutError:
                continue

    async def _register(self) -> None:
        request = RegisterRegionRequest(region=subjects.PUSH_REGION, prober=PROBER)
        await self._bus.request(subjects.REGISTER_REGION_COMMAND, request.to_bytes(), REGISTER_SECONDS)

    async def _beat(self) -> None:
        now = now_ms()
        beat = Heartbeat(
            type="heartbeat",
            region=subjects.PUSH_REGION,
            prober=PROBER,
            sent_ms=now,
            started_ms=self._started_ms,
            watermark_ms=now,
        )
        await self._publisher.publish(subjects.result(subjects.PUSH_REGION), beat.to_bytes())


def now_ms() -> int:
    return time.time_ns() // 1_000_000
