import asyncio

import pytest

from farwatch_prober.watchdog import Watchdog


async def overrun(watchdog: Watchdog, seconds: float) -> str:
    task = asyncio.current_task()
    assert task is not None
    watchdog.watch(task, task.get_loop().time() + seconds)
    try:
        await asyncio.sleep(5)
    except asyncio.CancelledError:
        if watchdog.release(task):
            return "overrun"
        raise
    return "slept"


async def test_what_overran_is_told_from_what_was_cancelled_by_others() -> None:
    watchdog = Watchdog()
    tasks = [asyncio.create_task(overrun(watchdog, seconds)) for seconds in (0.05, 0.1, 60)]
    await asyncio.sleep(0.05)
    tasks[2].cancel()
    assert await asyncio.gather(*tasks[:2]) == ["overrun"] * 2
    with pytest.raises(asyncio.CancelledError):
        await tasks[2]


async def test_a_task_that_was_released_in_time_is_left_alone() -> None:
    watchdog = Watchdog()
    task = asyncio.current_task()
    assert task is not None
    watchdog.watch(task, task.get_loop().time())
    assert not watchdog.release(task)
    await asyncio.sleep(0.4)
    assert task.cancelling() == 0
