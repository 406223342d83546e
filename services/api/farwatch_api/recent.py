"""Figures over all monitors that several pages show: kept while nothing happens that could change them, and else for a
moment that grows with what they cost.

Counting takes a fraction of a millisecond for a few monitors, so those are always fresh, and tens of milliseconds for
tens of thousands, where people cannot tell a figure of now from one of a second ago.
"""

import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, TypeVar

T = TypeVar("T")

COST_FACTOR = 50
"""So that at most one fiftieth of the time is spent on a figure, however many ask for it."""
LONGEST_SECONDS = 2.0
STEADY_SECONDS = 10.0
"""However quiet it is: maintenance begins by the clock, and what happens may go unheard."""


def keep_seconds(cost_seconds: float) -> float:
    """How long a figure is good that took this long to find out."""
    return min(LONGEST_SECONDS, COST_FACTOR * cost_seconds)


@dataclass(frozen=True, slots=True)
class _Kept:
    figure: Any
    loaded: float
    good_until: float
    changes: int | None


class Recent:
    """The last figure of each name. What it hands out is shared: do not change it.

    `changes` counts what happened to monitors and their verdicts as far as it is heard, None while nobody listens.
    """

    def __init__(
        self, clock: Callable[[], float] = time.monotonic, changes: Callable[[], int | None] = lambda: None
    ) -> None:
        self._clock = clock
        self._changes = changes
        self._kept: dict[str, _Kept] = {}

    async def get(self, name: str, load: Callable[[], Awaitable[T]]) -> T:
        """The figure kept under this name while it is good, else what `load` finds. Errors are not kept."""
        began, changes = self._clock(), self._changes()
        kept = self._kept.get(name)
        if kept is not None and self._is_good(kept, began, changes):
            known: T = kept.figure
            return known
        figure = await load()
        now = self._clock()
        self._kept[name] = _Kept(figure, now, now + keep_seconds(now - began), changes)
        return figure

    def _is_good(self, kept: _Kept, now: float, changes: int | None) -> bool:
        steady = changes is not None and changes == kept.changes
        return now < (kept.loaded + STEADY_SECONDS if steady else kept.good_until)

    def forget(self) -> None:
        """Who changed something sees it at once."""
        self._kept.clear()
