import gc
import weakref

from farwatch_runtime.collector import YOUNG_OBJECTS, calm_collector, thaw_collector


def test_what_is_kept_is_searched_no_more() -> None:
    before = gc.get_threshold()
    try:
        calm_collector()
        assert gc.get_freeze_count() > 10_000
        assert gc.get_threshold()[0] == YOUNG_OBJECTS
    finally:
        gc.unfreeze()
        gc.set_threshold(*before)


class Kept:
    pass


def test_what_is_replaced_is_found_even_in_a_cycle() -> None:
    before = gc.get_threshold()
    kept = Kept()
    kept.__dict__["itself"] = kept
    gone = weakref.ref(kept)
    try:
        calm_collector()
        del kept
        gc.collect()
        assert gone() is not None, "frozen objects are not searched"
        thaw_collector()
        assert gone() is None
    finally:
        gc.unfreeze()
        gc.set_threshold(*before)
