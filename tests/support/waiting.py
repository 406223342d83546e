"""Waiting for something to become true, instead of sleeping and hoping."""

import asyncio
import inspect
import time
from collections.abc import Awaitable, Callable
from typing import TypeVar, overload

T = TypeVar("T")


@overload
async def eventually(
    probe: Callable[[], Awaitable[T]], timeout_seconds: float = 5.0, every_seconds: float = 0.02
) -> T: ...
@overload
async def eventually(probe: Callable[[], T], timeout_seconds: float = 5.0, every_seconds: float = 0.02) -> T: ...
async def eventually(
    probe: Callable[[], T | Awaitable[T]], timeout_seconds: float = 5.0, every_seconds: float = 0.02
) -> T:
    """Calls `probe` (a function or coroutine function) until it answers something true, and returns that.

    An AssertionError inside counts as "not yet". After the timeout the last one is raised, or one with the last answer.
    """
    deadline = time.monotonic() + timeout_seconds
    failure: AssertionError | None = None
    while True:
        answer: T | None = None
        try:
            outcome = probe()
            answer = await outcome if inspect.isawaitable(outcome) else outcome
            failure = None
            if answer:
                return answer
        except AssertionError as error:
            failure = error
        if time.monotonic() >= deadline:
            raise failure or AssertionError(f"not true within {timeout_seconds:g} s; the last answer was {answer!r}")
        await asyncio.sleep(every_seconds)
