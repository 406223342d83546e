"""What stands before every route: limits on what comes in, headers on what goes out, figures about both."""

import asyncio
import time
from collections.abc import Callable

from prometheus_client import CollectorRegistry, Counter, Histogram
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from farwatch_api import envelope

BODY_MAX_BYTES = 1024 * 1024
BODY_SECONDS = 20.0
HEADERS_MAX_BYTES = 64 * 1024

CONTENT_SECURITY_POLICY = (
    "default-src 'self'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; "
    "connect-src 'self'; font-src 'self'; object-src 'none'; base-uri 'none'; form-action 'self'; "
    "frame-ancestors 'none'"
)
SECURITY_HEADERS: dict[bytes, bytes] = {
    b"content-security-policy": CONTENT_SECURITY_POLICY.encode(),
    b"x-content-type-options": b"nosniff",
    b"x-frame-options": b"DENY",
    b"referrer-policy": b"same-origin",
    b"cross-origin-opener-policy": b"same-origin",
    b"permissions-policy": b"camera=(), microphone=(), geolocation=()",
}


class SecurityHeaders:
    """Adds the headers that keep browsers from being used against us, unless a route set its own."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = list(message.get("headers", []))
                present = {name.lower() for name, _ in headers}
                headers += [(name, value) for name, value in SECURITY_HEADERS.items() if name not in present]
                if b"cache-control" not in present:
                    headers.append((b"cache-control", b"no-store"))
                message = {**message, "headers": headers}
            await send(message)

        await self.app(scope, receive, send_with_headers)


class WholeBody:
    """Reads the body before anything else runs: 413 beyond 1 MiB, 408 when it does not come.

    Keeping it in `scope["farwatch.body"]` lets the CSRF check look into a form that the route will read again.
    """

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        if b"\0" in scope["path"].encode("utf-8", "replace") or b"%00" in scope.get("query_string", b""):
            await envelope.failure(400, "The address must not contain the NUL character.")(scope, receive, send)
            return
        if sum(len(name) + len(value) for name, value in scope["headers"]) > HEADERS_MAX_BYTES:
            await envelope.failure(431, "The headers of the request are larger than 64 KiB.")(scope, receive, send)
            return
        try:
            async with asyncio.timeout(BODY_SECONDS):
                body = await read_body(scope, receive)
        except TimeoutError:
            await envelope.failure(408, "The request did not arrive in time.")(scope, receive, send)
            return
        if body is None:
            response = envelope.failure(413, "The request is larger than 1 MiB.", headers={"Connection": "close"})
            await response(scope, receive, send)
            return
        scope["farwatch.body"] = body
        await self.app(scope, replay(body, receive), send)


async def read_body(scope: Scope, receive: Receive) -> bytes | None:
    """None when it is too large. A client that leaves half-way has sent what it has sent."""
    announced = dict(scope["headers"]).get(b"content-length", b"0")
    if not announced.isdigit() or int(announced[:20]) > BODY_MAX_BYTES:
        return None
    body = bytearray()
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            return bytes(body)
        body += message.get("body", b"")
        if len(body) > BODY_MAX_BYTES:
            return None
        if not message.get("more_body", False):
            return bytes(body)


def replay(body: bytes, receive: Receive) -> Receive:
    given = False

    async def receive_again() -> Message:
        nonlocal given
        if given:
            return await receive()
        given = True
        return {"type": "http.request", "body": body, "more_body": False}

    return receive_again


class Figures:
    """Counts requests and their time by the pattern of the route: a path may hold an id or a secret."""

    def __init__(
        self, app: ASGIApp, registry: CollectorRegistry, clock: Callable[[], float] = time.perf_counter
    ) -> None:
        self.app = app
        self._clock = clock
        self._requests = Counter(
            "farwatch_api_requests", "Requests answered", ["method", "route", "status"], registry=registry
        )
        self._seconds = Histogram(
            "farwatch_api_request_seconds",
            "Time until the answer began",
            ["route"],
            buckets=(0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 10),
            registry=registry,
        )

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        began = self._clock()

        async def send_and_count(message: Message) -> None:
            if message["type"] == "http.response.start":
                route = getattr(scope.get("route"), "path", "(none)")
                self._requests.labels(scope["method"], route, str(message["status"])).inc()
                self._seconds.labels(route).observe(self._clock() - began)
            await send(message)

        await self.app(scope, receive, send_and_count)
