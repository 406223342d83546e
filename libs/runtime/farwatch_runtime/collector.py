"""The search for garbage cycles, tuned for a service that keeps much and leaves hardly any."""

import gc

YOUNG_OBJECTS = 50_000
"""Python's own 700 make a search of almost every batch; objects without cycles are freed without any search."""


def calm_collector() -> None:
    """What is kept by now is never searched again, and new objects seldom. Call it once what stays is loaded,
    and `thaw_collector` before it is loaded again.

    It does not search a last time: that would hold up the loop for a second where a million monitors were loaded.
    """
    gc.freeze()
    gc.set_threshold(YOUNG_OBJECTS, 20, 20)


def thaw_collector() -> None:
    """Before what was kept is loaded anew: cycles among what it replaces would else never be searched again."""
    gc.unfreeze()
    gc.collect()
