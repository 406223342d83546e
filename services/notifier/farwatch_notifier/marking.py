"""Recording attempts: those that end at the same time, of whatever channels, are one statement on one connection."""

import asyncio
from collections import deque

import structlog

from farwatch_notifier import deliveries
from farwatch_notifier.deliveries import Attempt, Due
from farwatch_store import Database, StoreUnavailable

AT_ONCE = 100
LINGER_SECONDS = 2.0
RETRY_SECONDS = 0.5

log = structlog.get_logger("farwatch_notifier")


class Marker:
    """`mark` returns once the attempt is committed, however long that takes: a message that was sent must not be
    sent again because a database restarted."""

    def __init__(self, db: Database) -> None:
        self._db = db
        self._waiting: deque[tuple[Due, Attempt, asyncio.Future[None]]] = deque()
        self._news = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    async def mark(self, due: Due, attempt: Attempt) -> None:
        if attempt.state == "failed":
            await self._mark_failed(due, attempt)
            return
        done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append((due, attempt, done))
        self._news.set()
        if self._task is None or self._task.done():
            self._task = asyncio.create_task(self._work(), name="marks")
        await done

    async def _mark_failed(self, due: Due, attempt: Attempt) -> None:
        """Its event goes into the log with it, which takes a transaction."""
        while True:
            try:
                await deliveries.mark(self._db, due, attempt)
                return
            except StoreUnavailable as error:
                log.warning("attempt_not_recorded_yet", delivery=due.id, error=str(error))
            await asyncio.sleep(RETRY_SECONDS)

    async def _work(self) -> None:
        while self._waiting:
            try:
                await self._drain()
            except StoreUnavailable as error:
                log.warning("attempts_not_recorded_yet", waiting=len(self._waiting), error=str(error))
                await asyncio.sleep(RETRY_SECONDS)
            except Exception as error:
                log.exception("attempts_not_recorded", waiting=len(self._waiting))
                self._refuse(error)

    def _refuse(self, error: Exception) -> None:
        """Whoever waits must not wait for ever: its worker starts over."""
        while self._waiting:
            _due, _attempt, done = self._waiting.popleft()
            if not done.done():
                done.set_exception(error)

    async def _drain(self) -> None:
        """Keeps its connection while attempts keep coming."""
        async with self._db.connection() as connection:
            while True:
                batch = [self._waiting[index] for index in range(min(AT_ONCE, len(self._waiting)))]
                if batch:
                    await deliveries.mark_many(connection, [(due, attempt) for due, attempt, _ in batch])
                    for _ in batch:
                        _due, _attempt, done = self._waiting.popleft()
                        if not done.done():
                            done.set_result(None)
                elif not await self._more_to_come():
                    return

    async def _more_to_come(self) -> bool:
        self._news.clear()
        try:
            await asyncio.wait_for(self._news.wait(), LINGER_SECONDS)
        except TimeoutError:
            return bool(self._waiting)
        return True

    async def close(self) -> None:
        """What is being recorded is finished by its workers before this is called."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
