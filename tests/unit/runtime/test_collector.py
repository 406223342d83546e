import gc

from farwatch_runtime.collector import YOUNG_OBJECTS, calm_collector


def test_what_is_kept_is_searched_no_more() -> None:
    before = gc.get_threshold()
    try:
        calm_collector()
        assert gc.get_freeze_count() > 10_000
        assert gc.get_threshold()[0] == YOUNG_OBJECTS
    finally:
        gc.unfreeze()
        gc.set_threshold(*before)
