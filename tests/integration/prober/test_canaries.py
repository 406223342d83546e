"""The prober believes itself until everything that used to answer is silent."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import dns.rcode
import pytest
import structlog

from farwatch_events.checks import DueCheck
from farwatch_events.monitor import parse_monitor
from farwatch_events.results import ErrorClass
from farwatch_prober.canaries import Canaries
from farwatch_prober.outcome import ProbeOutcome, failed
from farwatch_prober.policy import AddressPolicy, parse_networks
from farwatch_prober.reporting import Report
from farwatch_prober.resolver import Resolver
from farwatch_prober.steady import STEADY_CHECKS
from tests.integration.prober.conftest import system_files
from tests.integration.prober.misbehaving import DnsServer, answers, raw_server, refused_port


async def test_unhealthy_only_after_canaries_that_answered_are_gone(name_server: DnsServer, tmp_path: Path) -> None:
    name_server.records = {" NS": ["a.root."]}
    resolver = Resolver(system_files(tmp_path, ("127.0.0.1", name_server.port)))
    async with raw_server(answers(then="hang")) as port:
        places = [("127.0.0.1", port), ("127.0.0.1", refused_port())]
        canaries = Canaries(resolver, places, enabled=True, log=structlog.get_logger())
        await canaries.ask_all()
        await canaries.ask_all()
        assert canaries.condition.healthy
        name_server.stop()
        await canaries.ask_all()
        await canaries.ask_all()
        assert canaries.condition.healthy, "one of two still answers"
    await canaries.ask_all()
    assert canaries.condition.healthy, "once may be chance"
    await canaries.ask_all()
    assert not canaries.condition.healthy
    assert f"127.0.0.1:{name_server.port}" in str(canaries.condition.reason)
    assert str(places[1][1]) not in str(canaries.condition.reason)
    await resolver.close()


async def test_a_network_that_never_was_there_proves_nothing(tmp_path: Path) -> None:
    resolver = Resolver(system_files(tmp_path, ("127.0.0.1", refused_port())))
    canaries = Canaries(resolver, [], enabled=True, log=structlog.get_logger())
    for _ in range(3):
        await canaries.ask_all()
    assert canaries.condition.healthy
    await resolver.close()


async def test_a_failure_is_believed_only_while_the_canaries_answer(resolver: Resolver, name_server: DnsServer) -> None:
    time_ms = 1_000
    canaries = Canaries(resolver, [], enabled=True, log=structlog.get_logger(), now_ms=lambda: time_ms)
    assert await canaries.believes(0), "nothing has answered yet, so nothing speaks against it"
    await canaries.ask_all()
    assert await canaries.believes(0)

    name_server.rcodes = {". NS": dns.rcode.SERVFAIL}
    asked = len(name_server.asked)
    doubts = await asyncio.gather(*(canaries.believes(900) for _ in range(100)))
    assert sum(doubts) == 0
    assert not canaries.condition.healthy
    assert len(name_server.asked) - asked <= 4, "all of them wait for the same questions"

    name_server.rcodes, time_ms = {}, 5_000
    await canaries.ask_all()
    assert canaries.condition.healthy
    assert not await canaries.believes(4_999), "it began while the network was gone"
    assert await canaries.believes(5_000)


class Failing(dict[str, dns.rcode.Rcode]):
    """Every question fails but those in it."""

    def get(self, question: str, default: object = None) -> dns.rcode.Rcode:
        return super().get(question, dns.rcode.SERVFAIL)


@dataclass
class Shops:
    """Monitors of networks of their own, by their numbers; each is at a port of this machine that can be closed."""

    canaries: Canaries
    ports: dict[int, int]
    stack: AsyncExitStack
    connections: int = 0

    def see(self, number: int, *, fails: ErrorClass | None = None, believed: bool = True, at_ms: int = 0) -> Report:
        spec = parse_monitor({"type": "port", "name": "x", "host": f"shop-{number}.test", "port": self.ports[number]})
        due = DueCheck(monitor_id=number, config_version=1, slot_ms=0, spec=spec)
        outcome = ProbeOutcome("up", 1.0, address=f"11.0.{number}.1") if fails is None else failed(fails, "it failed")
        report = Report(due, 1, outcome, [(at_ms, outcome)], at_ms, at_ms)
        self.canaries.saw(report, believed)
        return report

    async def trusts(self, number: int, how: ErrorClass = ErrorClass.CONNECT_TIMEOUT) -> bool:
        return await self.canaries.trusts(self.see(number, fails=how, believed=False))

    async def close(self) -> None:
        await self.stack.aclose()


@asynccontextmanager
async def shops_of(resolver: Resolver, number: int, policy: AddressPolicy | None = None) -> AsyncIterator[Shops]:
    """So many, steadily up, and one question has been asked."""
    canaries = Canaries(resolver, [], enabled=True, log=structlog.get_logger(), now_ms=lambda: 10_000, policy=policy)
    async with AsyncExitStack() as stack:
        shops = Shops(canaries, {}, stack)

        async def count(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            shops.connections += 1
            writer.close()

        for each in range(1, number + 1):
            server = await asyncio.start_server(count, "127.0.0.1", 0)
            stack.callback(server.close)
            shops.ports[each] = server.sockets[0].getsockname()[1]
        for turn in range(STEADY_CHECKS):
            for each in shops.ports:
                shops.see(each, at_ms=turn * 1_000 + each * 100)
        await canaries.ask_all()
        yield shops


@pytest.fixture
async def shop_resolver(name_server: DnsServer, tmp_path: Path) -> AsyncIterator[Resolver]:
    """Knows the shops without asking anybody."""
    hosts = "127.0.0.1 " + " ".join(f"shop-{number}.test" for number in range(1, 10))
    made = Resolver(system_files(tmp_path, ("127.0.0.1", name_server.port), hosts=hosts))
    yield made
    await made.close()


async def test_own_monitors_alone_show_that_the_network_is_gone(
    name_server: DnsServer, shop_resolver: Resolver
) -> None:
    """Where the name servers refuse the question there is nothing else."""
    name_server.rcodes = Failing()
    async with shops_of(shop_resolver, 3) as shops:
        assert shops.canaries.counts() == {"name server": 0, "place": 0, "monitor": 3}
        assert await shops.trusts(1), "two others answer"
        assert shops.connections in (1, 3), "one is asked, and all of them if it was the one that had failed"
        await shops.close()
        assert not await shops.trusts(2)
        reason = shops.canaries.condition.reason
        assert reason is not None
        assert all(f".test:{port}" in reason for port in shops.ports.values())
        shops.see(3, at_ms=20_000)
        assert shops.canaries.condition.healthy, "one of them was up again"


async def test_one_or_two_own_monitors_are_told_although_everything_fails(
    name_server: DnsServer, shop_resolver: Resolver
) -> None:
    name_server.rcodes = Failing()
    async with shops_of(shop_resolver, 2) as shops:
        await shops.close()
        assert await shops.trusts(1)
        assert await shops.trusts(2)
        assert shops.canaries.condition.healthy


async def test_a_name_server_that_finds_its_way_shows_a_network(
    name_server: DnsServer, shop_resolver: Resolver
) -> None:
    """All monitors fail at once, and it is asked for something new: they are down."""
    async with shops_of(shop_resolver, 5) as shops:
        await shops.close()
        for number in shops.ports:
            assert await shops.trusts(number)
        assert shops.canaries.condition.healthy
        assert any(question.startswith("farwatch-") for question in name_server.asked)


async def test_a_name_server_that_answers_from_memory_shows_none(
    name_server: DnsServer, shop_resolver: Resolver
) -> None:
    async with shops_of(shop_resolver, 3) as shops:
        assert set(name_server.asked) == {". NS"}, "nothing is in doubt"
        await shops.close()
        name_server.rcodes = Failing({". NS": dns.rcode.NOERROR})
        assert not await shops.trusts(1)
        assert not shops.canaries.condition.healthy


async def test_while_only_names_are_gone_only_names_are_not_believed(
    name_server: DnsServer, shop_resolver: Resolver
) -> None:
    async with shops_of(shop_resolver, 1) as shops:
        name_server.rcodes = Failing()
        assert await shops.trusts(1), "refused by its target: the connection asked for meanwhile stands"
        assert not await shops.trusts(1, ErrorClass.DNS)
        assert shops.canaries.condition.healthy
        assert not shops.canaries.names_condition.healthy
        name_server.rcodes = {}
        await shops.canaries.ask_all()
        assert shops.canaries.names_condition.healthy


async def test_no_monitor_is_asked_without_need(shop_resolver: Resolver) -> None:
    async with shops_of(shop_resolver, 5) as shops:
        for _ in range(3):
            await shops.canaries.ask_all()
        assert shops.connections == 0
        for _ in range(4):
            assert await shops.trusts(1)
        assert shops.connections <= 4, "one a failure, each time another"


async def test_what_may_not_be_reached_is_not_asked(name_server: DnsServer, shop_resolver: Resolver) -> None:
    name_server.rcodes = Failing()
    closed = AddressPolicy(deny=parse_networks(["loopback"]))
    async with shops_of(shop_resolver, 3, closed) as shops:
        await shops.trusts(1)
        assert shops.connections == 0
