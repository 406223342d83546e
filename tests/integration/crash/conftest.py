"""A Farwatch of each test's own, with its four channels."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from tests.integration.crash.running import Running, Sinks
from tests.support.servers import server_folder
from tests.support.up import Up, free_ports


@pytest.fixture
async def sinks() -> AsyncIterator[Sinks]:
    made = Sinks()
    await made.start()
    yield made
    await made.stop()


@pytest.fixture
async def running(sinks: Sinks) -> AsyncIterator[Running]:
    with server_folder("crash") as folder:
        health_port = free_ports(5)
        up = Up(folder, FARWATCH_HEALTH_PORT=str(health_port))
        try:
            await asyncio.to_thread(up.wait_ready)
            made = Running(up, sinks, health_port)
            try:
                await made.add_channels()
                yield made
            finally:
                await made.close()
        finally:
            await asyncio.to_thread(up.stop)
