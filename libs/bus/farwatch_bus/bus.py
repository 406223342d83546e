"""The bus as services use it."""

import asyncio
import ssl
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Protocol, Self, TypeVar
from weakref import WeakSet

import structlog
from nats.aio.msg import Msg

from farwatch_bus.errors import RemoteFailure
from farwatch_bus.leases import Lease
from farwatch_bus.link import API_TIMEOUT_SECONDS, Address, Link, Subscription
from farwatch_bus.message import Message
from farwatch_bus.publisher import DEADLINE_SECONDS, WINDOW_BYTES, Publisher
from farwatch_bus.puller import Puller
from farwatch_bus.reader import Reader

HANDLER_LIMITS = (65_536, 64 * 1024 * 1024)
MAX_CONCURRENT_ANSWERS = 64
FAILURE_HEADER = "Farwatch-Failure"

Handler = Callable[[Message], Awaitable[None]]
log = structlog.get_logger("farwatch_bus")


class Closable(Protocol):
    async def close(self) -> None: ...


ClosableT = TypeVar("ClosableT", bound=Closable)


class Bus:
    """A connection to NATS that never gives up. Make it with `Bus.connect`."""

    def __init__(self, link: Link) -> None:
        self._link = link
        self._closables: WeakSet[Closable] = WeakSet()
        self._answers: set[asyncio.Task[None]] = set()

    @classmethod
    async def connect(
        cls,
        url: str,
        *,
        name: str,
        user: str | None = None,
        password: str | None = None,
        domain: str | None = None,
        tls: ssl.SSLContext | None = None,
        ca_file: str | None = None,
        cert_file: str | None = None,
        key_file: str | None = None,
        stop: asyncio.Event | None = None,
    ) -> Self:
        """Connect, trying for ever.

        Raises BusClosed when `stop` is set first, ValueError for a bad URL and OSError for a bad certificate file.

        `url` may be several, separated by commas. `domain` is the JetStream domain; leave it out unless the server
        is a leaf node whose JetStream lives elsewhere. With a `user`, inboxes are `_INBOX.<user>.>`.
        """
        link = Link(Address(url, name, user, password, domain, tls, ca_file, cert_file, key_file))
        await link.open(stop)
        return cls(link)

    @property
    def connected(self) -> bool:
        return self._link.connected

    async def wait_connected(self, timeout_seconds: float) -> bool:
        """True at once when connected, else as soon as it is; False after the time."""
        return await self._link.wait_connected(timeout_seconds)

    def on_reconnect(self, hook: Callable[[], None]) -> Callable[[], None]:
        """Call `hook` after each reconnection. Returns what takes it back."""
        return self._link.on_reconnect(hook)

    async def close(self) -> None:
        """Finish what is in flight up to a few seconds, then leave. Safe to call twice."""
        await asyncio.gather(*(closable.close() for closable in list(self._closables)))
        for task in list(self._answers):
            task.cancel()
        await self._link.close()

    async def publish(self, subject: str, data: bytes, headers: Mapping[str, str] | None = None) -> None:
        """At most once: while disconnected the message is dropped without an error."""
        await self._link.send(subject, data, headers=dict(headers) if headers else None)

    async def subscribe(self, subject: str, handler: Handler, queue: str = "") -> Subscription:
        """Call `handler` for each message, one after another. What it raises is logged, and the next message follows.

        A handler that falls 65,536 messages or 64 MB behind loses messages, with a warning in the log.
        """

        async def on_message(message: Msg) -> None:
            try:
                await handler(Message(self._link, message.subject, message.data, message.headers, message.reply))
            except Exception:
                log.exception("handler_failed", subject=message.subject)

        return await self._link.listen(subject, on_message, queue, HANDLER_LIMITS)

    async def request(self, subject: str, data: bytes, timeout_seconds: float) -> bytes:
        """Ask and return the answer. Raises NoResponders, BusTimeout, or RemoteFailure when the handler raised."""
        reply = await self._link.request(subject, data, timeout_seconds)
        if reply.headers and FAILURE_HEADER in reply.headers:
            raise RemoteFailure(f"{subject}: the handler failed with {reply.headers[FAILURE_HEADER]}")
        return reply.data

    async def respond(
        self, subject: str, handler: Callable[[bytes], Awaitable[bytes]], queue: str = "q"
    ) -> Subscription:
        """Answer requests, up to 64 at the same time. What the handler raises reaches the asker as RemoteFailure."""
        room = asyncio.Semaphore(MAX_CONCURRENT_ANSWERS)

        async def answer(message: Msg) -> None:
            headers = None
            try:
                payload = await handler(message.data)
            except Exception as error:
                log.exception("responder_failed", subject=message.subject)
                payload, headers = b"", {FAILURE_HEADER: type(error).__name__}
            finally:
                room.release()
            if message.reply:
                await self.publish(message.reply, payload, headers)

        async def on_request(message: Msg) -> None:
            await room.acquire()
            task = asyncio.create_task(answer(message))
            self._answers.add(task)
            task.add_done_callback(self._answers.discard)

        return await self._link.listen(subject, on_request, queue, HANDLER_LIMITS)

    def publisher(
        self, window: int = 1000, *, window_bytes: int = WINDOW_BYTES, deadline_seconds: float = DEADLINE_SECONDS
    ) -> Publisher:
        """At most `window` messages and `window_bytes` unacknowledged; `start` and `publish` wait for room."""
        return self._keep(Publisher(self._link, window, window_bytes, deadline_seconds))

    def puller(self, stream: str, durable: str, credit: int = 256) -> Puller:
        """Pull from a durable consumer with explicit acknowledgement, at most `credit` messages ahead of `take`."""
        return self._keep(Puller(self._link, stream, durable, credit))

    def reader(self, stream: str, start_sequence: int, credit: int = 512) -> Reader:
        """Read a whole stream in order from `start_sequence`, at most `credit` messages ahead of `batch`."""
        return self._keep(Reader(self._link, stream, start_sequence, credit))

    def lease(self, name: str, holder: str, ttl_seconds: float = 2.0) -> Lease:
        """`holder` must differ between processes, even on one machine. `ttl_seconds` is 2 at most."""
        return self._keep(Lease(self._link, name, holder, ttl_seconds))

    async def api(
        self, verb: str, payload: object = None, timeout_seconds: float = API_TIMEOUT_SECONDS
    ) -> dict[str, Any]:
        """Ask JetStream's API, such as `STREAM.INFO.EVENTS`. Raises StreamError, NoResponders or BusTimeout."""
        return await self._link.api(verb, payload, timeout_seconds)

    def _keep(self, closable: ClosableT) -> ClosableT:
        self._closables.add(closable)
        return closable
