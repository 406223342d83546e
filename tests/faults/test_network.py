"""A region that is cut off, a prober that has lost its own network, and name servers that are silent."""

import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any

import dns.rcode
import pytest

from farwatch_cli import processes
from farwatch_cli.embedded.nats import NatsServer
from farwatch_cli.processes import Command
from farwatch_prober.steady import STEADY_CHECKS
from tests.faults.enduring import MONITORS, Fault, endure
from tests.faults.judge import Outage
from tests.faults.net import Namespace, namespace
from tests.faults.proxy import place_of, proxied
from tests.faults.site import Site, now_ms, open_site, report
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
    folder: Path, nats: NatsProcess, place: Namespace, regions: tuple[str, ...], host: str = "", **settings: str
) -> AsyncIterator[Site]:
    """A Farwatch with a prober in the namespace: NATS by its first cable, the targets by its last, or at `host`."""
    first, last = place.cables[0], place.cables[-1]
    async with (
        proxied(place_of(nats.url), first.here) as proxy,
        open_site(folder, host="0.0.0.0", FARWATCH_NATS_URL=nats.url) as site,
    ):
        site.base = f"http://{host or last.here}:{site.targets.http.port}/"
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


HOSTS = {"steady": 2, "steady-too": 3, "within": 4, "before": 2, "ends-within": 3}
"""The cable that leads to each target."""


class OnlyKnown(dict[str, dns.rcode.Rcode]):
    """A name server that answers what it has in memory, the hosts above among it, and cannot find out anything."""

    def __init__(self, *in_memory: str) -> None:
        self._in_memory = in_memory

    def get(self, question: str, default: Any = None) -> Any:
        is_known = question in self._in_memory or question.partition(" ")[0].endswith(".test")
        return None if is_known else dns.rcode.SERVFAIL


@asynccontextmanager
async def three_hosts(
    folder: Path, nats: NatsProcess, **fields: Any
) -> AsyncIterator[tuple[Site, DnsServer, Namespace]]:
    """The only prober watches targets on hosts of three networks by their names, and all of them are steadily up."""
    with namespace(cables=5) as place:
        names = DnsServer(host=place.cables[1].here, **fields)
        for name, number in HOSTS.items():
            names.records |= {f"{name}.test A": [place.cables[number].here], f"{name}.test AAAA": []}
        await names.start()
        resolvers = {"FARWATCH_RESOLVERS": f"{names.host}:{names.port}"}
        try:
            async with far_site(folder, nats, place, (FAR,), "{name}.test", **resolvers) as site:
                await eventually(lambda: _steady(site), 120, 0.5)
                yield site, names, place
        finally:
            names.stop()


async def _steady(site: Site) -> bool:
    """Each was up often enough since anything was down last."""
    rows = await site.rows(
        "select count(*) as ups from health.check_results where outcome = 'up' and slot > coalesce("
        "(select max(slot) from health.check_results where outcome = 'down'), '-infinity') group by monitor_id"
    )
    return len(rows) == len(MONITORS) and all(row["ups"] > STEADY_CHECKS for row in rows)


def cables_cut(place: Namespace, *numbers: int) -> Fault:
    @asynccontextmanager
    async def fault() -> AsyncIterator[None]:
        async with AsyncExitStack() as stack:
            for number in numbers:
                await stack.enter_async_context(place.cables[number].cut()())
            yield

    return fault


async def test_a_name_server_answers_from_memory_while_the_network_is_gone(
    folder: Path, nats_server: NatsProcess
) -> None:
    """All that is left as a witness are own monitors."""
    async with three_hosts(folder, nats_server) as (site, names, place):

        @asynccontextmanager
        async def fault() -> AsyncIterator[None]:
            async with cables_cut(place, 2, 3, 4)():
                names.rcodes = OnlyKnown(". NS")
                try:
                    yield
                finally:
                    names.rcodes = {}

        title = "the only prober's network down for 40 s, its name server answers from memory"
        verdict, count, seconds = await endure(site, title, fault, 40)
        unbelieved = await site.rows("select 1 from health.check_results where outcome = 'unknown'")
    assert verdict.is_clean, verdict
    assert unbelieved
    assert count.doubled == 0, count
    assert seconds <= 30


async def outage_of(site: Site, place: Namespace, *numbers: int) -> None:
    """These hosts are gone until all their monitors are down, and come back: that is the truth."""
    gone = [name for name, number in HOSTS.items() if number in numbers]
    began_ms = now_ms()
    async with cables_cut(place, *numbers)():
        await site.until_down(*gone)
    site.targets.outages += [Outage(name, began_ms, now_ms()) for name in gone]
    await site.settled()


async def test_every_host_is_gone_and_the_network_is_there(folder: Path, nats_server: NatsProcess) -> None:
    """The name server finds its way: an outage of everything that is watched is told."""
    async with three_hosts(folder, nats_server) as (site, _, place):
        await outage_of(site, place, 2, 3, 4)
        verdict, count = await site.verdict(), await site.slots()
        report("all hosts gone, the prober's network is there", verdict, count, {})
    assert verdict.outages == len(MONITORS)
    assert verdict.is_clean, verdict
    assert count.doubled == 0, count


async def test_own_monitors_are_the_only_canaries(folder: Path, nats_server: NatsProcess) -> None:
    """The name server never answers the question that is put to it. One host gone is an outage, all of them are the
    prober's own trouble."""
    async with three_hosts(folder, nats_server, rcodes=OnlyKnown()) as (site, _, place):
        await outage_of(site, place, 4)
        await eventually(lambda: _steady(site), 120, 0.5)
        title = "the only prober's network down for 40 s, without a name server as canary"
        verdict, count, seconds = await endure(site, title, cables_cut(place, 2, 3, 4), 40)
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
