"""The whole prober over a real NATS: chunks in, results, heartbeats and acknowledgements out."""

import asyncio
import os
import subprocess
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from farwatch_bus import Bus, Reader, ensure_region
from farwatch_events import subjects
from farwatch_events.checks import DueCheck, DueChunk, RegisterRegionRequest, Reply
from farwatch_events.monitor import parse_monitor
from farwatch_events.results import CheckResult, Heartbeat, ResultBatch, parse_result_message
from farwatch_prober import backlog
from farwatch_prober.app import serve
from farwatch_prober.settings import ProberSettings
from farwatch_runtime.clock import now_ms
from farwatch_runtime.service import Service
from tests.support.http import HttpServer, Response
from tests.support.servers import NatsProcess
from tests.support.waiting import eventually

REGION = "eu"


class Stream:
    """Everything the probers of the region said so far."""

    def __init__(self, reader: Reader) -> None:
        self._reader = reader
        self.results: list[CheckResult] = []
        self.heartbeats: list[Heartbeat] = []
        self.batches: list[ResultBatch] = []

    async def read(self) -> None:
        for message in await self._reader.batch(100, 0.05):
            said = parse_result_message(message.data)
            if isinstance(said, Heartbeat):
                self.heartbeats.append(said)
            else:
                self.batches.append(said)
                self.results += said.results

    async def until(self, count: int, timeout_seconds: float = 8.0) -> list[CheckResult]:
        async def enough() -> bool:
            await self.read()
            return len(self.results) >= count

        await eventually(enough, timeout_seconds)
        return self.results


@pytest.fixture
async def stream(bus: Bus) -> Stream:
    await ensure_region(bus, REGION)
    return Stream(bus.reader(subjects.results_stream(REGION), 1))


@asynccontextmanager
async def prober(nats_server: NatsProcess, bus: Bus, **settings: Any) -> AsyncIterator[Service]:
    """A prober with a registrar that answers it, stopped in an orderly way at the end."""

    async def register(data: bytes) -> bytes:
        assert RegisterRegionRequest.from_bytes(data).region == REGION
        return Reply(ok=True).to_bytes()

    registrar = await bus.respond(subjects.REGISTER_REGION_COMMAND, register)
    service = Service("prober")
    base = {"nats_url": nats_server.url, "region": REGION, "canaries": ("off",)}
    running = asyncio.create_task(serve(service, ProberSettings.model_validate(base | settings)))
    await eventually(lambda: service.health.ready or running.done(), 10)
    try:
        yield service
    finally:
        service.request_stop()
        await asyncio.wait_for(running, 10)
        await service.close()
        await registrar.unsubscribe()


def due(url: str, monitor_id: int = 1, late_ms: int = 0, **fields: Any) -> DueCheck:
    base = {"type": "http", "name": "x", "url": url, "interval_seconds": 60, "timeout_seconds": 5, "retries": 0}
    return DueCheck(
        monitor_id=monitor_id, config_version=3, slot_ms=now_ms() - late_ms, spec=parse_monitor(base | fields)
    )


async def send(bus: Bus, *checks: DueCheck, epoch: int = 1, lane: str = "ring") -> None:
    subject = subjects.due_ring(REGION) if lane == "ring" else subjects.due_now(REGION)
    chunk = DueChunk(region=REGION, epoch=epoch, tick_ms=now_ms(), checks=list(checks))
    await bus.publisher().publish(subject, chunk.to_bytes(), ttl_seconds=60)


async def unacknowledged(bus: Bus) -> int:
    info = await bus.api(f"STREAM.INFO.{subjects.checks_stream(REGION)}")
    return int(info["state"]["messages"])


async def test_chunks_become_results_and_are_acknowledged(
    nats_server: NatsProcess, bus: Bus, stream: Stream, http_target: HttpServer
) -> None:
    async with prober(nats_server, bus):
        await send(bus, *(due(http_target.url, monitor) for monitor in range(1, 51)), epoch=7)
        await send(bus, due(http_target.url, 99), lane="now", epoch=7)
        results = await stream.until(51)
        await eventually(lambda: unacknowledged_is(bus, 0))
        await eventually(lambda: has_heartbeat(stream, results), 6)
    assert sorted(result.monitor_id for result in results) == [*range(1, 51), 99]
    assert {(result.outcome, result.config_version, result.epoch) for result in results} == {("up", 3, 7)}
    assert all(len(batch.to_bytes()) <= 256 * 1024 for batch in stream.batches)
    assert len(stream.batches) < 51
    beat = stream.heartbeats[-1]
    assert (beat.region, beat.healthy, beat.capacity, beat.epoch) == (REGION, True, 2000, 7)


async def unacknowledged_is(bus: Bus, count: int) -> bool:
    return await unacknowledged(bus) == count


async def has_heartbeat(stream: Stream, results: list[CheckResult]) -> bool:
    """One whose watermark has reached the newest slot, and which counts nothing in flight."""
    await stream.read()
    newest = max(result.slot_ms for result in results)
    return any(beat.watermark_ms == newest and beat.in_flight == 0 for beat in stream.heartbeats)


async def test_a_slow_check_holds_back_neither_the_others_nor_their_results(
    nats_server: NatsProcess, bus: Bus, stream: Stream, http_target: HttpServer
) -> None:
    http_target.responder = lambda request: Response(delay_seconds=4 if "slow" in request.path else 0)
    async with prober(nats_server, bus):
        await send(bus, due(http_target.url + "slow", 1), due(http_target.url, 2))
        results = await stream.until(1, 3)
        assert [result.monitor_id for result in results] == [2]
        await eventually(lambda: beat_in_flight(stream), 6)
        assert stream.heartbeats[-1].watermark_ms < results[0].slot_ms
        assert await unacknowledged(bus) == 1
        assert len(await stream.until(2)) == 2
        await eventually(lambda: unacknowledged_is(bus, 0))


async def beat_in_flight(stream: Stream) -> bool:
    await stream.read()
    return any(beat.in_flight == 1 for beat in stream.heartbeats)


async def test_stale_slots_are_skipped_and_old_epochs_dropped(
    nats_server: NatsProcess, bus: Bus, stream: Stream, http_target: HttpServer
) -> None:
    async with prober(nats_server, bus):
        await send(bus, due(http_target.url, 1, late_ms=61_000), epoch=5)
        await stream.until(1)
        await send(bus, due(http_target.url, 2), epoch=4)
        await send(bus, due(http_target.url, 3), epoch=5)
        results = await stream.until(2)
        await eventually(lambda: unacknowledged_is(bus, 0))
    assert [(result.monitor_id, result.error_class) for result in results] == [(1, "skipped"), (3, None)]
    assert len(http_target.requests) == 1


async def test_work_that_nobody_can_finish_is_answered_and_removed(
    nats_server: NatsProcess, bus: Bus, stream: Stream, http_target: HttpServer
) -> None:
    await send(bus, due(http_target.url, 1))
    puller = bus.puller(subjects.checks_stream(REGION), subjects.RING_DURABLE, credit=1)
    for _ in range(5):
        (message,) = await take_one(puller)
        await message.nak()
    await puller.close()
    async with prober(nats_server, bus):
        (result,) = await stream.until(1, 15)
        await eventually(lambda: unacknowledged_is(bus, 0))
    assert (result.outcome, result.error_class, result.attempts) == ("unknown", "internal", 0)
    assert "handed out 5 times" in str(result.error)
    assert http_target.requests == []


async def take_one(puller: Any) -> list[Any]:
    for _ in range(100):
        if messages := await puller.take(1, 0.5):
            return list(messages)
    raise AssertionError("the chunk did not come again")


async def test_unreadable_work_is_dropped_but_readable_parts_are_run(
    nats_server: NatsProcess, bus: Bus, stream: Stream, http_target: HttpServer
) -> None:
    publisher = bus.publisher()
    await publisher.publish(subjects.due_ring(REGION), b"not a chunk")
    chunk = DueChunk(region=REGION, epoch=1, tick_ms=1, checks=[due(http_target.url, 1), due(http_target.url, 2)])
    newer = chunk.to_bytes().replace(b'"type":"http"', b'"type":"browser"', 1)
    await publisher.publish(subjects.due_ring(REGION), newer)
    async with prober(nats_server, bus):
        results = await stream.until(2)
        await eventually(lambda: unacknowledged_is(bus, 0))
    assert {(result.monitor_id, result.error_class) for result in results} == {(1, "internal"), (2, None)}


async def test_stopping_finishes_what_runs_and_hands_back_the_rest(
    nats_server: NatsProcess, bus: Bus, stream: Stream, http_target: HttpServer
) -> None:
    http_target.responder = lambda request: Response(delay_seconds=30 if "long" in request.path else 1)
    async with prober(nats_server, bus) as service:
        await send(bus, due(http_target.url, 1))
        await send(bus, due(http_target.url + "long", 2, timeout_seconds=40))
        await eventually(lambda: len(http_target.requests) == 2)
        service.request_stop()
    results = await stream.until(1)
    assert [result.monitor_id for result in results] == [1]
    assert await unacknowledged(bus) == 1
    puller = bus.puller(subjects.checks_stream(REGION), subjects.RING_DURABLE, credit=1)
    messages = await puller.take(1, 3)
    assert [DueChunk.from_bytes(message.data).checks[0].monitor_id for message in messages] == [2]


async def test_nothing_is_lost_when_nats_dies_in_between(
    nats_server: NatsProcess, bus: Bus, stream: Stream, http_target: HttpServer
) -> None:
    http_target.response = Response(delay_seconds=1)
    async with prober(nats_server, bus):
        await send(bus, *(due(http_target.url, monitor) for monitor in range(1, 11)))
        await eventually(lambda: len(http_target.requests) == 10)
        nats_server.kill()
        await asyncio.sleep(1.5)
        nats_server.start()
        results = await stream.until(10, 20)
        await eventually(lambda: unacknowledged_is(bus, 0), 15)
    assert {result.monitor_id for result in results} == set(range(1, 11))
    assert len(results) == 10


async def test_a_loop_that_runs_late_puts_off_starting_and_says_so(
    nats_server: NatsProcess, bus: Bus, stream: Stream, http_target: HttpServer
) -> None:
    async with prober(nats_server, bus) as service:
        slow_turns = asyncio.create_task(make_turns_slow())
        await send(bus, *(due(http_target.url, number) for number in range(1, 9)))
        await eventually(lambda: sample(service, "farwatch_prober_held_back_seconds") > 0, 20)
        assert sample(service, "farwatch_prober_lag_seconds") > 0
        slow_turns.cancel()
        results = await stream.until(8)
        assert {result.monitor_id for result in results} == set(range(1, 9))


async def make_turns_slow() -> None:
    while True:
        time.sleep(0.02)  # noqa: ASYNC251  # which is what is meant
        await asyncio.sleep(0)


def sample(service: Service, name: str) -> float:
    return service.registry.get_sample_value(name) or 0.0


async def test_the_lane_that_must_not_wait_has_places_of_its_own(
    nats_server: NatsProcess, bus: Bus, stream: Stream, http_target: HttpServer
) -> None:
    http_target.responder = lambda request: Response(delay_seconds=3 if "slow" in request.path else 0)
    async with prober(nats_server, bus, max_concurrency=10):
        for monitor in range(1, 31):
            await send(bus, due(http_target.url + "slow", monitor))
        await eventually(lambda: len(http_target.requests) >= 9)
        await send(bus, due(http_target.url, 99), lane="now")
        results = await stream.until(1, 2.5)
        assert results[0].monitor_id == 99
        assert len(await stream.until(31, 20)) == 31


async def test_what_waits_for_long_is_left_out_once_it_is_clear_that_time_is_short(
    nats_server: NatsProcess, bus: Bus, stream: Stream, http_target: HttpServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(backlog, "SETTLE_SECONDS", 1.0)
    http_target.responder = lambda request: Response(delay_seconds=0.5)
    for monitor in range(1, 61):
        await send(bus, due(http_target.url, monitor, interval_seconds=10))
    async with prober(nats_server, bus, max_concurrency=4) as service:
        await eventually(lambda: sample(service, "farwatch_prober_leaves_out") == 1, 20)
        await send(bus, due(http_target.url, 99, interval_seconds=10), lane="now")
        results = {result.monitor_id: result for result in await stream.until(61, 20)}
        await eventually(lambda: unacknowledged_is(bus, 0))
        left_out = {monitor for monitor, result in results.items() if result.error_class == "skipped"}
        assert len(results) == 61
        assert 5 <= len(left_out) <= 52
        assert len(http_target.requests) == 61 - len(left_out)
        assert results[99].outcome == "up"
        assert "more checks are due than can be made" in str(results[max(left_out)].error)
        for monitor in range(101, 104):
            await send(bus, due(http_target.url, monitor))
            await asyncio.sleep(0.7)
        await eventually(lambda: sample(service, "farwatch_prober_leaves_out") == 0, 20)
        assert {result.outcome for result in (await stream.until(64))[-3:]} == {"up"}


@pytest.mark.parametrize("variable", ["FARWATCH_CA_FILE", "FARWATCH_SECRET_KEY_FILE"])
@pytest.mark.parametrize("content", [None, "", "not what it should be"])
def test_a_bad_file_is_one_clear_line(tmp_path: Path, variable: str, content: str | None) -> None:
    path = tmp_path / "bad.pem"
    if content is not None:
        path.write_text(content)
    environ = os.environ | {variable: str(path), "FARWATCH_NATS_URL": "nats://127.0.0.1:1"}
    done = subprocess.run(
        [sys.executable, "-m", "farwatch_prober"], env=environ, capture_output=True, text=True, timeout=30, check=False
    )
    assert done.returncode == 2
    assert len(done.stderr.splitlines()) == 1
    assert variable in done.stderr
    assert "bad.pem" in done.stderr
