"""When new checks are started, by how long the turns of the loop take."""

import asyncio
from collections.abc import Iterable

import pytest

from farwatch_prober.pace import LONGEST_HOLD_SECONDS, LONGEST_TURN_SECONDS, Pace

QUICK, SLOW = LONGEST_TURN_SECONDS / 2, LONGEST_TURN_SECONDS * 2


class Turns:
    """A clock that moves on by what the next turn takes; the last one is for all that follow."""

    def __init__(self, *seconds: float) -> None:
        self._turns = iter(seconds)
        self._last = seconds[-1]
        self._now: float | None = None
        self.taken = -1

    def __call__(self) -> float:
        self.taken += 1
        self._now = 100.0 if self._now is None else self._now + next(self._turns, self._last)
        return self._now


@pytest.mark.parametrize(
    ("turns", "taken", "held"),
    [
        ([QUICK], 1, 0.0),
        ([LONGEST_TURN_SECONDS * 0.99], 1, 0.0),
        ([SLOW, QUICK], 2, SLOW + QUICK),
        ([SLOW, SLOW, SLOW, QUICK, SLOW], 4, 3 * SLOW + QUICK),
    ],
)
async def test_starting_waits_until_the_loop_turns_quickly(turns: Iterable[float], taken: int, held: float) -> None:
    clock = Turns(*turns)
    pace = Pace(clock)
    await pace.breathe()
    assert clock.taken == taken
    assert pace.held_seconds == pytest.approx(held)
    assert not pace.is_holding


async def test_starting_goes_on_after_a_while_though_every_turn_is_slow() -> None:
    pace = Pace(Turns(SLOW))
    await pace.breathe()
    assert pace.held_seconds == pytest.approx(LONGEST_HOLD_SECONDS, abs=2 * SLOW)


async def test_one_turn_beyond_all_patience_is_not_waited_for_twice() -> None:
    clock = Turns(LONGEST_HOLD_SECONDS * 5)
    await Pace(clock).breathe()
    assert clock.taken == 1


async def test_holding_is_seen_while_it_lasts_and_its_time_adds_up() -> None:
    pace = Pace(Turns(SLOW, SLOW, QUICK, 0.0, SLOW, QUICK))
    seen: list[bool] = []

    async def look() -> None:
        while True:
            seen.append(pace.is_holding)
            await asyncio.sleep(0)

    looking = asyncio.create_task(look())
    await pace.breathe()
    await pace.breathe()
    looking.cancel()
    assert True in seen
    assert pace.held_seconds == pytest.approx(3 * SLOW + 2 * QUICK)


async def test_what_runs_comes_first() -> None:
    order: list[str] = []
    asyncio.get_running_loop().call_soon(order.append, "what runs")
    await Pace(Turns(QUICK)).breathe()
    order.append("what is new")
    assert order == ["what runs", "what is new"]
