"""deploy/docker-compose.yml for real: built, brought up, scaled, crashed and taken down."""

import asyncio
import contextlib
import json
import time
from collections.abc import AsyncIterator, Callable, Iterator
from datetime import UTC, datetime
from typing import Any

import httpx
import pytest

from farwatch_cli.embedded.files import free_port
from tests.support.compose import Compose
from tests.support.http import HttpServer
from tests.support.waiting import eventually

pytestmark = [pytest.mark.containers, pytest.mark.timeout(600)]

SERVICES = ("scheduler", "prober", "incidents", "notifier", "api")


@pytest.fixture(scope="module")
def compose() -> Iterator[Compose]:
    project = Compose("farwatch-test", free_port())
    project("build", timeout_seconds=480)
    try:
        project.up()
        yield project
    finally:
        project.down()


@pytest.fixture
async def target(compose: Compose) -> AsyncIterator[HttpServer]:
    """A web server of this machine where probers in containers reach it."""
    server = HttpServer(host=compose.gateway())
    await server.start()
    yield server
    await server.stop()


async def until(look: Callable[[], Any], happy: Callable[[Any], bool], timeout_seconds: float) -> None:
    """Asks in a thread until the answer is a happy one; while the api is away there is no answer."""

    async def is_happy() -> bool:
        with contextlib.suppress(httpx.HTTPError, KeyError, TypeError, ValueError):
            return happy(await asyncio.to_thread(look))
        return False

    await eventually(is_happy, timeout_seconds, every_seconds=0.3)


async def test_a_url_goes_up_and_down_and_the_webhook_is_told(compose: Compose, target: HttpServer) -> None:
    sink = HttpServer(host=compose.gateway())
    await sink.start()
    with compose.client() as client:

        async def ask(method: str, path: str, **body: Any) -> Any:
            answer = await asyncio.to_thread(client.request, method, path, json=body or None)
            assert answer.is_success, answer.text
            return answer.json()["data"]

        await ask("POST", "/api/channels", name="hook", type="webhook", config={"url": sink.url})
        monitor = await ask(
            "POST", "/api/monitors", type="http", name="web", url=target.url, interval_seconds=5, timeout_seconds=2
        )
        path = f"/api/monitors/{monitor['id']}"

        def state() -> str:
            return str(client.get(path).json()["data"]["state"])

        await until(state, "up".__eq__, 15)
        await target.stop()
        await until(state, "down".__eq__, 25)
        await until(lambda: len(sink.requests), lambda n: n == 1, 10)
        await target.start()
        await until(state, "up".__eq__, 25)
        await until(lambda: len(sink.requests), lambda n: n == 2, 10)
        incidents = (await ask("GET", "/api/incidents"))["items"]
        assert [(i["monitor_id"], i["state"]) for i in incidents] == [(monitor["id"], "resolved")]
        await ask("DELETE", path)
    await sink.stop()


async def test_more_probers_share_a_region(compose: Compose) -> None:
    compose.up("--scale", "prober=3")
    with compose.client() as client:

        def live_probers() -> int:
            (region,) = client.get("/api/regions").json()["data"]["items"]
            return sum(prober["healthy"] for prober in region["probers"])

        await until(live_probers, lambda n: n >= 3, 20)
    compose.up("--scale", "prober=1")


@pytest.mark.parametrize("service", [*SERVICES, "nats", "postgres"])
async def test_whatever_is_killed_comes_back_and_checks_go_on(
    compose: Compose, target: HttpServer, service: str
) -> None:
    with compose.client() as client:
        created = client.post(
            "/api/monitors", json={"type": "http", "name": service, "url": target.url, "interval_seconds": 5}
        ).json()["data"]
        path = f"/api/monitors/{created['id']}"

        def last_slot() -> str:
            check = client.get(path).json()["data"]["last_check"]
            return str(check["slot"]) if check["ok"] else ""

        await until(last_slot, bool, 15)
        killed_at = datetime.now(UTC).isoformat()
        compose.kill(service)
        await until(last_slot, killed_at.__lt__, 30)
        opened = client.get("/api/incidents", params={"monitor_id": created["id"]}).json()["data"]["items"]
        assert [i for i in opened if i["monitor_id"] == created["id"]] == []
        client.delete(path)


def test_each_container_has_the_least_it_needs(compose: Compose) -> None:
    for service in SERVICES:
        shape = json.loads(compose.inspect(service, "{{json .HostConfig}}"))
        assert shape["ReadonlyRootfs"], service
        assert shape["CapDrop"] == ["ALL"], service
        assert "no-new-privileges:true" in shape["SecurityOpt"], service
        assert compose("exec", "-T", service, "id", "-u").strip() == "10001", service
    assert "secret-key" not in compose("exec", "-T", "incidents", "ls", "/run/keys")
    seen_by_prober = compose("exec", "-T", "prober", "ls", "/run/keys") + compose("exec", "-T", "prober", "env")
    assert "DATABASE" not in seen_by_prober.upper().replace("-", "_")
    with pytest.raises(AssertionError, match="exit 1"):
        compose(
            "exec", "-T", "prober", "python", "-c", "import socket; socket.create_connection(('postgres', 5432), 3)"
        )


def test_it_stops_in_time_and_starts_again_with_everything_there(compose: Compose) -> None:
    body = {"type": "push", "name": "kept"}
    with compose.client() as client:
        assert client.post("/api/monitors", json=body).is_success
    began = time.monotonic()
    compose("stop")
    assert time.monotonic() - began < 20
    for service in SERVICES:
        assert compose.inspect(service, "{{.State.ExitCode}}") == "0", service
    compose.up()
    with compose.client() as client:
        names = [m["name"] for m in client.get("/api/monitors").json()["data"]["items"]]
    assert "kept" in names
