"""The connection itself: kept for ever, re-made when nats-py gives it up, logged when it comes and goes."""

import asyncio
import contextlib
import json
import ssl
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

import nats.errors
import structlog
from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.aio.subscription import Subscription as NatsSubscription

from farwatch_bus.errors import BusClosed, BusTimeout, ConnectionLost, MessageTooLarge, NoResponders, StreamError

CONNECT_TIMEOUT_SECONDS = 2
RECONNECT_WAIT_SECONDS = 0.25
PING_INTERVAL_SECONDS = 3
PINGS_MISSED = 2
FLUSH_TIMEOUT_SECONDS = 2.0
CLOSE_TIMEOUT_SECONDS = 2.0
API_TIMEOUT_SECONDS = 5.0
WATCH_SECONDS = 0.5
STUCK_SECONDS = 30.0
REPEAT_LOG_SECONDS = 10.0
UNBOUNDED = (-1, -1)

RawHandler = Callable[[Msg], Awaitable[None]]
LOST = (nats.errors.ConnectionClosedError, nats.errors.ConnectionDrainingError, nats.errors.OutboundBufferLimitError)

log = structlog.get_logger("farwatch_bus")


@dataclass(frozen=True)
class Address:
    """Where and as whom to connect. `tls` wins over the files."""

    url: str
    name: str
    user: str | None = None
    password: str | None = field(default=None, repr=False)
    domain: str | None = None
    tls: ssl.SSLContext | None = None
    ca_file: str | None = None
    cert_file: str | None = None
    key_file: str | None = None

    def servers(self) -> list[str]:
        """Raises ValueError, without the text, which may hold a password. nats-py would spin on an empty list."""
        servers = [part.strip() for part in self.url.split(",") if part.strip()]
        if not servers or not all(is_server(server) for server in servers):
            raise ValueError("the NATS URL has to be like nats://host:4222, or several of them separated by commas")
        return servers

    def wants_tls(self) -> bool:
        named = any(server.startswith(("tls://", "wss://")) for server in self.servers())
        return named or self.tls is not None or bool(self.ca_file or self.cert_file)

    def tls_context(self) -> ssl.SSLContext | None:
        if self.tls is not None or not (self.ca_file or self.cert_file):
            return self.tls
        context = ssl.create_default_context(cafile=self.ca_file)
        if self.cert_file:
            context.load_cert_chain(self.cert_file, self.key_file)
        return context

    def inbox_prefix(self) -> str:
        """Each user has inboxes of its own, so that permissions can keep one from reading another's answers."""
        return f"_INBOX.{self.user}" if self.user else "_INBOX"

    def api_prefix(self) -> str:
        return f"$JS.{self.domain}.API" if self.domain else "$JS.API"


def is_server(text: str) -> bool:
    try:
        parts = urlsplit(text)
        _ = parts.port
    except ValueError:
        return False
    return parts.scheme in ("nats", "tls", "ws", "wss") and bool(parts.hostname)


def _cancels() -> int:
    task = asyncio.current_task()
    return task.cancelling() if task else 0


def _insist_on_cancelling(before: int) -> None:
    """Until Python 3.12 wait_for, which nats-py asks with, forgets a cancellation that meets the answer: whoever
    waits for the cancelled task to end would wait for ever."""
    if _cancels() > before:
        raise asyncio.CancelledError


class Subscription:
    """Interest in a subject that outlives any one connection."""

    def __init__(self, link: "Link", subject: str, queue: str, handler: RawHandler, limits: tuple[int, int]) -> None:
        self.subject = subject
        self._link = link
        self._queue = queue
        self._handler = handler
        self._limits = limits
        self._current: NatsSubscription | None = None

    async def attach(self, client: Client) -> None:
        messages, size = self._limits
        self._current = await client.subscribe(
            self.subject, self._queue, self._handler, pending_msgs_limit=messages, pending_bytes_limit=size
        )

    async def unsubscribe(self) -> None:
        self._link.forget(self)
        if self._current is not None:
            with contextlib.suppress(nats.errors.Error):
                await self._current.unsubscribe()


class Link:
    """One connection to NATS. `open` it once; it reconnects until `close`."""

    def __init__(self, address: Address) -> None:
        self.address = address
        self._client = Client()
        self._servers = address.servers()
        self._tls = address.tls_context()
        self._subscriptions: list[Subscription] = []
        self._reconnect_hooks: list[Callable[[], None]] = []
        self._up = asyncio.Event()
        self._closing = False
        self._watcher: asyncio.Task[None] | None = None
        self._down_since = self._last_attempt = time.monotonic()
        self._last_logged: dict[str, float] = {}
        self._asking: set[asyncio.Timeout] = set()

    @property
    def connected(self) -> bool:
        return self._client.is_connected and not self._closing

    @property
    def closed(self) -> bool:
        return self._closing

    async def open(self, stop: asyncio.Event | None = None) -> None:
        """Raises BusClosed when `stop` is set before a server answers."""
        connecting = asyncio.create_task(self._connect())
        stopping = asyncio.create_task(stop.wait() if stop else asyncio.Event().wait())
        try:
            await asyncio.wait([connecting, stopping], return_when=asyncio.FIRST_COMPLETED)
            if not connecting.done():
                raise BusClosed("stopped while connecting to NATS")
            await connecting
        finally:
            connecting.cancel()
            stopping.cancel()
        self._watcher = asyncio.create_task(self._watch(), name="bus-watch")

    async def close(self) -> None:
        if self._closing:
            return
        self._closing = True
        self._up.clear()
        if self._watcher:
            self._watcher.cancel()
            await asyncio.gather(self._watcher, return_exceptions=True)
        await self._discard(self._client)

    async def wait_connected(self, timeout_seconds: float) -> bool:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(timeout_seconds):
                await self._up.wait()
        return self.connected

    def on_reconnect(self, hook: Callable[[], None]) -> Callable[[], None]:
        """Call `hook` after each reconnection. Returns what takes it back."""
        self._reconnect_hooks.append(hook)
        return lambda: self._reconnect_hooks.remove(hook)

    # Messages

    def inbox(self) -> str:
        return self._client.new_inbox()

    async def listen(
        self, subject: str, handler: RawHandler, queue: str = "", limits: tuple[int, int] = UNBOUNDED
    ) -> Subscription:
        """`limits` are messages and bytes waiting for the handler; past them nats-py drops.

        Unbounded is for those who bound what they ask for and would not notice a drop.
        """
        subscription = Subscription(self, subject, queue, handler, limits)
        self._subscriptions.append(subscription)
        if not self._client.is_closed:
            await subscription.attach(self._client)
        return subscription

    def forget(self, subscription: Subscription) -> None:
        with contextlib.suppress(ValueError):
            self._subscriptions.remove(subscription)

    async def send(self, subject: str, data: bytes, reply: str = "", headers: dict[str, str] | None = None) -> bool:
        """Send if connected. False: surely not sent. True promises nothing. Raises MessageTooLarge."""
        if not self.connected:
            return False
        try:
            await self._client.publish(subject, data, reply, headers)
        except LOST:
            return False
        except nats.errors.MaxPayloadError:
            raise MessageTooLarge(len(data)) from None
        return True

    async def send_ack(self, subject: str, payload: bytes, *, keep: bool) -> None:
        """While disconnected, what is to `keep` waits in nats-py's buffer (2 MB); beyond that a redelivery mends it."""
        if keep or self.connected:
            with contextlib.suppress(*LOST):
                await self._client.publish(subject, payload)

    async def request(
        self, subject: str, data: bytes, timeout_seconds: float, headers: dict[str, str] | None = None
    ) -> Msg:
        """Waits for the connection first, within the same time, so that no stale request waits in a buffer.

        Raises NoResponders, MessageTooLarge, BusTimeout, and ConnectionLost at once when the server goes.
        """
        due = asyncio.get_running_loop().time() + timeout_seconds
        if not self.connected and not await self.wait_connected(timeout_seconds):
            raise ConnectionLost(f"{subject}: not connected to NATS")
        client, scope = self._client, asyncio.timeout_at(due)
        cancels = _cancels()
        self._asking.add(scope)
        try:
            async with scope:
                # The longer time of nats-py never comes to pass.
                answer = await client.request(subject, data, timeout_seconds + 60, headers=headers)
            _insist_on_cancelling(cancels)
            return answer
        except TimeoutError:
            if client is self._client and self.connected:
                raise BusTimeout(f"{subject}: no answer within {timeout_seconds:g} s") from None
            raise ConnectionLost(f"{subject}: the connection to NATS was lost") from None
        except nats.errors.NoRespondersError:
            raise NoResponders(f"{subject}: nobody answers") from None
        except nats.errors.MaxPayloadError:
            raise MessageTooLarge(len(data)) from None
        except LOST:
            raise ConnectionLost(f"{subject}: the connection to NATS was lost") from None
        finally:
            self._asking.discard(scope)

    async def api(
        self, verb: str, payload: object = None, timeout_seconds: float = API_TIMEOUT_SECONDS
    ) -> dict[str, Any]:
        """Ask JetStream's API, such as `STREAM.INFO.EVENTS`. Raises StreamError, NoResponders or BusTimeout.

        Asks again when the server goes away meanwhile, which every verb we use bears.
        """
        data = b"" if payload is None else json.dumps(payload).encode()
        due = time.monotonic() + timeout_seconds
        while True:
            try:
                reply = await self.request(f"{self.address.api_prefix()}.{verb}", data, due - time.monotonic())
                break
            except ConnectionLost:
                if time.monotonic() >= due:
                    raise
        answer: dict[str, Any] = json.loads(reply.data)
        if error := answer.get("error"):
            raise StreamError(error.get("description", ""), error.get("code", 0), error.get("err_code", 0))
        return answer

    # Keeping it up

    async def _connect(self) -> None:
        client = Client()
        try:
            await client.connect(
                servers=self._servers,
                name=self.address.name,
                user=self.address.user,
                password=self._password_for(client),
                tls=self._tls,
                inbox_prefix=self.address.inbox_prefix(),
                error_cb=self._on_error,
                disconnected_cb=self._on_disconnected,
                reconnected_cb=self._on_reconnected,
                connect_timeout=CONNECT_TIMEOUT_SECONDS,
                # nats-py waits this long between attempts; it annotates int and takes any number.
                reconnect_time_wait=RECONNECT_WAIT_SECONDS,  # type: ignore[arg-type]
                max_reconnect_attempts=-1,
                ping_interval=PING_INTERVAL_SECONDS,
                max_outstanding_pings=PINGS_MISSED,
                flush_timeout=FLUSH_TIMEOUT_SECONDS,
            )
            for subscription in self._subscriptions:
                await subscription.attach(client)
        except BaseException:
            await self._discard(client)
            raise
        self._client = client
        self._came_up("bus_connected")

    def _password_for(self, client: Client) -> Callable[[], str] | None:
        """nats-py follows the server on whether to encrypt; a password that was to be encrypted must not."""
        password, secured = self.address.password, self.address.wants_tls()
        if password is None:
            return None

        def give() -> str:
            if secured and not client._server_info.get("tls_required"):
                raise nats.errors.Error("TLS was asked for and the server does not offer it")
            return password

        return give

    def _came_up(self, event: str) -> None:
        url = self._client.connected_url
        server = f"{url.hostname}:{url.port}" if url else ""
        log.info(event, server=server, after_seconds=round(time.monotonic() - self._down_since, 2))
        self._last_logged.clear()
        self._up.set()
        for hook in self._reconnect_hooks[:]:
            hook()

    async def _watch(self) -> None:
        """nats-py closes for good on most errors the server sends, and can lose its reconnecting task: begin anew."""
        while True:
            await asyncio.sleep(WATCH_SECONDS)
            now = time.monotonic()
            stuck = now - max(self._down_since, self._last_attempt) > STUCK_SECONDS
            if self._client.is_connected or not (self._client.is_closed or stuck):
                continue
            self._up.clear()
            log.warning("bus_connecting_anew", stuck=stuck)
            await self._discard(self._client)
            await self._connect()

    def _give_up_asking(self) -> None:
        """The answers will not come: end the waiting now instead of at its time."""
        now = asyncio.get_running_loop().time()
        for scope in list(self._asking):
            if not scope.expired():
                scope.reschedule(now)

    async def _discard(self, client: Client) -> None:
        with contextlib.suppress(Exception):
            async with asyncio.timeout(CLOSE_TIMEOUT_SECONDS):
                if client.is_connected:
                    await client.flush(timeout=1)
                await client.close()

    async def _on_disconnected(self) -> None:
        self._up.clear()
        self._down_since = time.monotonic()
        self._give_up_asking()
        if not self._closing:
            log.warning("bus_disconnected")

    async def _on_reconnected(self) -> None:
        self._came_up("bus_reconnected")

    async def _on_error(self, error: Exception) -> None:
        """Called for each failed attempt too, four times a second, so the same line is not repeated at once."""
        self._last_attempt = now = time.monotonic()
        text = str(error) or type(error).__name__
        if self._closing or now - self._last_logged.get(text, -REPEAT_LOG_SECONDS) < REPEAT_LOG_SECONDS:
            return
        if len(self._last_logged) > 100:
            self._last_logged.clear()
        self._last_logged[text] = now
        log.warning("bus_error", error=text, kind=type(error).__name__)
