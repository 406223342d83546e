"""The simulator with many seeds. A failing one is named; `python -m tests.unit.incidents.simulator <seed>` plays it."""

import os

import pytest

from tests.unit.incidents.simulator import Violated, check_history, deliveries, make_plan, play, run

FIRST = int(os.environ.get("SIMULATOR_SEED", "1"))


@pytest.mark.timeout(600)
def test_a_dozen_worlds() -> None:
    for seed in range(FIRST, FIRST + 12):
        play(seed)


@pytest.mark.faults
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("block", range(10))
def test_a_thousand_worlds(block: int) -> None:
    for seed in range(1000 * FIRST + 100 * block, 1000 * FIRST + 100 * block + 100):
        play(seed)


def test_the_same_seed_is_the_same_world() -> None:
    assert make_plan(7) == make_plan(7)
    assert deliveries(make_plan(7)) == deliveries(make_plan(7))


def test_the_checks_see_what_is_wrong() -> None:
    """A simulator that never complains proves nothing: one of its own histories, tampered with."""
    plan = make_plan(1)
    store = run(plan, deliveries(plan), crashes=0.0, rhythm=1)
    check_history(store)
    opened = next(index for index, event in enumerate(store.events) if event.type == "incident.opened")
    store.events.insert(opened, store.events[opened])
    with pytest.raises(Violated, match="two unresolved incidents"):
        check_history(store)
