"""Cancels what overran its time, looking a few times a second, which costs less than a timer for each try."""

import asyncio

PERIOD_SECONDS = 0.25


class Watchdog:
    """Bound to the loop that runs when it is first used."""

    def __init__(self) -> None:
        self._until: dict[asyncio.Task[object], float] = {}
        self._fired: set[asyncio.Task[object]] = set()
        self._is_looking = False

    def watch(self, task: "asyncio.Task[object]", until: float) -> None:
        """`until` is the loop's time; the task is cancelled at most PERIOD_SECONDS after it."""
        self._until[task] = until
        if not self._is_looking:
            self._is_looking = True
            task.get_loop().call_later(PERIOD_SECONDS, self._look, task.get_loop())

    def release(self, task: "asyncio.Task[object]") -> bool:
        """Watches no longer. True when it was this watchdog that cancelled the task."""
        self._until.pop(task, None)
        if task not in self._fired:
            return False
        self._fired.discard(task)
        return task.uncancel() == 0

    def _look(self, loop: asyncio.AbstractEventLoop) -> None:
        now = loop.time()
        for task in [task for task, until in self._until.items() if until <= now]:
            del self._until[task]
            self._fired.add(task)
            task.cancel()
        self._is_looking = bool(self._until)
        if self._is_looking:
            loop.call_later(PERIOD_SECONDS, self._look, loop)
