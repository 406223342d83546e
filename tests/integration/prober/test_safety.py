"""What may not be reached is not reached: canary listeners see no connection, whatever the target is written like."""

import asyncio
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import pytest
from pydantic import ValidationError

from farwatch_events.results import CheckResult
from farwatch_prober.policy import AddressPolicy, parse_denied, parse_networks
from farwatch_runtime.secrets import SecretBox
from tests.integration.prober.conftest import Check
from tests.integration.prober.corpus import every_host
from tests.integration.prober.misbehaving import DnsServer, is_ipv6_here
from tests.support.http import HttpServer, Request, Response

ALLOWED = "127.0.0.5"
"""The one address of this machine that these tests leave open."""


@dataclass
class Canary:
    port: int
    connections: int = 0


@asynccontextmanager
async def listening_everywhere() -> AsyncIterator[Canary]:
    """Counts connections to any address of this machine, IPv4 and IPv6."""
    canary = Canary(0)

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        canary.connections += 1
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
        writer.close()

    server = await asyncio.start_server(serve, "0.0.0.0", 0)
    canary.port = server.sockets[0].getsockname()[1]
    servers = [server]
    if is_ipv6_here():
        servers.append(await asyncio.start_server(serve, "::", canary.port))
    try:
        yield canary
    finally:
        for each in servers:
            each.close()


@pytest.fixture
async def canary() -> AsyncIterator[Canary]:
    async with listening_everywhere() as listening:
        yield listening


@pytest.fixture
def policy() -> AddressPolicy:
    return AddressPolicy(deny=parse_networks(["loopback", "private"]), allow=parse_networks([ALLOWED]))


@pytest.fixture
async def open_target() -> AsyncIterator[HttpServer]:
    server = HttpServer(host=ALLOWED)
    await server.start()
    yield server
    await server.stop()


def assert_kept_out(result: CheckResult, written: str) -> None:
    """Blocked, or no address at all in the eyes of everybody."""
    assert result.outcome != "up", written
    assert result.error_class in ("blocked", "dns", "protocol"), (written, result.error_class, result.error)


async def all_at_once(check: Check, *asked: Mapping[str, Any]) -> list[CheckResult | ValidationError]:
    async def one(fields: Mapping[str, Any]) -> CheckResult | ValidationError:
        try:
            return await check(**fields)
        except ValidationError as error:  # not even a monitor
            return error

    return await asyncio.gather(*(one(fields) for fields in asked))


def test_the_corpus_is_large() -> None:
    assert len(every_host()) >= 200


@pytest.mark.parametrize("kind", ["http", "https", "port", "tls"])
async def test_no_spelling_gets_through(check: Check, canary: Canary, kind: str) -> None:
    hosts = every_host()
    asked: list[dict[str, Any]]
    if kind in ("http", "https"):
        asked = [{"type": "http", "url": f"{kind}://{host}:{canary.port}/"} for host in hosts]
    else:
        asked = [{"type": kind, "host": host, "port": canary.port} for host in hosts]
    results = await all_at_once(check, *asked)
    for host, result in zip(hosts, results, strict=True):
        if isinstance(result, CheckResult):
            assert_kept_out(result, host)
    blocked = sum(isinstance(result, CheckResult) and result.error_class == "blocked" for result in results)
    assert blocked >= 200
    assert canary.connections == 0


async def test_no_spelling_gets_through_by_a_redirect(check: Check, canary: Canary, open_target: HttpServer) -> None:
    hosts = [host for host in every_host() if host.isascii()]

    def elsewhere(request: Request) -> Response:
        return Response(302, headers={"Location": f"http://{hosts[int(request.path[1:])]}:{canary.port}/"})

    open_target.responder = elsewhere
    for start in range(0, len(hosts), 50):
        numbers = range(start, min(start + 50, len(hosts)))
        results = await all_at_once(check, *({"type": "http", "url": f"{open_target.url}{n}"} for n in numbers))
        for number, result in zip(numbers, results, strict=True):
            assert isinstance(result, CheckResult)
            assert result.outcome != "up"
            assert result.error_class in ("blocked", "dns", "redirect", "protocol"), (hosts[number], result.error)
    assert canary.connections == 0
    assert len(open_target.requests) == len(hosts)


async def test_no_name_leads_where_its_address_may_not(check: Check, canary: Canary, name_server: DnsServer) -> None:
    """Names with one closed address in every form that a name server can give it."""
    addresses = ("127.0.0.1", "10.0.0.1", "169.254.169.254", "0.0.0.0", "100.100.100.200")
    forms = ("::ffff:{}", "::{}", "64:ff9b::{}", "::ffff:0:{}", "2001:db8::5efe:{}")
    names = []
    for number, address in enumerate(addresses):
        name_server.records |= {f"a{number}.test A": [address], f"a{number}.test AAAA": []}
        names.append(f"a{number}.test")
        for place, form in enumerate(forms):
            name = f"q{number}-{place}.test"
            name_server.records |= {f"{name} A": [], f"{name} AAAA": [form.format(address)]}
            names.append(name)
    asked: list[dict[str, Any]] = [{"type": "http", "url": f"http://{name}:{canary.port}/"} for name in names]
    asked += [{"type": "port", "host": name, "port": canary.port} for name in names]
    asked += [{"type": "ping", "host": name} for name in names]
    asked += [{"type": "dns", "host": "www.test", "resolver": f"{name}:{canary.port}"} for name in names]
    for fields, result in zip(asked, await all_at_once(check, *asked), strict=True):
        assert isinstance(result, CheckResult)
        assert (result.outcome, result.error_class) == ("unknown", "blocked"), fields
    assert canary.connections == 0


class TestRebinding:
    """A name server that gives an open address to whoever asks first and a closed one to whoever asks again."""

    @pytest.fixture(autouse=True)
    def rebinding(self, name_server: DnsServer) -> None:
        turns: Iterator[str] = iter([ALLOWED, "127.0.0.1"] * 1000)
        name_server.records = {"evil.test AAAA": []}
        name_server.answer = lambda question: [next(turns)] if question == "evil.test A" else None

    async def test_the_address_that_was_vetted_is_the_one_that_is_dialled(
        self, check: Check, open_target: HttpServer
    ) -> None:
        async with closed_twin(open_target.port) as twin:
            results = [await check(type="http", url=f"http://evil.test:{open_target.port}/") for _ in range(20)]
        assert [result.error_class for result in results] == [None, "blocked"] * 10
        assert {result.address for result in results if result.outcome == "up"} == {ALLOWED}
        assert (len(open_target.requests), twin.connections) == (10, 0)

    async def test_each_hop_is_vetted_anew(self, check: Check, open_target: HttpServer) -> None:
        target = f"http://evil.test:{open_target.port}/again"
        open_target.responder = lambda request: Response(302, headers={"Location": target})
        async with closed_twin(open_target.port) as twin:
            result = await check(type="http", url=f"http://evil.test:{open_target.port}/")
        assert (result.outcome, result.error_class) == ("unknown", "blocked")
        assert (len(open_target.requests), twin.connections) == (1, 0)


@asynccontextmanager
async def closed_twin(port: int) -> AsyncIterator[Canary]:
    """A canary on the same port of an address that is closed."""
    twin = Canary(port)

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        twin.connections += 1
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", port)
    try:
        yield twin
    finally:
        server.close()


async def test_proxies_of_the_environment_are_ignored(
    check: Check, canary: Canary, open_target: HttpServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("http_proxy", "https_proxy", "all_proxy", "ALL_PROXY", "HTTPS_PROXY"):
        monkeypatch.setenv(name, f"http://127.0.0.1:{canary.port}")
    assert (await check(type="http", url=open_target.url)).outcome == "up"
    await check(type="http", url=f"https://{ALLOWED}:{open_target.port}/")
    assert canary.connections == 0


@pytest.mark.parametrize(
    "scheme", ["file", "gopher", "ftp", "dict", "smb", "ldap", "telnet", "scp", "data", "javascript"]
)
async def test_other_schemes_lead_nowhere(check: Check, canary: Canary, open_target: HttpServer, scheme: str) -> None:
    with pytest.raises(ValidationError, match="must start with http"):
        await check(type="http", url=f"{scheme}://127.0.0.1:{canary.port}/")
    open_target.response = Response(302, headers={"Location": f"{scheme}://127.0.0.1:{canary.port}/etc/passwd"})
    result = await check(type="http", url=open_target.url)
    assert (result.outcome, result.error_class) == ("down", "redirect")
    assert canary.connections == 0


@pytest.mark.parametrize("value", ["a\r\nX-Evil: 1", "a\nX-Evil: 1", "a\rX-Evil: 1", "a\0b"])
async def test_line_breaks_in_headers_are_refused_also_when_they_were_encrypted(
    check: Check, open_target: HttpServer, box: SecretBox, value: str
) -> None:
    with pytest.raises(ValidationError, match="must not contain line breaks"):
        await check(type="http", url=open_target.url, headers={"X-A": value})
    result = await check(type="http", url=open_target.url, headers={"X-Api-Key": box.encrypt(value)})
    assert (result.outcome, result.error_class) == ("unknown", "internal")
    assert "X-Evil" not in str(result.error)
    assert open_target.requests == []


async def test_line_breaks_in_a_redirect_do_not_become_headers(check: Check, open_target: HttpServer) -> None:
    open_target.script = [Response(302, headers={"Location": "/a%0d%0aX-Evil:%201?b\x0bc"})]
    assert (await check(type="http", url=open_target.url)).outcome == "up"
    assert open_target.requests[1].path.lower() == "/a%0d%0ax-evil:%201?b%0bc"
    assert "x-evil" not in open_target.requests[1].headers


class TestOwnServers:
    """NATS, PostgreSQL and whatever else FARWATCH_PROBE_DENY names with its port."""

    @pytest.fixture
    def policy(self, canary: Canary) -> AddressPolicy:
        denied, servers = parse_denied(["192.0.2.0/24", f"127.0.0.1:{canary.port}", f"[::1]:{canary.port}"])
        return AddressPolicy(deny=denied, allow=parse_networks(["0.0.0.0/0", "::/0"]), own=servers)

    async def test_they_are_closed_and_their_neighbours_are_not(
        self, check: Check, canary: Canary, http_target: HttpServer
    ) -> None:
        for host in ("127.0.0.1", "localhost", "[::1]", "[::ffff:127.0.0.1]", "0x7f000001"):
            result = await check(type="http", url=f"http://{host}:{canary.port}/")
            assert (result.outcome, result.error_class) == ("unknown", "blocked"), host
        assert canary.connections == 0
        assert (await check(type="http", url=http_target.url)).outcome == "up"


def test_what_is_denied_may_be_a_network_a_word_or_a_server() -> None:
    nets, servers = parse_denied(["private", "192.0.2.1", "fd00::/8", "db.internal:5432", "[fd00::1]:4222"])
    assert len(nets) == 7
    assert servers == (("db.internal", 5432), ("fd00::1", 4222))
    for bad in ("db.internal", "10.0.0.1:0", "10.0.0.1:99999", "a b:1"):
        with pytest.raises(ValueError, match="is no network"):
            parse_denied([bad])
