"""Asking over a connection, without one."""

import asyncio
from typing import Any

import pytest

from farwatch_bus.link import Address, Link


class Answering:
    """Stands for nats-py's client: waits for an answer as that does."""

    is_connected = True
    is_closed = False

    def __init__(self) -> None:
        self.answer: asyncio.Future[Any] = asyncio.get_running_loop().create_future()

    async def request(self, *_: Any, **__: Any) -> Any:
        return await asyncio.wait_for(self.answer, 5)


async def test_a_cancellation_that_meets_the_answer_is_not_forgotten() -> None:
    link = Link(Address("nats://127.0.0.1:4222", "test"))
    client = Answering()
    link._client = client  # type: ignore[assignment]
    rounds = 0

    async def work() -> None:
        nonlocal rounds
        while rounds < 3:
            await link.request("a.b", b"", 2.0)
            rounds += 1
            await asyncio.sleep(0)

    task = asyncio.create_task(work())
    await asyncio.sleep(0.01)
    client.answer.set_result("yes")
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert rounds == 0
