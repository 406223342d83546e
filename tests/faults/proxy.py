"""A TCP proxy between a service and a server that delays, resets, or lets nothing through."""

import asyncio
import socket
import struct
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager, suppress
from dataclasses import dataclass, field
from urllib.parse import urlsplit, urlunsplit

_RESET_AT_CLOSE = struct.pack("ii", 1, 0)


@dataclass
class TcpProxy:
    """`delay_seconds` holds back each piece in each direction. While `half_open` connections stand and nothing moves
    on them: what is sent meanwhile is lost with its connection."""

    target: tuple[str, int]
    host: str = "127.0.0.1"
    port: int = 0
    delay_seconds: float = 0.0
    half_open: bool = False
    _server: asyncio.Server | None = None
    _writers: set[asyncio.StreamWriter] = field(default_factory=set)

    async def start(self) -> None:
        self._server = await asyncio.start_server(self._join, self.host, self.port)
        self.port = self._server.sockets[0].getsockname()[1]

    async def stop(self) -> None:
        if self._server is not None:
            self._server.close()
        self.reset()
        await asyncio.sleep(0)

    def reset(self) -> None:
        """Every connection ends with a reset, in both directions."""
        for writer in list(self._writers):
            sock = writer.get_extra_info("socket")
            with suppress(OSError):
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET_AT_CLOSE)
            writer.transport.abort()

    async def _join(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._writers.add(writer)
        other: asyncio.StreamWriter | None = None
        try:
            inner_reader, other = await asyncio.open_connection(*self.target)
            self._writers.add(other)
            await asyncio.gather(self._pump(reader, other), self._pump(inner_reader, writer))
        except OSError:
            pass
        finally:
            for each in (writer, other):
                if each is not None:
                    self._writers.discard(each)
                    each.close()

    async def _pump(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        pieces: asyncio.Queue[tuple[float, bytes]] = asyncio.Queue(maxsize=1000)
        writing = asyncio.create_task(self._write(pieces, writer))
        dead = False
        with suppress(OSError):
            while data := await reader.read(65536):
                dead = dead or self.half_open
                if not dead:  # once a piece is lost, what follows must not close the gap
                    await pieces.put((asyncio.get_running_loop().time() + self.delay_seconds, data))
        if dead or self.half_open:
            writing.cancel()
        else:
            await pieces.put((0.0, b""))
        await asyncio.gather(writing, return_exceptions=True)

    async def _write(self, pieces: asyncio.Queue[tuple[float, bytes]], writer: asyncio.StreamWriter) -> None:
        loop = asyncio.get_running_loop()
        with suppress(OSError):
            while True:
                due, data = await pieces.get()
                await asyncio.sleep(due - loop.time())
                if not data:
                    break
                writer.write(data)
                await writer.drain()
        writer.close()


@asynccontextmanager
async def proxied(target: tuple[str, int], host: str = "127.0.0.1") -> AsyncIterator[TcpProxy]:
    proxy = TcpProxy(target, host)
    await proxy.start()
    try:
        yield proxy
    finally:
        await proxy.stop()


Fault = Callable[[], AbstractAsyncContextManager[object]]


def delayed(proxy: TcpProxy, seconds: float) -> Fault:
    @asynccontextmanager
    async def fault() -> AsyncIterator[None]:
        proxy.delay_seconds = seconds
        try:
            yield
        finally:
            proxy.delay_seconds = 0.0

    return fault


def reset_again_and_again(proxy: TcpProxy, every_seconds: float = 1.0) -> Fault:
    async def resetting() -> None:
        while True:
            proxy.reset()
            await asyncio.sleep(every_seconds)

    @asynccontextmanager
    async def fault() -> AsyncIterator[None]:
        task = asyncio.create_task(resetting())
        try:
            yield
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    return fault


def half_open(proxy: TcpProxy) -> Fault:
    """Connections stand and carry nothing; new ones are taken and carry nothing either."""

    @asynccontextmanager
    async def fault() -> AsyncIterator[None]:
        proxy.half_open = True
        try:
            yield
        finally:
            proxy.half_open = False

    return fault


def through(url: str, proxy: TcpProxy) -> str:
    parts = urlsplit(url)
    login, _, _ = parts.netloc.rpartition("@")
    place = f"{proxy.host}:{proxy.port}"
    return urlunsplit(parts._replace(netloc=f"{login}@{place}" if login else place))


def place_of(url: str) -> tuple[str, int]:
    parts = urlsplit(url)
    return parts.hostname or "", parts.port or 0
