"""The search for garbage cycles, tuned for a service that keeps much and leaves hardly any."""

import gc

YOUNG_OBJECTS = 50_000
"""Python's own 700 make a search of almost every batch; objects without cycles are freed without any search."""


def calm_collector() -> None:
    """What is kept by now is never searched again, and new objects seldom. Call it once what stays is loaded."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(YOUNG_OBJECTS, 20, 20)
