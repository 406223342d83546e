"""Whose turn it is: a message is made ready while the one before it is on its way, and leaves once that is recorded.

So a channel is quick without ever having two messages out that a kill could repeat.
"""

import asyncio
import time
from contextvars import ContextVar


class Turn:
    """`began` is when it came (monotonic seconds), for how long sending took."""

    def __init__(self) -> None:
        self._come = asyncio.Event()
        self.began = time.monotonic()

    @property
    def has_come(self) -> bool:
        return self._come.is_set()

    def come(self) -> None:
        self.began = time.monotonic()
        self._come.set()

    async def wait(self) -> None:
        await self._come.wait()


_TURN: ContextVar[Turn | None] = ContextVar("turn", default=None)


def take_turns(turn: Turn) -> None:
    """From here on this task waits for `turn` before it sends anything."""
    _TURN.set(turn)


async def await_turn() -> None:
    """At once where nobody takes turns, as with tests of a channel."""
    turn = _TURN.get()
    if turn is not None:
        await turn.wait()


def must_wait() -> bool:
    turn = _TURN.get()
    return turn is not None and not turn.has_come


async def await_turn_within(limit: asyncio.Timeout, seconds: float) -> None:
    """The wait does not count: `limit` runs out `seconds` after the turn has come."""
    if must_wait():
        limit.reschedule(None)
        await await_turn()
        limit.reschedule(asyncio.get_running_loop().time() + seconds)
