"""FARWATCH_PROBE_SOURCE_ADDRESS: every check type leaves from it, and so do questions to name servers."""

import asyncio
import socket
import struct
from collections.abc import AsyncIterator
from pathlib import Path
from typing import cast

import pytest
import structlog

from farwatch_events.checks import DueCheck
from farwatch_events.monitor import parse_monitor
from farwatch_events.results import CheckResult
from farwatch_prober.context import Tools
from farwatch_prober.curl import CurlEngine
from farwatch_prober.icmp import Pinger
from farwatch_prober.policy import AddressPolicy
from farwatch_prober.resolver import Resolver
from farwatch_prober.runner import Runner
from farwatch_prober.secrets import Revealer
from farwatch_runtime.clock import now_ms
from farwatch_runtime.secrets import SecretBox
from tests.integration.prober.conftest import system_files
from tests.support.waiting import eventually

SOURCE = "127.0.0.9"


class Named(asyncio.DatagramProtocol):
    """A name server that answers every question with no such name, and remembers who asked."""

    def __init__(self) -> None:
        self.askers: set[str] = set()
        self.transport: asyncio.DatagramTransport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast("asyncio.DatagramTransport", transport)  # uvloop's are of no such class

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        self.askers.add(addr[0])
        assert self.transport is not None
        self.transport.sendto(data[:2] + b"\x81\x83" + data[4:6] + bytes(6) + data[12:], addr)


@pytest.fixture
async def named() -> AsyncIterator[tuple[Named, int]]:
    loop = asyncio.get_running_loop()
    transport, protocol = await loop.create_datagram_endpoint(Named, local_addr=("127.0.0.1", 0))
    yield protocol, transport.get_extra_info("sockname")[1]
    transport.close()


@pytest.fixture
async def runner(named: tuple[Named, int], box: SecretBox, tmp_path: Path) -> AsyncIterator[Runner]:
    resolver = Resolver(system_files(tmp_path, ("127.0.0.1", named[1])), SOURCE)
    tools = Tools(resolver, AddressPolicy(), CurlEngine(None, SOURCE), Pinger(SOURCE), SOURCE, None)
    yield Runner(tools, Revealer(box), now_ms, structlog.get_logger())
    await tools.close()


async def checked(runner: Runner, **fields: object) -> CheckResult:
    base = {"name": "x", "interval_seconds": 60, "timeout_seconds": 3, "retries": 0}
    due = DueCheck(monitor_id=1, config_version=1, slot_ms=now_ms(), spec=parse_monitor(base | fields))
    return await runner.run(due, epoch=1)


async def test_name_servers_are_asked_from_it(runner: Runner, named: tuple[Named, int]) -> None:
    server, port = named
    own = await checked(runner, type="dns", host="a.test")
    other = await checked(runner, type="dns", host="b.test", resolver=f"127.0.0.1:{port}")
    assert (own.error_class, other.error_class) == ("dns", "dns")
    assert server.askers == {SOURCE}


@pytest.mark.parametrize("kind", ["http", "port"])
async def test_connections_leave_from_it(runner: Runner, kind: str) -> None:
    peers: list[str] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        peers.append(writer.get_extra_info("peername")[0])
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with server:
        port = server.sockets[0].getsockname()[1]
        target = {"url": f"http://127.0.0.1:{port}/"} if kind == "http" else {"host": "127.0.0.1", "port": port}
        result = await checked(runner, type=kind, **target)
        await eventually(lambda: peers)
    assert result.outcome == "up"
    assert set(peers) == {SOURCE}


async def test_pings_leave_from_it(runner: Runner) -> None:
    """Seen by a raw socket that hears every ICMP packet of this machine."""
    try:
        ear = socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_ICMP)
    except PermissionError:
        pytest.skip("no right to listen to ICMP on this machine")
    with ear:
        ear.setblocking(False)
        result = await checked(runner, type="ping", host="127.0.0.77", packets=1)
        if result.error_class == "internal":
            pytest.skip("no right to ping on this machine")
        assert result.outcome == "up"
        assert _askers(ear, "127.0.0.77") == {SOURCE}


def _askers(ear: socket.socket, target: str) -> set[str]:
    """Who sent echo requests to the address."""
    found: set[str] = set()
    while True:
        try:
            packet = ear.recv(2048)
        except BlockingIOError:
            return found
        source, destination = struct.unpack_from("!4s4s", packet, 12)
        header_bytes = (packet[0] & 15) * 4
        if socket.inet_ntoa(destination) == target and packet[header_bytes] == 8:
            found.add(socket.inet_ntoa(source))
