import gc
import weakref
from collections.abc import Iterator

import pytest

from farwatch_runtime.collector import (
    SETTLED_SEARCHES,
    YOUNG_OBJECTS,
    SearchTimer,
    calm_collector,
    rest_collector,
    settle_collector,
)


@pytest.fixture(autouse=True)
def as_it_was() -> Iterator[None]:
    before = gc.get_threshold()
    yield
    gc.unfreeze()
    gc.set_threshold(*before)
    gc.enable()


def test_what_is_kept_is_searched_no_more() -> None:
    calm_collector()
    assert gc.get_freeze_count() > 10_000
    assert gc.get_threshold()[0] == YOUNG_OBJECTS


class Kept:
    pass


def test_what_is_replaced_is_found_even_in_a_cycle() -> None:
    kept = Kept()
    kept.__dict__["itself"] = kept
    gone = weakref.ref(kept)
    calm_collector()
    del kept
    gc.collect()
    assert gone() is not None, "frozen objects are not searched"
    rest_collector()
    assert gone() is None


def test_while_what_stays_is_loaded_nothing_is_searched() -> None:
    calm_collector()
    rest_collector()
    searches = SearchTimer()
    kept = [[number] for number in range(3 * YOUNG_OBJECTS)]
    assert searches.take_seconds() == 0
    calm_collector()
    more = [[number] for number in range(3 * YOUNG_OBJECTS)]
    assert searches.take_seconds() > 0
    searches.close()
    assert len(kept) == len(more)


def test_what_came_to_stay_is_kept_before_all_of_it_is_searched() -> None:
    calm_collector()
    before = gc.get_freeze_count()
    kept = [[number] for number in range(1_000)]
    gc.collect(1)
    settle_collector()
    assert gc.get_freeze_count() <= before
    for _ in range(SETTLED_SEARCHES):
        gc.collect(1)
    settle_collector()
    assert gc.get_freeze_count() >= before + len(kept)
    assert gc.get_count()[2] == 0
