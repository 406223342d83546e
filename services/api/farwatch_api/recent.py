"""Figures over all monitors that several pages show: kept while nothing happens that could change them, and else for a
moment that grows with what they cost.

Counting takes a fraction of a millisecond for a few monitors, so those are always fresh, and tens of milliseconds for
tens of thousands, where people cannot tell a figure of now from one of a second ago. Who asks while a figure is a
little too old is answered with it, and the next one is found out meanwhile: nobody waits for what others look at too.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import Any, TypeVar

import structlog

from farwatch_store import Connection

T = TypeVar("T")
Read = Callable[[], AbstractAsyncContextManager[Connection]]
Load = Callable[[Connection], Awaitable[T]]

COST_FACTOR = 50
"""So that at most one fiftieth of the time is spent on a figure, however many ask for it."""
LONGEST_SECONDS = 2.0
DEAR_FACTOR = 10
"""Beyond that a tenth of the time: what takes a second is found out every ten seconds at the most."""
STEADY_SECONDS = 10.0
"""However quiet it is: maintenance begins by the clock, and what happens may go unheard."""
PASSABLE_FACTOR = 3
"""How many times as long as it is good a figure is still shown, while the next one is found out."""
PASSABLE_SECONDS = 20.0
"""And for how much longer than it is good at the most."""

log = structlog.get_logger("farwatch_api")


def keep_seconds(cost_seconds: float) -> float:
    """How long a figure is good that took this long to find out."""
    return max(min(LONGEST_SECONDS, COST_FACTOR * cost_seconds), DEAR_FACTOR * cost_seconds)


@dataclass(frozen=True, slots=True)
class _Kept:
    figure: Any
    loaded: float
    good_seconds: float
    changes: int | None


class Recent:
    """The last figure of each name. What it hands out is shared: do not change it.

    `read` lends a connection to find figures out that nobody waits for. `changes` counts what happened to monitors and
    their verdicts as far as it is heard, None while nobody listens.
    """

    def __init__(
        self,
        read: Read,
        clock: Callable[[], float] = time.monotonic,
        changes: Callable[[], int | None] = lambda: None,
    ) -> None:
        self._read = read
        self._clock = clock
        self._changes = changes
        self._kept: dict[str, _Kept] = {}
        self._renewing: dict[str, asyncio.Task[None]] = {}
        self._forgotten = 0

    async def get(self, name: str, load: Load[T], connection: Connection) -> T:
        """The figure kept under this name while it is good enough, else what `load` finds. Errors are not kept."""
        kept = self._kept.get(name)
        if kept is None:
            return await self._find(name, load, connection)
        age, good = self._clock() - kept.loaded, self._good_seconds(kept)
        if age >= min(good * PASSABLE_FACTOR, good + PASSABLE_SECONDS):
            return await self._find(name, load, connection)
        if age >= good:
            self._renew(name, load)
        known: T = kept.figure
        return known

    def forget(self) -> None:
        """Who changed something sees it at once."""
        self._kept.clear()
        self._renewing.clear()
        self._forgotten += 1

    def _good_seconds(self, kept: _Kept) -> float:
        changes = self._changes()
        steady = changes is not None and changes == kept.changes
        return max(STEADY_SECONDS, kept.good_seconds) if steady else kept.good_seconds

    async def _find(self, name: str, load: Load[T], connection: Connection) -> T:
        began, changes, forgotten = self._clock(), self._changes(), self._forgotten
        figure = await load(connection)
        now = self._clock()
        if forgotten == self._forgotten:
            self._kept[name] = _Kept(figure, now, keep_seconds(now - began), changes)
        return figure

    def _renew(self, name: str, load: Load[Any]) -> None:
        """Beside whoever asked."""
        if name in self._renewing:
            return
        task = asyncio.create_task(self._find_alone(name, load), name=f"renew-{name}")
        self._renewing[name] = task
        task.add_done_callback(lambda done: self._renewed(name, done))

    async def _find_alone(self, name: str, load: Load[Any]) -> None:
        async with self._read() as connection:
            await self._find(name, load, connection)

    def _renewed(self, name: str, task: "asyncio.Task[None]") -> None:
        if self._renewing.get(name) is task:
            del self._renewing[name]
        if not task.cancelled() and (error := task.exception()) is not None:
            log.info("figure_not_renewed", figure=name, error=str(error))
