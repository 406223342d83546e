"""Every monitor exactly once an interval, whatever happens in between."""

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from farwatch_scheduler.ring import TICK_MS, Rings, phase_ms

START = 1_790_000_000_000


def slots_of(rings: Rings, after_ms: int, until_ms: int) -> dict[int, list[int]]:
    found: dict[int, list[int]] = {}
    for slot_ms, ids in rings.due(after_ms, until_ms).slots:
        for monitor_id in ids:
            found.setdefault(monitor_id, []).append(slot_ms)
    return found


def rings_of(intervals: dict[int, int]) -> Rings:
    rings = Rings()
    for monitor_id, interval_ms in intervals.items():
        rings.put(monitor_id, interval_ms)
    return rings


@pytest.mark.parametrize(("seed", "output"), [(0, 0xE220A8397B1DCDAF), (1234567, 6457827717110365317)])
def test_the_hash_is_splitmix64(seed: int, output: int) -> None:
    """Against the first outputs of the published generator."""
    assert phase_ms(seed, 2**64 * TICK_MS) == output * TICK_MS


@pytest.mark.parametrize(
    ("monitor_id", "interval_ms", "phase"),
    [(1, 60_000, 6_500), (2, 60_000, 31_000), (1, 5_000, 1_500), (7, 10_000, 8_700)],
)
def test_phases_never_change_from_one_release_to_the_next(monitor_id: int, interval_ms: int, phase: int) -> None:
    assert phase_ms(monitor_id, interval_ms) == phase


def test_phases_are_whole_ticks_and_spread_evenly() -> None:
    phases = Counter(phase_ms(monitor_id, 10_000) for monitor_id in range(1, 20_001))
    assert set(phases) == set(range(0, 10_000, TICK_MS))
    assert min(phases.values()) > 140
    assert max(phases.values()) < 260


def test_an_empty_ring_and_an_empty_span_have_nothing_due() -> None:
    assert Rings().due(START, START + 60_000).slots == []
    assert rings_of({1: 5_000}).due(START, START).slots == []
    assert rings_of({1: 5_000}).due(START, START - 1).slots == []


def test_the_beginning_of_a_span_is_excluded_and_its_end_included() -> None:
    rings = rings_of({1: 5_000})
    slot_ms = START - START % 5_000 + 5_000 + phase_ms(1, 5_000)
    assert slots_of(rings, slot_ms - 1, slot_ms) == {1: [slot_ms]}
    assert slots_of(rings, slot_ms, slot_ms + TICK_MS) == {}


def test_a_gap_is_caught_up_by_one_interval_and_the_rest_is_counted() -> None:
    rings = rings_of({1: 5_000, 2: 60_000, 3: 3_600_000})
    due = rings.due(START, START + 600_000)
    caught_up = {monitor_id: slots[0] for monitor_id, slots in slots_of(rings, START, START + 600_000).items()}
    assert START + 595_000 < caught_up[1] <= START + 600_000
    assert START + 540_000 < caught_up[2] <= START + 600_000
    assert due.skipped == 119 + 9
    assert [slot_ms for slot_ms, _ in due.slots] == sorted(slot_ms for slot_ms, _ in due.slots)


def test_ids_come_in_ascending_order_so_that_everyone_makes_the_same_chunks() -> None:
    forwards, backwards = Rings(), Rings()
    for monitor_id in range(1, 400):
        forwards.put(monitor_id, 5_000)
        backwards.put(400 - monitor_id, 5_000)
    due = forwards.due(START, START + 5_000)
    assert due == backwards.due(START, START + 5_000)
    assert all(ids == sorted(ids) for _, ids in due.slots)


def test_put_again_removes_nothing_and_another_interval_moves() -> None:
    rings = rings_of({1: 5_000})
    rings.put(1, 5_000)
    assert len(slots_of(rings, START, START + 5_000)[1]) == 1
    rings.put(1, 10_000)
    assert len(rings) == 1
    assert sum(len(slots_of(rings, START + n, START + n + 5_000)) for n in (0, 5_000)) == 1
    rings.remove(1)
    rings.remove(1)
    assert (len(rings), slots_of(rings, START, START + 60_000)) == (0, {})


intervals = st.sampled_from([5_000, 7_000, 10_000, 30_000])
monitors = st.dictionaries(st.integers(1, 10**12), intervals, max_size=25)
changes = st.lists(st.tuples(st.integers(1, 4_900), st.integers(1, 6), st.sampled_from([0, 5_000])), max_size=30)
steps_ms = st.lists(st.integers(1, 4_900), min_size=1, max_size=40)


@given(monitors=monitors, start=st.integers(0, 10**13), steps=steps_ms)
def test_over_any_sequence_of_ticks_every_monitor_is_due_exactly_once_an_interval(
    monitors: dict[int, int], start: int, steps: list[int]
) -> None:
    rings = rings_of(monitors)
    found: dict[int, list[int]] = {monitor_id: [] for monitor_id in monitors}
    now = start
    for step in steps:
        for monitor_id, slots in slots_of(rings, now, now + step).items():
            found[monitor_id] += slots
        now += step
    for monitor_id, interval_ms in monitors.items():
        phase = phase_ms(monitor_id, interval_ms)
        first = start - start % interval_ms + phase - interval_ms
        assert found[monitor_id] == [slot for slot in range(first, now + 1, interval_ms) if slot > start]


@given(
    monitors=monitors,
    start=st.integers(10**12, 10**13),
    changes=st.lists(
        st.tuples(st.integers(1, 4_900), st.integers(1, 6), st.sampled_from([0, 5_000, 10_000])), max_size=30
    ),
)
def test_updates_in_between_never_disturb_the_other_monitors(
    monitors: dict[int, int], start: int, changes: list[tuple[int, int, int]]
) -> None:
    rings = rings_of(monitors)
    others = {monitor_id: interval for monitor_id, interval in monitors.items() if monitor_id > 6}
    alone = rings_of(others)
    now = start
    for step, changed, interval_ms in changes:
        if interval_ms:
            rings.put(changed, interval_ms)
        else:
            rings.remove(changed)
        found = slots_of(rings, now, now + step)
        assert {each: slots for each, slots in found.items() if each > 6} == slots_of(alone, now, now + step)
        now += step


@given(monitors=monitors, start=st.integers(10**12, 10**13), gap=st.integers(5_001, 200_000))
def test_a_long_gap_gives_each_monitor_its_latest_slot_once(monitors: dict[int, int], start: int, gap: int) -> None:
    rings = rings_of(monitors)
    due = rings.due(start, start + gap)
    found = slots_of(rings, start, start + gap)
    skipped = 0
    for monitor_id, interval_ms in monitors.items():
        phase = phase_ms(monitor_id, interval_ms)
        first = start - start % interval_ms - interval_ms + phase
        slots = [slot for slot in range(first, start + gap + 1, interval_ms) if start < slot]
        assert found.get(monitor_id, []) == slots[-1:]
        skipped += max(0, len(slots) - 1)
    assert due.skipped == skipped
