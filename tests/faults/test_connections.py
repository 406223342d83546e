"""A line between the services and a server that is slow, breaks, or stands open and carries nothing."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from tests.faults.enduring import endure
from tests.faults.proxy import TcpProxy, delayed, half_open, place_of, proxied, reset_again_and_again, through
from tests.faults.site import Site, open_site
from tests.support.servers import NatsProcess, PostgresProcess

pytestmark = [pytest.mark.faults, pytest.mark.timeout(400)]
HOLD_SECONDS = 20.0


@asynccontextmanager
async def behind_a_proxy(
    server: str, folder: Path, nats: NatsProcess, postgres: PostgresProcess
) -> AsyncIterator[tuple[Site, TcpProxy]]:
    urls = {"nats": nats.url, "postgres": postgres.url()}
    async with proxied(place_of(urls[server])) as proxy:
        urls[server] = through(urls[server], proxy)
        nats_url, database_url = urls["nats"], urls["postgres"]
        async with open_site(folder, FARWATCH_NATS_URL=nats_url, FARWATCH_DATABASE_URL=database_url) as site:
            site.database_url = postgres.url()
            yield site, proxy


@pytest.mark.parametrize("server", ["nats", "postgres"])
@pytest.mark.parametrize("kind", ["delay", "reset", "half-open"])
async def test_a_bad_line(
    folder: Path, nats_server: NatsProcess, own_postgres: PostgresProcess, server: str, kind: str
) -> None:
    async with behind_a_proxy(server, folder, nats_server, own_postgres) as (site, proxy):
        faults = {"delay": delayed(proxy, 0.25), "reset": reset_again_and_again(proxy), "half-open": half_open(proxy)}
        title = f"line to {server}: {kind} for {HOLD_SECONDS:g} s"
        verdict, count, seconds = await endure(site, title, faults[kind], HOLD_SECONDS)
    assert verdict.is_clean, verdict
    assert count.doubled == 0, count
    assert seconds <= 30
