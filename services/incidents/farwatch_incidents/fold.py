"""The fold: results in, states and incidents out, one transaction a batch.

A `Session` is one life of the memory: it loads, folds, and ends with any error of the database, after which the next
one starts from what was committed. There is never more than one writer: the epoch in health.shards is the fence.
"""

import asyncio
import contextlib

import asyncpg
import structlog

from farwatch_bus import BusError
from farwatch_events.checks import Reply
from farwatch_incidents.orders import Order, refused
from farwatch_incidents.session import Lasting, Session
from farwatch_incidents.writer import LostOwnership
from farwatch_store import StoreUnavailable
from farwatch_store.waiting import wait_any

START_OVER_SECONDS = 0.5
STUCK_SECONDS = 5.0
"""Between tries where no message is to blame: whoever mends it needs longer than a moment."""

log = structlog.get_logger("farwatch_incidents")


class Fold(Lasting):
    """Runs sessions one after another. Commands are handed in from outside with `submit`."""

    async def submit(self, order: Order, timeout_seconds: float = 8.0) -> Reply:
        """The reply once it is committed; `unavailable` when that takes too long. Raises nothing."""
        self.orders.append(order)
        self.wake.set()
        try:
            return await asyncio.wait_for(asyncio.shield(order.reply), timeout_seconds)
        except TimeoutError:
            with contextlib.suppress(ValueError):
                self.orders.remove(order)
            return refused("unavailable", "Incidents did not get to it in time; try again.")

    def look_at_log(self) -> None:
        """Something was logged: the configuration may have changed."""
        self.nudge.set()
        self.wake.set()

    async def run(self, stop: asyncio.Event) -> None:
        """Until `stop`. Raises LostOwnership when another fold took over."""
        while not stop.is_set():
            session = Session(self)
            try:
                await session.run(stop)
            except LostOwnership:
                raise
            except (StoreUnavailable, TimeoutError) as error:
                await self._start_over(error, START_OVER_SECONDS, stop)
            except Exception as error:
                blamed = _is_of_the_data(error) and self.poison.failed(session.in_hand, _words(error))
                if not blamed and not isinstance(error, asyncpg.PostgresError | asyncpg.InterfaceError):
                    raise
                await self._start_over(error, START_OVER_SECONDS if blamed else STUCK_SECONDS, stop)
            finally:
                self.metrics.epoch.set(0)
                await session.close()

    async def _start_over(self, error: Exception, seconds: float, stop: asyncio.Event) -> None:
        self.metrics.restarts.inc()
        log.warning("fold_starts_over", error=_words(error), one_by_one=self.poison.one_by_one)
        await wait_any(seconds, stop)


def _words(error: Exception) -> str:
    return f"{type(error).__name__}: {error}"


def _is_of_the_data(error: Exception) -> bool:
    """Whether what was in the batch may be to blame: another batch would have passed."""
    if isinstance(error, asyncpg.PostgresError):
        return isinstance(
            error,
            asyncpg.DataError | asyncpg.IntegrityConstraintViolationError | asyncpg.ProgramLimitExceededError,
        )
    return not isinstance(error, BusError | OSError | MemoryError)
