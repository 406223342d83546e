"""The search for garbage cycles, tuned for a service that keeps much and leaves hardly any."""

import gc
import time
from typing import Any

YOUNG_OBJECTS = 50_000
"""Python's own 700 make a search of almost every batch; objects without cycles are freed without any search."""
SETTLED_SEARCHES = 5
"""Of the middle generation, each of which followed a million objects that stayed."""


def calm_collector() -> None:
    """What is kept by now is never searched again, and new objects seldom. Call it once what stays is loaded,
    and `rest_collector` before it is loaded again.

    It does not search a last time: that would hold up the loop for a second where a million monitors were loaded.
    """
    gc.freeze()
    gc.set_threshold(YOUNG_OBJECTS, 20, 20)
    gc.enable()


def settle_collector() -> None:
    """Call it now and then where millions of objects come to stay. What outlived the searches among the young is not
    searched as a whole, which takes seconds; only a cycle that dies old is never found."""
    if gc.get_count()[2] >= SETTLED_SEARCHES:
        gc.freeze()


def rest_collector() -> None:
    """Before what was kept is loaded anew: cycles among what it replaces would else never be searched again. Then there
    is no search until `calm_collector`: each while millions of objects are loaded would be one of all of them."""
    gc.unfreeze()
    gc.collect()
    gc.disable()


class SearchTimer:
    """How long garbage was searched for; it only adds up, since a search may begin anywhere, also inside the logger."""

    def __init__(self) -> None:
        self._seconds = 0.0
        self._began = 0.0
        gc.callbacks.append(self._on_search)

    def close(self) -> None:
        gc.callbacks.remove(self._on_search)

    def take_seconds(self) -> float:
        """Since it was asked last."""
        seconds, self._seconds = self._seconds, 0.0
        return seconds

    def _on_search(self, phase: str, _info: dict[str, Any]) -> None:
        if phase == "start":
            self._began = time.perf_counter()
        else:
            self._seconds += time.perf_counter() - self._began
