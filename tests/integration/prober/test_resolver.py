"""Names: every way that name servers fail, and none of them holding up another name."""

import asyncio
import time
from collections.abc import AsyncIterator
from pathlib import Path

import dns.rcode
import pytest

from farwatch_prober import resolver as resolver_module
from farwatch_prober.outcome import ProbeFailure
from farwatch_prober.resolver import Resolver
from tests.integration.prober.conftest import system_files
from tests.integration.prober.misbehaving import DnsServer, refused_port
from tests.support.waiting import eventually


@pytest.fixture
async def second_server() -> AsyncIterator[DnsServer]:
    server = DnsServer(records={"www.test A": ["10.0.0.2"], "www.test AAAA": []})
    await server.start()
    yield server
    server.stop()


@pytest.fixture
async def both(name_server: DnsServer, second_server: DnsServer, tmp_path: Path) -> AsyncIterator[Resolver]:
    made = Resolver(system_files(tmp_path, ("127.0.0.1", name_server.port), ("127.0.0.1", second_server.port)))
    yield made
    await made.close()


def within(seconds: float) -> float:
    return asyncio.get_running_loop().time() + seconds


async def test_both_families_ipv6_first(resolver: Resolver, name_server: DnsServer) -> None:
    name_server.records = {"www.test A": ["10.0.0.1"], "www.test AAAA": ["2001:db8::1"]}
    assert await resolver.addresses("WWW.Test", "any", within(10)) == ["2001:db8::1", "10.0.0.1"]
    assert await resolver.addresses("www.test.", "ipv4", within(10)) == ["10.0.0.1"]


async def test_aliases(resolver: Resolver, name_server: DnsServer) -> None:
    name_server.records = {"www.test A": ["www.test. CNAME edge.test.", "edge.test. A 10.0.0.1"], "www.test AAAA": []}
    assert await resolver.addresses("www.test", "any", within(10)) == ["10.0.0.1"]
    name_server.records = {"www.test A": ["www.test. CNAME edge.test."], "www.test AAAA": []}
    with pytest.raises(ProbeFailure, match=r"www\.test is an alias for edge\.test, which has no IP address"):
        await resolver.addresses("www.test", "any", within(10))


@pytest.mark.parametrize(
    ("host", "sentence"),
    [
        ("gone.test", "The name gone.test does not exist"),
        ("broken.test", r"broken\.test could not be looked up: 127\.0\.0\.1:\d+ answered SERVFAIL"),
        ("refused.test", r"refused\.test could not be looked up: 127\.0\.0\.1:\d+ answered REFUSED"),
        ("silent.test", r"No name server answered for silent\.test within (500|4..) ms"),
        ("empty.test", r"empty\.test has no IP address"),
        ("bad..test", "not a possible host name"),
    ],
)
async def test_failures_are_told_apart(resolver: Resolver, name_server: DnsServer, host: str, sentence: str) -> None:
    for kind in ("A", "AAAA"):
        name_server.records |= {
            f"broken.test {kind}": dns.rcode.SERVFAIL, f"refused.test {kind}": dns.rcode.REFUSED,
            f"silent.test {kind}": None, f"empty.test {kind}": [],
        }  # fmt: skip
    with pytest.raises(ProbeFailure, match=sentence) as failure:
        await resolver.addresses(host, "any", within(0.5 if host.startswith("silent") else 10))
    assert failure.value.error_class == "dns"


async def test_one_family_that_is_silent_does_not_hide_the_other(resolver: Resolver, name_server: DnsServer) -> None:
    name_server.records = {"www.test A": ["10.0.0.1"], "www.test AAAA": None}
    started = time.monotonic()
    assert await resolver.addresses("www.test", "any", within(30)) == ["10.0.0.1"]
    assert time.monotonic() - started < 10


async def test_answers_too_large_for_udp_come_by_tcp(resolver: Resolver, name_server: DnsServer) -> None:
    name_server.only_by_tcp = True
    name_server.records = {"www.test A": [f"10.0.0.{n}" for n in range(1, 60)], "www.test AAAA": []}
    assert len(await resolver.addresses("www.test", "any", within(10))) == 59
    assert "www.test A tcp" in name_server.asked


@pytest.fixture
def no_hedge(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever waits for the next server's turn waits for too long."""
    monkeypatch.setattr(resolver_module, "HEDGE_AFTER_SECONDS", 60)


@pytest.mark.usefixtures("no_hedge")
async def test_servfail_moves_on_at_once(both: Resolver, name_server: DnsServer) -> None:
    name_server.records = {"www.test A": dns.rcode.SERVFAIL, "www.test AAAA": dns.rcode.REFUSED}
    assert await both.addresses("www.test", "any", within(10)) == ["10.0.0.2"]


async def test_a_dead_server_costs_a_second_once(
    both: Resolver, name_server: DnsServer, second_server: DnsServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    name_server.silent = True
    started = time.monotonic()
    assert await both.addresses("www.test", "ipv4", within(10)) == ["10.0.0.2"]
    assert time.monotonic() - started > 0.9
    with monkeypatch.context() as patch:
        patch.setattr(resolver_module, "HEDGE_AFTER_SECONDS", 60)
        assert await both.addresses("www.test", "ipv4", within(10)) == ["10.0.0.2"]
    name_server.silent = False
    name_server.records = {"www.test A": ["10.0.0.1"]}
    second_server.silent = True
    assert await both.addresses("www.test", "ipv4", within(10)) == ["10.0.0.1"]


@pytest.mark.usefixtures("no_hedge")
async def test_a_server_that_is_not_there_costs_nothing(second_server: DnsServer, tmp_path: Path) -> None:
    files = system_files(tmp_path, ("127.0.0.1", refused_port()), ("127.0.0.1", second_server.port))
    resolver = Resolver(files)
    assert await resolver.addresses("www.test", "any", within(10)) == ["10.0.0.2"]
    await resolver.close()


async def test_slow_names_hold_up_nobody(resolver: Resolver, name_server: DnsServer) -> None:
    slow = [f"slow{n}.test" for n in range(200)]
    name_server.records = {"fast.test A": ["10.0.0.1"], "fast.test AAAA": []}
    for name in slow:
        name_server.records |= {f"{name} A": None, f"{name} AAAA": None}

    waiting = [asyncio.create_task(resolver.addresses(name, "any", within(60))) for name in slow]
    await eventually(lambda: {f"{name} A" for name in slow} <= set(name_server.asked), 30)
    for _ in range(20):
        assert await resolver.addresses("fast.test", "any", within(10)) == ["10.0.0.1"]
    assert not any(task.done() for task in waiting)
    for task in waiting:
        task.cancel()
    await asyncio.gather(*waiting, return_exceptions=True)


async def test_many_questions_at_once_share_sockets(resolver: Resolver, name_server: DnsServer) -> None:
    names = [f"name{n}.test" for n in range(300)]
    name_server.records = {f"{name} A": ["10.0.0.1"] for name in names}
    found = await asyncio.gather(*(resolver.addresses(name, "ipv4", within(30)) for name in names))
    assert found == [["10.0.0.1"]] * len(names)
    assert len(name_server.askers) <= 3


async def test_lost_packets_are_sent_again(resolver: Resolver, name_server: DnsServer) -> None:
    name_server.records = {"www.test A": None}

    async def heal() -> None:
        await asyncio.sleep(0.5)
        name_server.records = {"www.test A": ["10.0.0.1"]}

    healing = asyncio.create_task(heal())
    assert await resolver.addresses("www.test", "ipv4", within(10)) == ["10.0.0.1"]
    assert set(name_server.asked) == {"www.test A"}
    assert len(name_server.asked) >= 2
    await healing


async def test_the_hosts_file_and_search_domains(name_server: DnsServer, tmp_path: Path) -> None:
    files = system_files(tmp_path, ("127.0.0.1", name_server.port), hosts="10.1.1.1 box\n::7 box")
    (tmp_path / "resolv.conf").write_text("search corp.test\noptions ndots:1")
    name_server.records = {"web.corp.test A": ["10.0.0.9"], "web.corp.test AAAA": []}
    resolver = Resolver(files)
    assert await resolver.addresses("Box", "any", within(10)) == ["10.1.1.1", "::7"]
    assert await resolver.addresses("box", "ipv6", within(10)) == ["::7"]
    assert await resolver.addresses("localhost", "any", within(10)) == ["127.0.0.1", "::1"]
    assert await resolver.addresses("web", "any", within(10)) == ["10.0.0.9"]
    assert await resolver.addresses("10.2.2.2", "any", within(10)) == ["10.2.2.2"]
    with pytest.raises(ProbeFailure, match="is not an IPv6 address"):
        await resolver.addresses("10.2.2.2", "ipv6", within(10))
    await resolver.close()


async def test_checks_of_one_name_share_the_question_in_flight(resolver: Resolver, name_server: DnsServer) -> None:
    name_server.records = {"www.test A": ["10.0.0.1"]}
    name_server.delay_seconds = 0.1
    found = await asyncio.gather(*(resolver.addresses("www.test", "ipv4", within(10)) for _ in range(50)))
    assert found == [["10.0.0.1"]] * 50
    assert name_server.asked == ["www.test A"]
    await resolver.addresses("www.test", "ipv4", within(10))
    assert len(name_server.asked) == 2
