from hypothesis import given
from hypothesis import strategies as st

from farwatch_incidents.rules.identity import EMPTY, Place, Window, of_slots, place


def test_a_steady_monitor_is_one_run() -> None:
    window = EMPTY
    for number in range(1, 200):
        standing, window = place(window, number * 60_000, 64)
        assert standing is Place.NEWEST
    assert window == Window(199 * 60_000, ((60_000, 63),))


def test_known_older_and_late() -> None:
    window = of_slots([100, 200, 400], 4)
    assert place(window, 200, 4)[0] is Place.DROPPED
    standing, window = place(window, 300, 4)
    assert (standing, window.slots()) == (Place.LATE, [400, 300, 200, 100])
    assert place(window, 50, 4)[0] is Place.DROPPED
    assert place(window, 50, 64)[0] is Place.LATE


@given(st.lists(st.integers(1, 400), max_size=300), st.integers(1, 64))
def test_each_slot_is_let_in_once_whatever_the_order(slots: list[int], capacity: int) -> None:
    window, let_in = EMPTY, []
    for slot in slots:
        standing, window = place(window, slot, capacity)
        if standing is not Place.DROPPED:
            let_in.append(slot)
    assert len(let_in) == len(set(let_in))
    assert window.slots() == sorted(let_in, reverse=True)[:capacity]
    if slots:
        assert window.newest_ms == max(slots)


@given(st.sets(st.integers(1, 10_000), max_size=100), st.integers(1, 64))
def test_runs_hold_exactly_the_newest(slots: set[int], capacity: int) -> None:
    assert of_slots(list(slots), capacity).slots() == sorted(slots, reverse=True)[:capacity]
