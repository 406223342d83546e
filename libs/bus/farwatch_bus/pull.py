"""The pulling that Puller and Reader share: requests to one inbox, answered by a callback, asked anew every second.

A fetch of nats-py would wait its whole time across a restart of the server, and costs five times as much.
"""

import asyncio
import json
import time
from collections.abc import Awaitable, Callable

import structlog
from nats.aio.msg import Msg

from farwatch_bus.credit import Ledger
from farwatch_bus.errors import BusError
from farwatch_bus.link import Link, Subscription

EXPIRES_SECONDS = 1.0
GRACE_SECONDS = 0.4
PAUSE_SECONDS = 0.25
SLOWEST_STEP_SECONDS = 0.5

REQUEST_OVER = "408"
log = structlog.get_logger("farwatch_bus")


class PullLoop:
    """Asks for messages whenever at least half of `credit` is free.

    `target` gives the consumer as `stream.consumer`, None while there is none; `waiting` how many messages lie unread;
    `on_message` takes one; `on_lost` hears that the server dropped the requests, with its words.
    """

    def __init__(
        self,
        link: Link,
        credit: int,
        target: Callable[[], Awaitable[str | None]],
        waiting: Callable[[], int],
        on_message: Callable[[Msg], None],
        on_lost: Callable[[str], None],
    ) -> None:
        self._link = link
        self.credit = credit
        self._target = target
        self._waiting = waiting
        self._on_message = on_message
        self._on_lost = on_lost
        self._ledger = Ledger()
        self._wake = asyncio.Event()
        self._paused_until = 0.0
        self._count = 0
        self._inbox = ""
        self._subscription: Subscription | None = None
        self._unhook: Callable[[], None] = lambda: None
        self._task: asyncio.Task[None] | None = None

    @property
    def outstanding(self) -> int:
        return self._ledger.outstanding

    def ensure_running(self) -> None:
        """Start at the first use. Raises what ended the loop, if anything did."""
        if self._task is None:
            self._task = asyncio.create_task(self._run(), name="bus-pull")
        elif self._task.done() and not self._task.cancelled():
            self._task.result()

    def room(self) -> int:
        return self.credit - self._ledger.outstanding - self._waiting()

    def nudge(self) -> None:
        """Messages were taken, or the credit changed."""
        if self.room() >= max(1, self.credit // 2):
            self._wake.set()

    def restart(self, reason: str) -> None:
        """The requests are gone with their server or consumer; ask anew at once."""
        self._ledger.forget_all()
        self._on_lost(reason)
        self._wake.set()

    async def close(self) -> None:
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
        self._unhook()
        self._unhook = lambda: None
        if self._subscription is not None:
            await self._subscription.unsubscribe()

    async def _run(self) -> None:
        self._inbox = self._link.inbox()
        self._subscription = await self._link.listen(f"{self._inbox}.*", self._receive)
        self._unhook = self._link.on_reconnect(lambda: self.restart("reconnected"))
        while True:
            self._wake.clear()
            try:
                pause = await self._step()
            except BusError as error:
                log.warning("pull_failed", error=str(error))
                pause = PAUSE_SECONDS
            await self._sleep(pause)

    async def _sleep(self, seconds: float) -> None:
        try:
            async with asyncio.timeout(seconds):
                await self._wake.wait()
        except TimeoutError:
            pass

    async def _step(self) -> float:
        """Ask if there is reason to. Returns how long to wait unless woken."""
        now = time.monotonic()
        self._ledger.expire(now)
        if self._paused_until > now:
            return self._paused_until - now
        wanted = self.room()
        if wanted >= max(1, self.credit // 2) and self._link.connected:
            target = await self._target()
            if target is None:
                return PAUSE_SECONDS
            await self._ask(target, wanted)
        expiry = self._ledger.next_expiry()
        return SLOWEST_STEP_SECONDS if expiry is None else max(0.01, min(SLOWEST_STEP_SECONDS, expiry - now))

    async def _ask(self, target: str, messages: int) -> None:
        self._count += 1
        token = str(self._count)
        body = json.dumps({"batch": messages, "expires": int(EXPIRES_SECONDS * 1e9)}).encode()
        subject = f"{self._link.address.api_prefix()}.CONSUMER.MSG.NEXT.{target}"
        self._ledger.asked(token, messages, time.monotonic() + EXPIRES_SECONDS + GRACE_SECONDS)
        if not await self._link.send(subject, body, f"{self._inbox}.{token}"):
            self._ledger.ended(token, None)

    async def _receive(self, message: Msg) -> None:
        if message.reply:
            self._ledger.delivered()
            self._on_message(message)
            return
        headers = message.headers or {}
        self._on_status(message.subject.rpartition(".")[2], headers)
        self._wake.set()

    def _on_status(self, token: str, headers: dict[str, str]) -> None:
        """408: the time of a request was up. Anything else (404, 409, 503): this consumer gives nothing now."""
        status, description = headers.get("Status", ""), headers.get("Description", "")
        left = headers.get("Nats-Pending-Messages")
        self._ledger.ended(token, int(left) if left and left.isdigit() else None)
        if status != REQUEST_OVER:
            self._paused_until = time.monotonic() + PAUSE_SECONDS
            self._on_lost(f"{status} {description}".strip())
