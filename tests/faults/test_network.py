"""A region that is cut off, a prober that has lost its own network, and name servers that are silent."""

import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path

import pytest

from farwatch_cli import processes
from farwatch_cli.embedded.nats import NatsServer
from farwatch_cli.processes import Command
from tests.faults.enduring import MONITORS, endure
from tests.faults.net import Namespace, namespace
from tests.faults.proxy import proxied
from tests.faults.site import Site, now_ms, open_site
from tests.faults.test_connections import place_of
from tests.integration.prober.misbehaving import DnsServer
from tests.support.servers import NatsProcess, server_folder
from tests.support.up import clean_environment
from tests.support.waiting import eventually

pytestmark = [pytest.mark.faults, pytest.mark.timeout(600)]
FAR = "far"


@pytest.fixture
def nats_server() -> Iterator[NatsProcess]:
    """With room for the streams of two regions."""
    with server_folder("nats") as folder:
        server = NatsProcess(folder)
        server.server = NatsServer(folder, regions=("local", FAR), open_access=True)
        server.start()
        try:
            yield server
        finally:
            server.stop()


@contextmanager
def prober_in(place: Namespace, nats_url: str, folder: Path, **settings: str) -> Iterator[None]:
    own = {"FARWATCH_REGION": FAR, "FARWATCH_NATS_URL": nats_url, "FARWATCH_HEALTH_PORT": "-1"}
    command = Command(
        "prober", place.command(sys.executable, "-m", "farwatch_prober"), clean_environment(**own, **settings), folder
    )
    with (folder / "prober-far.log").open("ab") as log:
        running = processes.start(command, log.fileno())
    try:
        yield
    finally:
        processes.stop(running, 15, 8)


@asynccontextmanager
async def far_site(
    folder: Path, nats: NatsProcess, place: Namespace, regions: tuple[str, ...], **settings: str
) -> AsyncIterator[Site]:
    """A Farwatch with a prober in the namespace: NATS by its first cable, the targets by its last."""
    first, last = place.cables[0], place.cables[-1]
    async with (
        proxied(place_of(nats.url), first.here) as proxy,
        open_site(folder, host="0.0.0.0", FARWATCH_NATS_URL=nats.url) as site,
    ):
        site.base = f"http://{last.here}:{site.targets.http.port}/"
        with prober_in(place, f"nats://{first.here}:{proxy.port}", folder, **settings):
            site.regions = regions
            await eventually(lambda: site.rows("select 1 from config.regions where name = $1", FAR), 30, 0.2)
            await site.add_monitors(MONITORS, regions=list(regions))
            await site.recovered(now_ms())
            site.began_ms = now_ms() // 1000 * 1000 + 1000
            yield site


async def test_a_region_is_cut_off_for_three_minutes(folder: Path, nats_server: NatsProcess) -> None:
    with namespace(cables=1) as place:
        async with far_site(folder, nats_server, place, ("local", FAR)) as site:
            verdict, count, seconds = await endure(site, "region cut off for 180 s", place.cables[0].cut(), 180)
    assert verdict.is_clean, verdict
    assert count.doubled == 0, count
    assert seconds <= 30


async def test_the_only_prober_loses_its_network(folder: Path, nats_server: NatsProcess) -> None:
    """It still reaches NATS, but nothing else: that is its own trouble, not that of everything it watches."""
    with namespace(cables=2) as place:
        names = DnsServer(host=place.cables[1].here)
        await names.start()
        try:
            resolvers = {"FARWATCH_RESOLVERS": f"{names.host}:{names.port}"}
            async with far_site(folder, nats_server, place, (FAR,), **resolvers) as site:
                title = "the only prober's own network down for 40 s"
                verdict, count, seconds = await endure(site, title, place.cables[1].cut(), 40)
        finally:
            names.stop()
    assert verdict.is_clean, verdict
    assert count.doubled == 0, count
    assert seconds <= 30


async def test_the_name_server_is_silent(folder: Path) -> None:
    names = DnsServer()
    names.records = {f"{name}.test A": ["127.0.0.1"] for name in MONITORS}
    names.records |= {f"{name}.test AAAA": [] for name in MONITORS}
    await names.start()

    @asynccontextmanager
    async def fault() -> AsyncIterator[None]:
        names.silent = True
        try:
            yield
        finally:
            names.silent = False

    try:
        async with open_site(folder, FARWATCH_RESOLVERS=f"127.0.0.1:{names.port}") as site:
            site.base = f"http://{{name}}.test:{site.targets.http.port}/"
            verdict, count, seconds = await endure(site, "the name server silent for 40 s", fault, 40)
    finally:
        names.stop()
    assert verdict.is_clean, verdict
    assert count.doubled == 0, count
    assert seconds <= 30
