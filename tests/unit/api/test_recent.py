"""Figures that are kept for a moment: how long, and what is not."""

import pytest

from farwatch_api.recent import LONGEST_SECONDS, Recent, keep_seconds


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
