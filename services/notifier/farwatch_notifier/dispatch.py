"""Sending what is due: a worker a channel, so that one slow channel never delays another.

A channel has one message on its way at a time, and the next, made ready meanwhile, is sent once it is recorded. So
whatever kills the notifier, at most that one message a channel comes twice.
"""

import asyncio
import re
import time
from collections import deque
from collections.abc import Callable, Sequence

import structlog
from pydantic import ValidationError

from farwatch_events.masking import MASK
from farwatch_notifier import deliveries
from farwatch_notifier.breaker import Breaker, is_stale, note_failure
from farwatch_notifier.deliveries import Attempt, ChannelRow, Due
from farwatch_notifier.locks import ChannelLocks
from farwatch_notifier.marking import Marker
from farwatch_notifier.message import Alert
from farwatch_notifier.metrics import Metrics
from farwatch_notifier.outcome import DeliveryError
from farwatch_notifier.retry import RetryAt, decide_retry
from farwatch_notifier.sending import Sender
from farwatch_notifier.turn import Turn, take_turns
from farwatch_runtime.links import PATH, AlertLink, make_link
from farwatch_runtime.secrets import SecretBox
from farwatch_store import Database, StoreUnavailable

POLL_SECONDS = 1.0
COUNT_EVERY_SECONDS = 15.0
WORKERS_MAX = 256
BATCH = 200
BATCH_SECONDS = 5.0
"""A batch is left when it takes longer: the channel may have been changed meanwhile."""
LINGER_SECONDS = 1.0
"""For so long a worker that has nothing to do keeps its channel: taking and giving locks costs more than a message."""
STOP_GRACE_SECONDS = 5.0
STALE = "a later message of the same trouble stands for it: it had waited for over a minute"

_LINK = re.compile(rf"({re.escape(PATH)})[A-Za-z0-9_.\\-]+")

log = structlog.get_logger("farwatch_notifier")


class Dispatcher:
    """Finds channels with something due and runs one worker for each that no other notifier serves."""

    def __init__(
        self,
        db: Database,
        sender: Sender,
        metrics: Metrics,
        now: Callable[[], int],
        draw: Callable[[], float],
        on_event: Callable[[], None],
        links: "Links",
    ) -> None:
        """`on_event` is called when the database says that the log has grown."""
        self._db = db
        self._metrics = metrics
        self._now = now
        self._news = asyncio.Event()
        self._locks = ChannelLocks(db, on_event, self._news.set)
        self._delivery = Delivery(db, sender, metrics, now, draw, links)
        self._workers: dict[int, asyncio.Task[None]] = {}
        self._idle: dict[int, asyncio.Event] = {}
        self._asked: set[int] = set()  # something was due while the worker was at something else
        self._counted_at = 0.0

    async def run(self, stop: asyncio.Event, progress: Callable[[], None]) -> None:
        stopping = asyncio.create_task(stop.wait())
        keeping = asyncio.create_task(self._locks.keep_alive(), name="locks")
        try:
            while not stop.is_set():
                self._news.clear()
                await self._look()
                progress()
                await self._pause(stopping)
        finally:
            stopping.cancel()
            keeping.cancel()
            await self._finish()

    async def _pause(self, stopping: "asyncio.Task[bool]") -> None:
        news = asyncio.create_task(self._news.wait())
        await asyncio.wait({stopping, news}, timeout=POLL_SECONDS, return_when=asyncio.FIRST_COMPLETED)
        news.cancel()

    async def _look(self) -> None:
        try:
            await self._locks.ensure_connected()
            for channel_id in await deliveries.due_channels(self._db, self._now()):
                await self._serve(channel_id)
            await self._count()
        except StoreUnavailable as error:
            log.warning("deliveries_unreadable", error=str(error))

    async def _serve(self, channel_id: int) -> None:
        if (idle := self._idle.get(channel_id)) is not None:
            idle.set()
        elif channel_id in self._workers:
            self._asked.add(channel_id)
        elif len(self._workers) < WORKERS_MAX:
            await self._start_worker(channel_id)

    async def _start_worker(self, channel_id: int) -> None:
        if not await self._locks.take(channel_id):
            return
        task = asyncio.create_task(self._work(channel_id), name=f"channel-{channel_id}")
        self._workers[channel_id] = task
        self._count_busy()

    async def _work(self, channel_id: int) -> None:
        try:
            while self._locks.holds(channel_id):
                if not (await self._send_batch(channel_id) or await self._linger(channel_id)):
                    break
        except StoreUnavailable as error:
            log.warning("channel_interrupted", channel=channel_id, error=str(error))
        except Exception:
            log.exception("channel_worker_failed", channel=channel_id)
            await asyncio.sleep(POLL_SECONDS)
        finally:
            await self._locks.give(channel_id)
            del self._workers[channel_id]
            self._count_busy()
            if self._was_asked(channel_id):
                self._news.set()

    def _was_asked(self, channel_id: int) -> bool:
        """Once for whatever came."""
        asked = channel_id in self._asked
        self._asked.discard(channel_id)
        return asked

    async def _linger(self, channel_id: int) -> bool:
        """True when there may be something to do again."""
        if self._was_asked(channel_id):
            return True
        woken = self._idle[channel_id] = asyncio.Event()
        self._count_busy()
        try:
            await asyncio.wait_for(woken.wait(), LINGER_SECONDS)
        except TimeoutError:
            return False
        finally:
            del self._idle[channel_id]
            self._count_busy()
        return True

    def _count_busy(self) -> None:
        self._metrics.busy_channels.set(len(self._workers) - len(self._idle))

    async def _send_batch(self, channel_id: int) -> bool:
        """True when there may be more to do at once."""
        due = await deliveries.take_due(self._db, channel_id, self._now(), BATCH)
        channel = await deliveries.read_channel(self._db, channel_id) if due else None
        leave_at = time.monotonic() + BATCH_SECONDS
        line = Line(self._delivery, channel, due)
        try:
            while self._locks.holds(channel_id) and time.monotonic() < leave_at and line.call_next():
                until_ms = await line.result()
                if until_ms is not None:
                    await deliveries.hold_channel(self._db, channel_id, until_ms)
                    break
        finally:
            await line.close()
        return bool(due)

    async def _count(self) -> None:
        if time.monotonic() - self._counted_at >= COUNT_EVERY_SECONDS:
            self._counted_at = time.monotonic()
            self._metrics.pending.set(await deliveries.count_pending(self._db))

    async def _finish(self) -> None:
        """Lets messages on their way arrive, cuts the rest: they stay pending and are sent after the next start."""
        self._locks.stop_granting()
        for idle in self._idle.values():
            idle.set()
        tasks = set(self._workers.values())
        if tasks:
            _, late = await asyncio.wait(tasks, timeout=STOP_GRACE_SECONDS)
            for task in late:
                task.cancel()
            await asyncio.gather(*late, return_exceptions=True)
        await self._delivery.marker.close()
        await self._locks.close()


class Line:
    """The messages of a batch: the first has its turn while the second is made ready."""

    def __init__(self, delivery: "Delivery", channel: ChannelRow | None, due: Sequence[Due]) -> None:
        self._delivery = delivery
        self._channel = channel
        self._due = iter(due)
        self._tasks: deque[tuple[Turn, asyncio.Task[int | None]]] = deque()

    def call_next(self) -> bool:
        """False when nobody is left."""
        while len(self._tasks) < 2 and (due := next(self._due, None)) is not None:
            turn = Turn()
            self._tasks.append((turn, asyncio.create_task(self._delivery.deliver(self._channel, due, turn))))
        if self._tasks:
            self._tasks[0][0].come()
        return bool(self._tasks)

    async def result(self) -> int | None:
        """Until when (milliseconds) the channel is to be left alone, of the message whose turn it is."""
        until_ms = await self._tasks[0][1]
        self._tasks.popleft()
        return until_ms

    async def close(self) -> None:
        """Who has had no turn has sent nothing, and stays pending."""
        tasks = [task for _, task in self._tasks]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


class Links:
    """Puts the signed links into a message on its way out: they are stored nowhere."""

    def __init__(self, box: SecretBox, public_url: str) -> None:
        self._box = box
        self._public_url = public_url

    def put_in(self, alert: Alert, due: Due) -> Alert:
        if alert.tone == "good" or alert.kind == "acknowledged" or alert.members:
            return alert
        link = make_link(self._box, self._public_url, AlertLink(due.thread, due.channel_id, due.dedup_key))
        return alert if link is None else alert.model_copy(update={"acknowledge_link": link, "silence_link": link})


def hide_links(text: str) -> str:
    """The trail is read by people who may only look: a link in it would let them act."""
    return _LINK.sub(rf"\1{MASK}", text)


class Delivery:
    """One delivery: send, then mark. The intent stood in the database before."""

    def __init__(
        self,
        db: Database,
        sender: Sender,
        metrics: Metrics,
        now: Callable[[], int],
        draw: Callable[[], float],
        links: "Links",
    ) -> None:
        self._db = db
        self._sender = sender
        self._metrics = metrics
        self._now = now
        self._draw = draw
        self._links = links
        self.marker = Marker(db)
        self._breakers: dict[int, Breaker] = {}

    async def deliver(self, channel: ChannelRow | None, due: Due, turn: Turn) -> int | None:
        """Until when (milliseconds) the channel is to be left alone; None: the next may be sent. Nothing leaves, and
        nothing is recorded, before `turn`."""
        if (over := self._over(channel, due)) is not None:
            await turn.wait()
            await deliveries.drop(self._db, due, over)
            return None
        if self._now() > due.give_up_ms:
            await turn.wait()
            await deliveries.expire(self._db, due, "the time for retries was over before it could be sent", self._now())
            return None
        assert channel is not None
        take_turns(turn)
        try:
            sent = await self._sender.send(channel, self._links.put_in(_read_alert(due), due), due.dedup_key)
        except DeliveryError as failure:
            await turn.wait()
            took = _milliseconds_since(turn.began)
            attempt = self._failed(due, failure, self._now() - round(took), took)
            await self._mark(channel, due, attempt)
            return self._pause(due.channel_id, failure, attempt)
        took = _milliseconds_since(turn.began)
        at_ms = self._now() - round(took)
        self._breakers.pop(due.channel_id, None)
        await self._mark(
            channel, due, Attempt("delivered", at_ms, took, hide_links(sent.request), hide_links(sent.answer))
        )
        return None

    def _over(self, channel: ChannelRow | None, due: Due) -> str | None:
        """Why it is not worth sending any more."""
        if channel is None or channel.deleted:
            return "the channel was deleted before its turn"
        if not channel.enabled:
            return "the channel was switched off before its turn"
        stale = is_stale(thread=due.thread, superseded=due.superseded, created_ms=due.created_ms, now_ms=self._now())
        return STALE if stale else None

    def _pause(self, channel_id: int, failure: DeliveryError, attempt: Attempt) -> int | None:
        """As long as the service asked for, or as the breaker says. A final answer is about the message alone."""
        if failure.retry_after_seconds is not None:
            return attempt.next_ms
        if failure.permanent:
            return None
        breaker, until_ms = note_failure(self._breakers.get(channel_id, Breaker()), self._now())
        self._breakers[channel_id] = breaker
        if until_ms is not None:
            self._metrics.pauses.inc()
            log.warning("channel_paused", channel=channel_id, failures=breaker.failures, until_ms=until_ms)
        return until_ms

    def _failed(self, due: Due, failure: DeliveryError, at_ms: int, took_ms: float) -> Attempt:
        decision = decide_retry(
            permanent=failure.permanent,
            retry_after_seconds=failure.retry_after_seconds,
            attempts=due.attempts + 1,
            give_up_at_ms=due.give_up_ms,
            now_ms=self._now(),
            draw=self._draw(),
        )
        request, answer = hide_links(failure.request), hide_links(failure.answer)
        if isinstance(decision, RetryAt):
            return Attempt("pending", at_ms, took_ms, request, answer, failure.error, decision.at_ms)
        return Attempt("failed", at_ms, took_ms, request, answer, f"{failure.error} ({decision.reason})")

    async def _mark(self, channel: ChannelRow, due: Due, attempt: Attempt) -> None:
        self._tell(channel, due, attempt)
        await self.marker.mark(due, attempt)

    def _tell(self, channel: ChannelRow, due: Due, attempt: Attempt) -> None:
        outcome = "retry" if attempt.state == "pending" else attempt.state
        self._metrics.attempts.labels(channel.type, outcome).inc()
        self._metrics.send_seconds.labels(channel.type).observe(attempt.duration_ms / 1000)
        if outcome == "delivered":
            self._metrics.delay_seconds.labels(channel.type).observe(max(0, self._now() - due.created_ms) / 1000)
        # A line for each that arrived would be a tenth of the work, and they are all in the trail.
        tell = log.debug if outcome == "delivered" else log.info
        tell("attempt", delivery=due.id, channel=channel.id, outcome=outcome, error=attempt.error)


def _read_alert(due: Due) -> Alert:
    try:
        return Alert.model_validate(due.message)
    except ValidationError as error:
        raise DeliveryError(f"the stored message does not read: {error.error_count()} errors", permanent=True) from None


def _milliseconds_since(started: float) -> float:
    return (time.monotonic() - started) * 1000
