"""Streams that are deleted under a running Farwatch, and a NATS that comes back with an old store."""

import asyncio
import shutil
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import pytest

from farwatch_bus import Bus, delete_stream, stream_info
from farwatch_events.subjects import LEASES_BUCKET, checks_stream, results_stream
from tests.faults.enduring import endure
from tests.faults.site import Site, open_site, start_up
from tests.support.waiting import eventually

pytestmark = [pytest.mark.faults, pytest.mark.timeout(400)]
STREAMS = {
    "checks": checks_stream("local"),
    "results": results_stream("local"),
    "events": "EVENTS",
    "leases": f"KV_{LEASES_BUCKET}",
}


@asynccontextmanager
async def bus_of(site: Site) -> AsyncIterator[Bus]:
    """As the incidents service, which may delete streams."""
    nats = site.up.data_dir / "nats"
    password = (nats / "passwords" / "incidents").read_text().strip()
    url = f"nats://127.0.0.1:{(nats / 'port').read_text().strip()}"
    bus = await Bus.connect(url, name="fault", user="incidents", password=password)
    try:
        yield bus
    finally:
        await bus.close()


@pytest.mark.parametrize("kind", sorted(STREAMS))
async def test_a_stream_is_deleted(folder: Path, kind: str) -> None:
    stream = STREAMS[kind]
    async with open_site(folder) as site, bus_of(site) as bus:

        @asynccontextmanager
        async def fault() -> AsyncIterator[None]:
            await delete_stream(bus, stream)
            yield
            await eventually(lambda: stream_info(bus, stream), 60, 0.2)

        title = f"stream of {kind} deleted"
        verdict, count, seconds = await endure(site, title, fault, 20, from_begin=True)
    assert verdict.is_clean, verdict
    assert count.doubled == 0, count
    assert seconds <= 20 + 30


async def test_an_old_store_of_nats_is_restored(folder: Path) -> None:
    """Farwatch is stopped, the store of some while ago put in the place of the one there is, and started again."""
    store, old = folder / "data" / "nats" / "store", folder / "old-store"
    async with open_site(folder) as site, AsyncExitStack() as later:
        settings = {"FARWATCH_HEALTH_PORT": str(site.health_port)}

        async def start_again() -> None:
            site.up = await start_up(later, folder, **settings)

        @asynccontextmanager
        async def fault() -> AsyncIterator[None]:
            await asyncio.to_thread(site.up.stop)
            shutil.rmtree(store)
            shutil.copytree(old, store, dirs_exist_ok=True)
            yield
            await start_again()

        await site.add_monitors(("steady", "steady-too", "before", "within", "ends-within"))
        await asyncio.to_thread(site.up.stop)
        shutil.copytree(store, old)
        await start_again()
        await asyncio.sleep(15)
        verdict, count, seconds = await endure(site, "a NATS store of 20 s ago restored", fault, 5)
    assert verdict.is_clean, verdict
    assert count.doubled == 0, count
    assert seconds <= 30
