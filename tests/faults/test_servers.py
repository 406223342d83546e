"""Servers that run out of room, restart, stand still, or come back with less than they had."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import asyncpg
import pytest

from farwatch_cli.embedded.postgres import PostgresServer
from tests.faults.disks import filled, small_disk
from tests.faults.enduring import endure
from tests.faults.signals import stopped
from tests.faults.site import AWAY, VICTIMS, Site, open_site

pytestmark = [pytest.mark.faults, pytest.mark.timeout(400)]


async def use_up_the_log(site: Site) -> None:
    """Switches to new segments of the write-ahead log until there is no room for one: waiting for it takes long."""
    server = PostgresServer(site.up.data_dir / "postgres")
    with suppress(*AWAY):
        connection = await asyncpg.connect(server.superuser_url("farwatch"), timeout=5)
        try:
            for _ in range(40):
                await connection.execute("select pg_switch_wal(), pg_logical_emit_message(false, 'x', 'y')", timeout=5)
        finally:
            connection.terminate()


async def test_the_disk_of_postgresql_is_full(folder: Path) -> None:
    with small_disk(folder / "data" / "postgres" / "home", 320) as disk:
        async with open_site(folder) as site:

            @asynccontextmanager
            async def fault() -> AsyncIterator[None]:
                async with filled(disk)():
                    await use_up_the_log(site)
                    yield

            verdict, count, seconds = await endure(site, "PostgreSQL's disk full for 30 s", fault, 30)
            assert "No space left on device" in (folder / "data" / "logs" / "postgres.log").read_text()
    assert verdict.is_clean, verdict
    assert count.doubled == 0, count
    assert seconds <= 30


async def test_the_disk_of_nats_is_full(folder: Path) -> None:
    with small_disk(folder / "data" / "nats" / "store", 48) as disk:
        async with open_site(folder) as site:
            verdict, count, seconds = await endure(site, "NATS's disk full for 30 s", filled(disk), 30)
    assert verdict.is_clean, verdict
    assert count.doubled == 0, count
    assert seconds <= 30


@pytest.mark.parametrize("victim", sorted(VICTIMS))
async def test_a_process_stands_still_for_longer_than_an_interval(folder: Path, victim: str) -> None:
    async with open_site(folder) as site:
        verdict, count, _ = await endure(site, f"{victim} stopped for 12 s", stopped(site, victim), 12)
    assert verdict.is_clean, verdict
    assert count.doubled == 0, count
