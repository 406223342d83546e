"""A notifier on a real store, with the rights it has in production."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import pytest
import trustme
from prometheus_client import CollectorRegistry

from farwatch_notifier.app import Notifier
from farwatch_notifier.outbound import Outbound
from farwatch_store import Database
from tests.integration.notifier.world import World
from tests.support.http import HttpServer

PUBLIC_URL = "https://watch.example"


@pytest.fixture
def world(database: Database) -> World:
    return World(database)


@pytest.fixture(scope="session")
def authority(tmp_path_factory: pytest.TempPathFactory) -> tuple[trustme.CA, Path]:
    ca = trustme.CA()
    path = tmp_path_factory.mktemp("ca") / "ca.pem"
    ca.cert_pem.write_to_path(str(path))
    return ca, path


StartNotifier = Callable[[], Awaitable[Notifier]]


@asynccontextmanager
async def running(url: str, world: World, ca_file: Path) -> AsyncIterator[Notifier]:
    db = await Database.connect(url, role="farwatch_notifier", name="farwatch_notifier")
    outbound = Outbound.create(ca_file)
    notifier = Notifier(db, world.box, outbound, CollectorRegistry(), PUBLIC_URL)
    stop = asyncio.Event()
    task = asyncio.create_task(notifier.run(stop))
    try:
        yield notifier
    finally:
        stop.set()
        await asyncio.wait_for(task, 15)
        await outbound.close()
        await db.close()


@pytest.fixture
async def start(database_url: str, world: World, authority: tuple[trustme.CA, Path]) -> AsyncIterator[StartNotifier]:
    """Starts notifiers on the test's store; they stop at its end."""
    async with AsyncExitStack() as stack:

        async def one() -> Notifier:
            return await stack.enter_async_context(running(database_url, world, authority[1]))

        yield one


@pytest.fixture
async def notifier(start: StartNotifier) -> Notifier:
    return await start()


@pytest.fixture
async def second_sink() -> AsyncIterator[HttpServer]:
    server = HttpServer()
    await server.start()
    yield server
    await server.stop()
