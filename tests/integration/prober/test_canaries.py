"""The prober believes itself until everything that used to answer is silent."""

import asyncio
from pathlib import Path

import dns.rcode
import structlog

from farwatch_prober.canaries import Canaries
from farwatch_prober.resolver import Resolver
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
