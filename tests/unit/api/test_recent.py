"""Figures that are kept for a moment: how long, and what is not."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any, cast

import pytest

from farwatch_api.recent import LONGEST_SECONDS, PASSABLE_FACTOR, PASSABLE_SECONDS, STEADY_SECONDS, Recent, keep_seconds
from farwatch_store import Connection

OURS = cast("Connection", "the connection of whoever asks")
LENT = cast("Connection", "one that is lent for figures nobody waits for")


@asynccontextmanager
async def lend() -> AsyncIterator[Connection]:
    yield LENT


def kept_by(clock: "Clock", changes: Callable[[], int | None] = lambda: None) -> Recent:
    return Recent(lend, clock, changes)


async def settle() -> None:
    """Lets what goes on beside us come to its end."""
    while others := asyncio.all_tasks() - {asyncio.current_task()}:
        await asyncio.wait(others)


class Clock:
    now = 100.0

    def __call__(self) -> float:
        return self.now


class Figure:
    """Takes `cost` seconds and counts how often it was asked for."""

    def __init__(self, clock: Clock, cost: float) -> None:
        self.clock, self.cost, self.loads = clock, cost, 0
        self.connections: list[Any] = []

    async def __call__(self, connection: Connection) -> int:
        self.loads += 1
        self.connections.append(connection)
        self.clock.now += self.cost
        return self.loads


@pytest.mark.parametrize(
    ("cost", "kept"), [(0.0, 0.0), (0.0002, 0.01), (0.02, 1.0), (0.1, LONGEST_SECONDS), (3.0, 30.0)]
)
def test_what_costs_more_is_kept_longer(cost: float, kept: float) -> None:
    assert keep_seconds(cost) == pytest.approx(kept)


async def test_a_dear_figure_is_not_shown_for_minutes() -> None:
    clock = Clock()
    recent, figure = kept_by(clock), Figure(clock, 5.0)
    assert await recent.get("counts", figure, OURS) == 1
    clock.now += keep_seconds(5.0) + PASSABLE_SECONDS - 0.1
    assert await recent.get("counts", figure, OURS) == 1
    await settle()
    clock.now += keep_seconds(5.0) + PASSABLE_SECONDS
    assert await recent.get("counts", figure, OURS) == 3


async def test_a_costly_figure_is_found_once_until_its_time_is_over() -> None:
    clock = Clock()
    recent, figure = kept_by(clock), Figure(clock, 0.02)
    assert [await recent.get("counts", figure, OURS) for _ in range(5)] == [1] * 5
    clock.now += PASSABLE_FACTOR * 1.01
    assert await recent.get("counts", figure, OURS) == 2
    assert figure.connections == [OURS, OURS]


async def test_nobody_waits_for_a_figure_that_is_a_little_too_old() -> None:
    clock = Clock()
    recent, figure = kept_by(clock), Figure(clock, 0.02)
    assert await recent.get("counts", figure, OURS) == 1
    clock.now += 1.01
    assert [await recent.get("counts", figure, OURS) for _ in range(3)] == [1, 1, 1]
    await settle()
    assert (await recent.get("counts", figure, OURS), figure.loads) == (2, 2)
    assert figure.connections == [OURS, LENT]


async def test_a_figure_that_cannot_be_renewed_is_found_by_whoever_asks_later() -> None:
    clock, broken = Clock(), [False]
    recent, figure = kept_by(clock), Figure(clock, 0.02)

    async def find(connection: Connection) -> int:
        if broken[0]:
            raise OSError("gone")
        return await figure(connection)

    assert await recent.get("counts", find, OURS) == 1
    clock.now += 1.01
    broken[0] = True
    assert await recent.get("counts", find, OURS) == 1
    await settle()
    clock.now += PASSABLE_FACTOR
    with pytest.raises(OSError, match="gone"):
        await recent.get("counts", find, OURS)
    broken[0] = False
    assert await recent.get("counts", find, OURS) == 2


async def test_what_was_forgotten_does_not_come_back_by_being_renewed() -> None:
    clock, begun, gate = Clock(), asyncio.Event(), asyncio.Event()
    recent, figure = kept_by(clock), Figure(clock, 0.02)

    async def slow(connection: Connection) -> int:
        begun.set()
        await gate.wait()
        return -1

    assert await recent.get("counts", figure, OURS) == 1
    clock.now += 1.01
    assert await recent.get("counts", slow, OURS) == 1
    await begun.wait()
    recent.forget()
    assert await recent.get("counts", figure, OURS) == 2
    gate.set()
    await settle()
    assert await recent.get("counts", figure, OURS) == 2


async def test_names_are_kept_apart() -> None:
    clock = Clock()
    recent = kept_by(clock)
    found = [await recent.get(name, Figure(clock, 1), OURS) for name in ("counts", "tags")]
    assert found == [1, 1]


async def test_an_error_is_not_kept() -> None:
    clock = Clock()
    recent = kept_by(clock)

    async def fail(_: Connection) -> int:
        raise OSError("gone")

    with pytest.raises(OSError, match="gone"):
        await recent.get("counts", fail, OURS)
    assert await recent.get("counts", Figure(clock, 0), OURS) == 1


async def test_while_nothing_changes_a_figure_stays_good_for_longer() -> None:
    clock, changes = Clock(), [0]
    recent = kept_by(clock, lambda: changes[0])
    figure = Figure(clock, 0)
    assert await recent.get("order", figure, OURS) == 1
    clock.now += STEADY_SECONDS - 0.1
    assert await recent.get("order", figure, OURS) == 1
    changes[0] += 1
    assert await recent.get("order", figure, OURS) == 2
    clock.now += PASSABLE_FACTOR * STEADY_SECONDS
    assert await recent.get("order", figure, OURS) == 3


async def test_what_changes_while_a_figure_is_found_makes_it_old() -> None:
    clock, changes = Clock(), [0]
    recent = kept_by(clock, lambda: changes[0])

    async def slow(_: Connection) -> int:
        changes[0] += 1
        return changes[0]

    assert [await recent.get("order", slow, OURS) for _ in range(2)] == [1, 2]


async def test_without_a_listener_only_the_cost_counts() -> None:
    clock = Clock()
    recent, figure = kept_by(clock, lambda: None), Figure(clock, 0)
    assert [await recent.get("order", figure, OURS) for _ in range(2)] == [1, 2]


async def test_who_changes_something_sees_it_at_once() -> None:
    clock = Clock()
    recent, figure = kept_by(clock, lambda: 1), Figure(clock, 1)
    assert await recent.get("order", figure, OURS) == 1
    recent.forget()
    assert await recent.get("order", figure, OURS) == 2
