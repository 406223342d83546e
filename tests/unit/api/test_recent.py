"""Figures that are kept for a moment: how long, and what is not."""

import pytest

from farwatch_api.recent import LONGEST_SECONDS, STEADY_SECONDS, Recent, keep_seconds


class Clock:
    now = 100.0

    def __call__(self) -> float:
        return self.now


class Figure:
    """Takes `cost` seconds and counts how often it was asked for."""

    def __init__(self, clock: Clock, cost: float) -> None:
        self.clock, self.cost, self.loads = clock, cost, 0

    async def __call__(self) -> int:
        self.loads += 1
        self.clock.now += self.cost
        return self.loads


@pytest.mark.parametrize(("cost", "kept"), [(0.0, 0.0), (0.0002, 0.01), (0.02, 1.0), (3.0, LONGEST_SECONDS)])
def test_what_costs_more_is_kept_longer_but_never_long(cost: float, kept: float) -> None:
    assert keep_seconds(cost) == pytest.approx(kept)


async def test_a_costly_figure_is_found_once_until_its_time_is_over() -> None:
    clock = Clock()
    recent, figure = Recent(clock), Figure(clock, 0.02)
    assert [await recent.get("counts", figure) for _ in range(5)] == [1] * 5
    clock.now += 1.01
    assert await recent.get("counts", figure) == 2


async def test_names_are_kept_apart() -> None:
    clock = Clock()
    recent = Recent(clock)
    assert (await recent.get("counts", Figure(clock, 1)), await recent.get("tags", Figure(clock, 1))) == (1, 1)


async def test_an_error_is_not_kept() -> None:
    recent = Recent()

    async def fail() -> int:
        raise OSError("gone")

    with pytest.raises(OSError, match="gone"):
        await recent.get("counts", fail)
    clock = Clock()
    assert await recent.get("counts", Figure(clock, 0)) == 1


async def test_while_nothing_changes_a_figure_stays_good_for_longer() -> None:
    clock, changes = Clock(), [0]
    recent = Recent(clock, lambda: changes[0])
    figure = Figure(clock, 0)
    assert await recent.get("order", figure) == 1
    clock.now += STEADY_SECONDS - 0.1
    assert await recent.get("order", figure) == 1
    changes[0] += 1
    assert await recent.get("order", figure) == 2
    clock.now += STEADY_SECONDS
    assert await recent.get("order", figure) == 3


async def test_what_changes_while_a_figure_is_found_makes_it_old() -> None:
    clock, changes = Clock(), [0]
    recent = Recent(clock, lambda: changes[0])

    async def slow() -> int:
        changes[0] += 1
        return changes[0]

    assert [await recent.get("order", slow) for _ in range(2)] == [1, 2]


async def test_without_a_listener_only_the_cost_counts() -> None:
    clock = Clock()
    recent, figure = Recent(clock, lambda: None), Figure(clock, 0)
    assert [await recent.get("order", figure) for _ in range(2)] == [1, 2]


async def test_who_changes_something_sees_it_at_once() -> None:
    clock = Clock()
    recent, figure = Recent(clock, lambda: 1), Figure(clock, 1)
    assert await recent.get("order", figure) == 1
    recent.forget()
    assert await recent.get("order", figure) == 2
