"""Figures over all monitors that several pages show: kept for a moment that grows with what they cost.

Counting takes a fraction of a millisecond for a few monitors, so those are always fresh, and tens of milliseconds for
tens of thousands, where people cannot tell a figure of now from one of a second ago.
"""

import time
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

T = TypeVar("T")

COST_FACTOR = 50
"""So that at most one fiftieth of the time is spent on a figure, however many ask for it."""
LONGEST_SECONDS = 2.0


def keep_seconds(cost_seconds: float) -> float:
    """How long a figure is good that took this long to find out."""
    return min(LONGEST_SECONDS, COST_FACTOR * cost_seconds)


class Recent:
    """The last figure of each name. What it hands out is shared: do not change it."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._kept: dict[str, tuple[float, Any]] = {}

    async def get(self, name: str, load: Callable[[], Awaitable[T]]) -> T:
        """The figure kept under this name while it is good, else what `load` finds. Errors are not kept."""
        began = self._clock()
        good_until, kept = self._kept.get(name, (began, None))
        if began < good_until:
            figure: T = kept
            return figure
        figure = await load()
        now = self._clock()
        self._kept[name] = (now + keep_seconds(now - began), figure)
        return figure
