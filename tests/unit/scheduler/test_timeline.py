"""Clock, resumption, parking and checkpoint, as tables."""

import pytest

from farwatch_scheduler.timeline import Timeline, floor_tick, is_parked, is_step, resume_from, safe_checkpoint

NOW = 1_790_000_000_050


def test_time_goes_on_with_the_monotonic_clock() -> None:
    timeline = Timeline(wall_ms=NOW, monotonic_ms=500)
    assert timeline.at(1_500) == NOW + 1_000


@pytest.mark.parametrize(
    ("moved_ms", "step"),
    [(0, False), (2_000, False), (-2_000, False), (2_001, True), (-2_001, True), (3_600_000, True)],
)
def test_a_wall_clock_set_by_more_than_two_seconds_is_a_step(moved_ms: int, step: bool) -> None:
    timeline = Timeline(wall_ms=NOW, monotonic_ms=500)
    assert timeline.step_ms(NOW + 7_000 + moved_ms, 7_500) == moved_ms
    assert is_step(moved_ms) is step


@pytest.mark.parametrize(
    ("checkpoint_ms", "resumed_ms"),
    [
        (0, NOW - 50),  # the very first start owes nothing
        (NOW - 3_000, NOW - 3_000),
        (NOW - 86_400_000, NOW - 86_400_000),  # the rings bound what is made up
        (NOW + 1_900, NOW + 1_900),  # another machine's clock
        (NOW + 2_100, NOW - 50),  # our clock was set back
    ],
)
def test_where_to_resume(checkpoint_ms: int, resumed_ms: int) -> None:
    assert resume_from(checkpoint_ms, NOW) == resumed_ms


def test_ticks_are_whole() -> None:
    assert [floor_tick(each) for each in (0, 99, 100, 199, NOW)] == [0, 0, 100, 100, NOW - 50]


@pytest.mark.parametrize(("ahead_ms", "parked"), [(-3_600_000, False), (0, False), (60_000, False), (60_001, True)])
def test_slots_far_ahead_of_the_bus_are_parked(ahead_ms: int, parked: bool) -> None:
    assert is_parked(ahead_ms) is parked


@pytest.mark.parametrize(
    ("unstored", "checkpoint"), [([], 1_000), ([900], 899), ([900, 300, 700], 299), ([1_000], 999), ([1_500], 1_000)]
)
def test_the_checkpoint_stays_before_what_is_not_stored(unstored: list[int], checkpoint: int) -> None:
    assert safe_checkpoint(1_000, unstored) == checkpoint
