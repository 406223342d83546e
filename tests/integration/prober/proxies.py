"""A forwarding HTTP proxy and a SOCKS5 proxy, small and real."""

import asyncio
import base64
import ipaddress
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from tests.integration.prober.misbehaving import raw_server


@dataclass
class Proxy:
    """`names` lead to an address only the proxy knows. `asked` is what it was asked for."""

    names: dict[str, tuple[str, int]]
    login: tuple[str, str] | None = None
    refusal: bytes = b""
    asked: list[str] = field(default_factory=list)
    port: int = 0

    def place(self, host: str, port: int) -> tuple[str, int]:
        return self.names.get(host, (host, port))


async def _pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with suppress(ConnectionError):
        while data := await reader.read(65536):
            writer.write(data)
            await writer.drain()
    with suppress(OSError, RuntimeError):
        writer.write_eof()


async def _join(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, place: tuple[str, int], first: bytes = b""
) -> None:
    inner_reader, inner_writer = await asyncio.open_connection(*place)
    inner_writer.write(first)
    try:
        await asyncio.gather(_pump(reader, inner_writer), _pump(inner_reader, writer))
    finally:
        inner_writer.close()


@asynccontextmanager
async def http_proxy(proxy: Proxy) -> AsyncIterator[Proxy]:
    async def handler(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        line, *headers = head.decode().split("\r\n")
        method, target, _ = line.split(" ")
        proxy.asked.append(f"{method} {target}")
        if proxy.refusal:
            writer.write(proxy.refusal)
            return
        if proxy.login is not None and not _is_let_in(proxy.login, headers):
            writer.write(b"HTTP/1.1 407 Proxy Authentication Required\r\nContent-Length: 0\r\n\r\n")
            return
        if method == "CONNECT":
            host, _, port = target.rpartition(":")
            writer.write(b"HTTP/1.1 200 Connection established\r\n\r\n")
            await _join(reader, writer, proxy.place(host, int(port)))
            return
        parts = urlsplit(target)
        origin = f"{method} {parts.path or '/'} HTTP/1.1\r\n".encode() + head.partition(b"\r\n")[2]
        await _join(reader, writer, proxy.place(parts.hostname or "", parts.port or 80), origin)

    async with raw_server(handler) as port:
        proxy.port = port
        yield proxy


def _is_let_in(login: tuple[str, str], headers: list[str]) -> bool:
    wanted = "proxy-authorization: basic " + base64.b64encode(":".join(login).encode()).decode()
    return wanted.lower() in (header.lower() for header in headers)


@asynccontextmanager
async def socks_proxy(proxy: Proxy, reply: int = 0) -> AsyncIterator[Proxy]:
    async def handler(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        count = (await reader.readexactly(2))[1]
        await reader.readexactly(count)
        writer.write(b"\x05\x02" if proxy.login else b"\x05\x00")
        if proxy.login:
            user = await reader.readexactly((await reader.readexactly(2))[1])
            secret = await reader.readexactly((await reader.readexactly(1))[0])
            ok = (user.decode(), secret.decode()) == proxy.login
            writer.write(b"\x01\x00" if ok else b"\x01\x01")
            if not ok:
                return
        kind = (await reader.readexactly(4))[3]
        if kind == 3:
            host = (await reader.readexactly((await reader.readexactly(1))[0])).decode()
        else:
            host = str(ipaddress.ip_address(await reader.readexactly(4 if kind == 1 else 16)))
        port = int.from_bytes(await reader.readexactly(2), "big")
        proxy.asked.append(f"{host}:{port}")
        writer.write(b"\x05" + bytes([reply]) + b"\x00\x01" + b"\x00" * 6)
        if not reply:
            await _join(reader, writer, proxy.place(host, port))

    async with raw_server(handler) as port:
        proxy.port = port
        yield proxy
