"""A small real HTTP server for tests: a target to monitor, or a sink that receives alerts."""

import asyncio
import json
import ssl
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Request:
    method: str
    path: str
    headers: dict[str, str]  # names in lower case
    body: bytes

    def json(self) -> Any:
        return json.loads(self.body)


@dataclass(frozen=True)
class Response:
    """`delay_seconds` passes before the first byte. `raw` replaces the whole answer, for broken ones."""

    status: int = 200
    body: bytes = b"ok"
    headers: dict[str, str] = field(default_factory=dict)
    delay_seconds: float = 0.0
    raw: bytes | None = None


Responder = Callable[[Request], Response | Awaitable[Response]]


class HttpServer:
    """Set `response` (always that), `script` (one answer each, then `response`) or `responder` (a function of it).

    `requests` are all received so far; `connections` counts accepted ones. `stop()` and `start()` keep the port.
    """

    def __init__(self, host: str = "127.0.0.1", tls: ssl.SSLContext | None = None) -> None:
        self.host = host
        self.port = 0
        self.requests: list[Request] = []
        self.connections = 0
        self.response = Response()
        self.script: list[Response] = []
        self.responder: Responder | None = None
        self._tls = tls
        self._server: asyncio.Server | None = None
        self._clients: set[asyncio.StreamWriter] = set()

    @property
    def url(self) -> str:
        return f"{'https' if self._tls else 'http'}://{self.host}:{self.port}/"

    async def start(self) -> None:
        self._server = await asyncio.start_server(
            self._serve, self.host, self.port, ssl=self._tls, reuse_address=True, backlog=4096
        )
        self.port = self._server.sockets[0].getsockname()[1]

    async def stop(self) -> None:
        """Connections are refused from now on, and open ones are cut."""
        if self._server is None:
            return
        self._server.close()
        for writer in list(self._clients):
            writer.transport.abort()
        self._server = None
        await asyncio.sleep(0)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        self._clients.add(writer)
        try:
            with suppress(ConnectionError, asyncio.IncompleteReadError, asyncio.LimitOverrunError, ssl.SSLError):
                while await self._answer_one(reader, writer):
                    pass
        finally:
            self._clients.discard(writer)
            writer.close()
            with suppress(ConnectionError, ssl.SSLError, TimeoutError):
                await writer.wait_closed()

    async def _answer_one(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        request = await _read_request(reader)
        if request is None:
            return False
        self.requests.append(request)
        response = await self._response(request)
        await asyncio.sleep(response.delay_seconds)
        writer.write(_bytes_of(response, request.method))
        await writer.drain()
        return response.raw is None and request.headers.get("connection", "").lower() != "close"

    async def _response(self, request: Request) -> Response:
        if self.responder is not None:
            answer = self.responder(request)
            return answer if isinstance(answer, Response) else await answer
        return self.script.pop(0) if self.script else self.response


async def _read_request(reader: asyncio.StreamReader) -> Request | None:
    head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
    first, *lines = head.rstrip("\r\n").split("\r\n")
    method, path, _version = first.split(" ", 2)
    headers = {name.strip().lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
    if headers.get("transfer-encoding", "").lower() == "chunked":
        return Request(method, path, headers, await _read_chunks(reader))
    return Request(method, path, headers, await reader.readexactly(int(headers.get("content-length", "0"))))


async def _read_chunks(reader: asyncio.StreamReader) -> bytes:
    body = b""
    while size := int((await reader.readline()).split(b";")[0], 16):
        body += await reader.readexactly(size)
        await reader.readline()
    await reader.readline()
    return body


def _bytes_of(response: Response, method: str) -> bytes:
    if response.raw is not None:
        return response.raw
    headers = {"Content-Type": "text/plain; charset=utf-8", "Content-Length": str(len(response.body))}
    lines = [f"HTTP/1.1 {response.status} Status", *(f"{k}: {v}" for k, v in (headers | response.headers).items())]
    return "\r\n".join([*lines, "", ""]).encode("latin-1") + (b"" if method == "HEAD" else response.body)
