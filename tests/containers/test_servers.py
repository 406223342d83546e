"""`farwatch up` on servers that are not its own: NATS and PostgreSQL in containers."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from testcontainers.core.container import DockerContainer
from testcontainers.core.wait_strategies import LogMessageWaitStrategy

from tests.support.http import HttpServer
from tests.support.up import Up
from tests.support.waiting import eventually

pytestmark = [pytest.mark.containers, pytest.mark.timeout(180)]


@pytest.fixture(scope="module")
def servers() -> Iterator[dict[str, str]]:
    os.environ.setdefault("TESTCONTAINERS_RYUK_DISABLED", "true")
    nats = (
        DockerContainer("nats:2.12-alpine")
        .with_command(["-js", "-sd", "/data"])
        .with_exposed_ports(4222)
        .waiting_for(LogMessageWaitStrategy("Server is ready"))
    )
    postgres = (
        DockerContainer("postgres:17-alpine")
        .with_env("POSTGRES_USER", "farwatch")
        .with_env("POSTGRES_PASSWORD", "of-this-test-only")
        .with_exposed_ports(5432)
        .waiting_for(LogMessageWaitStrategy("ready for start up"))
    )
    with nats, postgres:
        yield {
            "FARWATCH_NATS_URL": f"nats://127.0.0.1:{nats.get_exposed_port(4222)}",
            "FARWATCH_DATABASE_URL": f"postgresql://farwatch:of-this-test-only@127.0.0.1:"
            f"{postgres.get_exposed_port(5432)}/farwatch",
        }


async def test_up_uses_the_servers_it_is_given(
    servers: dict[str, str], tmp_path: Path, http_target: HttpServer
) -> None:
    up = Up(tmp_path, **servers).wait_ready()
    try:
        commands = " ".join(up.children().values())
        assert "nats-server" not in commands
        assert "postgres" not in commands
        with up.client() as client:
            body = {"type": "http", "name": "t", "url": http_target.url, "interval_seconds": 5}
            path = f"/api/monitors/{client.post('/api/monitors', json=body).json()['data']['id']}"

            await eventually(lambda: client.get(path).json()["data"]["state"] == "up", timeout_seconds=15)
    finally:
        assert up.stop() == 0
