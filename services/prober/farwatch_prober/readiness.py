"""Waiting for sockets that connect: one epoll set for all of them, which costs less than a watcher of the loop each."""

import asyncio
import select
import time
from math import inf
from weakref import WeakKeyDictionary

EVENTS_A_TURN = 256
LOOK_SECONDS = 0.05
"""How often those that wait too long are looked for, which costs less than a timer each."""


class Readiness:
    """The sockets of one loop that are waited for. Get it with `readiness`."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._epoll = select.epoll()
        self._waiting: dict[int, tuple[asyncio.Future[float], float]] = {}
        self._is_looking = False
        loop.add_reader(self._epoll.fileno(), self._on_ready)

    async def writable(self, descriptor: int, until: float | None) -> float:
        """Waits until it can be written to or is broken; returns when that was (perf_counter).

        `until` is the loop's time. Raises TimeoutError soon after it. The socket has to be closed then, which is
        what takes it out of the set.
        """
        ready: asyncio.Future[float] = self._loop.create_future()
        self._epoll.register(descriptor, select.EPOLLOUT)
        self._waiting[descriptor] = (ready, inf if until is None else until)
        if not self._is_looking:
            self._is_looking = True
            self._loop.call_later(LOOK_SECONDS, self._look)
        try:
            return await ready
        finally:
            del self._waiting[descriptor]

    def _look(self) -> None:
        now = self._loop.time()
        for ready, until in list(self._waiting.values()):
            if until <= now and not ready.done():
                ready.set_exception(TimeoutError())
        self._is_looking = bool(self._waiting)
        if self._is_looking:
            self._loop.call_later(LOOK_SECONDS, self._look)

    def _on_ready(self) -> None:
        now = time.perf_counter()
        for descriptor, _ in self._epoll.poll(0, EVENTS_A_TURN):
            waiting = self._waiting.get(descriptor)
            if waiting is not None and not waiting[0].done():
                waiting[0].set_result(now)


_of_loops: WeakKeyDictionary[asyncio.AbstractEventLoop, Readiness] = WeakKeyDictionary()


def readiness(loop: asyncio.AbstractEventLoop) -> Readiness:
    """The loop's own."""
    found = _of_loops.get(loop)
    if found is None:
        found = _of_loops[loop] = Readiness(loop)
    return found
