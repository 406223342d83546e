"""The health endpoint over real sockets: answers, limits, and who may read the metrics."""

import asyncio
import json
import time
from collections.abc import AsyncIterator

import pytest
from prometheus_client import CollectorRegistry, Counter

from farwatch_runtime import health as health_module
from farwatch_runtime.health import Health, HealthServer, Request, may_read_metrics


class Running:
    def __init__(self, health: Health, port: int) -> None:
        self.health = health
        self.port = port

    async def send(self, raw: bytes) -> bytes:
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        writer.write(raw)
        await writer.drain()
        answer = await asyncio.wait_for(reader.read(), 5)
        writer.close()
        return answer

    async def get(self, path: str, *headers: str, method: str = "GET") -> tuple[int, str]:
        head = "".join(f"{line}\r\n" for line in (f"{method} {path} HTTP/1.1", "Host: x", *headers))
        answer = (await self.send(f"{head}\r\n".encode())).decode()
        status, _, body = answer.partition("\r\n\r\n")
        return int(status.split(" ")[1]), body


@pytest.fixture
async def running() -> AsyncIterator[Running]:
    registry = CollectorRegistry()
    Counter("farwatch_test_things", "Things", registry=registry).inc(3)
    health = Health("test")
    server = HealthServer(health, registry, "swordfish")
    port = await server.start("127.0.0.1", 0)
    yield Running(health, port)
    await server.close()


async def test_healthz_follows_progress(running: Running) -> None:
    assert await running.get("/healthz") == (200, '{"service": "test", "status": "ok", "stale": {}}\n')
    beat = running.health.watch("fold", 0.15)
    assert (await running.get("/healthz"))[0] == 200
    await asyncio.sleep(0.2)
    status, body = await running.get("/healthz")
    assert status == 503
    stale = json.loads(body)["stale"]
    assert list(stale) == ["fold"]
    assert "allowed 0.15 s" in stale["fold"]
    beat()
    assert (await running.get("/healthz"))[0] == 200


async def test_readyz_from_start_to_stop(running: Running) -> None:
    assert (await running.get("/readyz"))[0] == 503
    running.health.ready = True
    assert (await running.get("/readyz"))[0] == 200
    running.health.stopping = True
    status, body = await running.get("/readyz")
    assert (status, json.loads(body)["status"]) == (503, "stopping")


async def test_metrics_on_loopback_and_with_the_token(running: Running) -> None:
    status, body = await running.get("/metrics")
    assert status == 200
    assert "farwatch_test_things_total 3.0" in body
    assert (await running.get("/metrics", "X-Forwarded-For: 203.0.113.9"))[0] == 401
    forwarded = "X-Forwarded-For: 203.0.113.9"
    assert (await running.get("/metrics", forwarded, "Authorization: Bearer swordfish"))[0] == 200
    assert (await running.get("/metrics", forwarded, "Authorization: Bearer wrong"))[0] == 401


@pytest.mark.parametrize(
    ("peer", "local"),
    [
        ("127.0.0.1", True),
        ("127.8.8.8", True),
        ("::1", True),
        ("::ffff:127.0.0.1", True),
        ("10.0.0.1", False),
        ("::ffff:10.0.0.1", False),
        ("fe80::1%eth0", False),
        ("", False),
    ],
)
def test_who_is_local(peer: str, local: bool) -> None:
    request = Request("GET", "/metrics", {}, peer)
    assert may_read_metrics(request, None) is local
    assert may_read_metrics(request, "swordfish") is local


async def test_other_paths_and_methods(running: Running) -> None:
    assert (await running.get("/"))[0] == 404
    assert (await running.get("/healthz?verbose=1"))[0] == 200
    assert (await running.get("/healthz", method="POST"))[0] == 405
    assert await running.get("/healthz", method="HEAD") == (200, "")


@pytest.mark.parametrize(
    "raw", [b"nonsense\r\n\r\n", b"\r\n\r\n", b"GET / HTTP/9\r\n\r\n", b"\xff\xff \xff \xff\r\n\r\n"]
)
async def test_nonsense_is_a_400(running: Running, raw: bytes) -> None:
    assert (await running.send(raw)).startswith(b"HTTP/1.1 400 ")
    assert (await running.get("/healthz"))[0] == 200


async def test_too_long_and_too_slow_are_cut_off(running: Running, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(health_module, "REQUEST_TIMEOUT_SECONDS", 0.2)
    with pytest.raises((ConnectionError, AssertionError)):
        assert await running.send(b"GET /" + b"x" * 100_000)
    reader, writer = await asyncio.open_connection("127.0.0.1", running.port)
    writer.write(b"GET /healthz HT")
    assert await asyncio.wait_for(reader.read(), 2) == b""
    writer.close()
    assert (await running.get("/healthz"))[0] == 200


async def test_connections_are_bounded(running: Running) -> None:
    idle = [await asyncio.open_connection("127.0.0.1", running.port) for _ in range(health_module.MAX_CONNECTIONS)]
    await asyncio.sleep(0.05)
    reader, writer = await asyncio.open_connection("127.0.0.1", running.port)
    assert await asyncio.wait_for(reader.read(), 2) == b""
    writer.close()
    for _, one in idle:
        one.close()
    await asyncio.sleep(0.05)
    assert (await running.get("/healthz"))[0] == 200


def test_work_that_was_handed_over_is_not_waited_for() -> None:
    health = Health("incidents")
    health.watch("fold", 0.0)
    assert "fold" in health.stale(time.monotonic() + 1)
    health.forget("fold")
    health.forget("fold")
    assert health.stale(time.monotonic() + 1) == {}
