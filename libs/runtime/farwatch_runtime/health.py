"""/healthz, /readyz and /metrics on a socket of their own: bounded, with time limits, closing after each answer."""

import asyncio
import hmac
import ipaddress
import json
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from http import HTTPStatus

from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, generate_latest

LARGEST_REQUEST_BYTES = 16 * 1024
REQUEST_TIMEOUT_SECONDS = 5.0
MAX_CONNECTIONS = 32
TEXT = "text/plain; charset=utf-8"
JSON = "application/json"


@dataclass
class Progress:
    max_age_seconds: float
    last: float

    def age(self, now: float) -> float:
        return now - self.last


@dataclass
class Health:
    """What a process says about itself. A hung loop makes no progress, so it turns unhealthy by itself."""

    name: str
    ready: bool = False
    stopping: bool = False
    progress: dict[str, Progress] = field(default_factory=dict)

    def watch(self, name: str, max_age_seconds: float) -> Callable[[], None]:
        entry = Progress(max_age_seconds, time.monotonic())
        self.progress[name] = entry

        def beat() -> None:
            entry.last = time.monotonic()

        return beat

    def forget(self, name: str) -> None:
        """That work is not ours any more: a standby makes no progress and is well."""
        self.progress.pop(name, None)

    def stale(self, now: float) -> dict[str, str]:
        return {
            name: f"no progress for {entry.age(now):.1f} s, allowed {entry.max_age_seconds:g} s"
            for name, entry in self.progress.items()
            if entry.age(now) > entry.max_age_seconds
        }


@dataclass(frozen=True)
class Answer:
    status: HTTPStatus
    body: bytes
    content_type: str = TEXT


@dataclass(frozen=True)
class Request:
    method: str
    path: str
    headers: Mapping[str, str]
    peer: str

    def is_local(self) -> bool:
        """From this machine itself. A forwarded request is from elsewhere, whatever its socket says."""
        if "x-forwarded-for" in self.headers or "forwarded" in self.headers:
            return False
        try:
            address = ipaddress.ip_address(self.peer.partition("%")[0])
        except ValueError:
            return False
        mapped = getattr(address, "ipv4_mapped", None)
        return bool((mapped or address).is_loopback)


def answer(request: Request, health: Health, registry: CollectorRegistry, metrics_token: str | None) -> Answer:
    if request.method not in ("GET", "HEAD"):
        return Answer(HTTPStatus.METHOD_NOT_ALLOWED, b"only GET\n")
    match request.path:
        case "/healthz":
            return answer_healthz(health, time.monotonic())
        case "/readyz":
            return answer_readyz(health)
        case "/metrics" if may_read_metrics(request, metrics_token):
            return Answer(HTTPStatus.OK, generate_latest(registry), CONTENT_TYPE_LATEST)
        case "/metrics":
            return Answer(HTTPStatus.UNAUTHORIZED, b"needs the bearer token of FARWATCH_METRICS_TOKEN\n")
    return Answer(HTTPStatus.NOT_FOUND, b"/healthz, /readyz or /metrics\n")


def answer_healthz(health: Health, now: float) -> Answer:
    stale = health.stale(now)
    body = {"service": health.name, "status": "stale" if stale else "ok", "stale": stale}
    status = HTTPStatus.SERVICE_UNAVAILABLE if stale else HTTPStatus.OK
    return Answer(status, json.dumps(body).encode() + b"\n", JSON)


def answer_readyz(health: Health) -> Answer:
    state = "stopping" if health.stopping else "ready" if health.ready else "starting"
    status = HTTPStatus.OK if state == "ready" else HTTPStatus.SERVICE_UNAVAILABLE
    return Answer(status, json.dumps({"service": health.name, "status": state}).encode() + b"\n", JSON)


def may_read_metrics(request: Request, token: str | None) -> bool:
    if request.is_local():
        return True
    given = request.headers.get("authorization", "")
    return token is not None and hmac.compare_digest(given.encode(), f"Bearer {token}".encode())


class HealthServer:
    """A few requests a second from probes and scrapers; anything odd is cut off."""

    def __init__(self, health: Health, registry: CollectorRegistry, metrics_token: str | None = None) -> None:
        self._health = health
        self._registry = registry
        self._metrics_token = metrics_token
        self._server: asyncio.Server | None = None
        self._open: set[asyncio.Task[None]] = set()

    async def start(self, host: str, port: int) -> int:
        """Listen, and return the port taken. Raises OSError when it cannot."""
        self._server = await asyncio.start_server(self._serve, host, port, limit=LARGEST_REQUEST_BYTES)
        taken: int = self._server.sockets[0].getsockname()[1]
        return taken

    async def close(self) -> None:
        if self._server is None:
            return
        self._server.close()
        for task in list(self._open):
            task.cancel()
        await asyncio.gather(*self._open, return_exceptions=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        if task is None or len(self._open) >= MAX_CONNECTIONS:
            writer.close()
            return
        self._open.add(task)
        try:
            async with asyncio.timeout(REQUEST_TIMEOUT_SECONDS):
                await self._answer_one(reader, writer)
        except (TimeoutError, OSError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
            pass
        finally:
            self._open.discard(task)
            writer.close()

    async def _answer_one(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        peer = writer.get_extra_info("peername")
        request = parse_request(head, peer[0] if peer else "")
        if request is None:
            result = Answer(HTTPStatus.BAD_REQUEST, b"bad request\n")
        else:
            result = answer(request, self._health, self._registry, self._metrics_token)
        writer.write(encode(result, with_body=request is None or request.method != "HEAD"))
        await writer.drain()


def parse_request(head: bytes, peer: str) -> Request | None:
    """The request line and headers, None when they make no sense."""
    first, *rest = head.decode("latin-1").split("\r\n")
    parts = first.split(" ")
    if len(parts) != 3 or not parts[2].startswith("HTTP/1."):
        return None
    pairs = (line.partition(":") for line in rest if line)
    headers = {name.strip().lower(): value.strip() for name, _, value in pairs}
    return Request(parts[0], parts[1].partition("?")[0], headers, peer)


def encode(result: Answer, *, with_body: bool) -> bytes:
    head = (
        f"HTTP/1.1 {result.status.value} {result.status.phrase}\r\n"
        f"Content-Type: {result.content_type}\r\nContent-Length: {len(result.body)}\r\n"
        "Cache-Control: no-store\r\nX-Content-Type-Options: nosniff\r\nConnection: close\r\n\r\n"
    )
    return head.encode("latin-1") + (result.body if with_body else b"")
