"""Waiting for sockets that connect: one epoll set for all of them, which costs less than a watcher of the loop each."""

import asyncio
import select
import time
from weakref import WeakKeyDictionary

EVENTS_A_TURN = 256


class Readiness:
    """The sockets of one loop that are waited for. Get it with `readiness`."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._epoll = select.epoll()
        self._waiting: dict[int, asyncio.Future[float]] = {}
        loop.add_reader(self._epoll.fileno(), self._on_ready)

    async def writable(self, descriptor: int, until: float | None) -> float:
        """Waits until it can be written to or is broken; returns when that was (perf_counter).

        `until` is the loop's time. Raises TimeoutError after it.
        """
        ready: asyncio.Future[float] = self._loop.create_future()
        self._waiting[descriptor] = ready
        self._epoll.register(descriptor, select.EPOLLOUT)
        timer = None if until is None else self._loop.call_at(until, _give_up, ready)
        try:
            return await ready
        finally:
            if timer is not None:
                timer.cancel()
            del self._waiting[descriptor]
            self._epoll.unregister(descriptor)

    def _on_ready(self) -> None:
        now = time.perf_counter()
        for descriptor, _ in self._epoll.poll(0, EVENTS_A_TURN):
            ready = self._waiting.get(descriptor)
            if ready is not None and not ready.done():
                ready.set_result(now)


def _give_up(ready: "asyncio.Future[float]") -> None:
    if not ready.done():
        ready.set_exception(TimeoutError())


_of_loops: WeakKeyDictionary[asyncio.AbstractEventLoop, Readiness] = WeakKeyDictionary()


def readiness() -> Readiness:
    """The running loop's."""
    loop = asyncio.get_running_loop()
    found = _of_loops.get(loop)
    if found is None:
        found = _of_loops[loop] = Readiness(loop)
    return found
