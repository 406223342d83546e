"""Servers that run out of room, restart, stand still, or come back with less than they had."""

from pathlib import Path

import pytest

from tests.faults.disks import filled, small_disk
from tests.faults.enduring import endure
from tests.faults.signals import stopped
from tests.faults.site import VICTIMS, open_site

pytestmark = [pytest.mark.faults, pytest.mark.timeout(400)]


async def test_the_disk_of_postgresql_is_full(folder: Path) -> None:
    with small_disk(folder / "data" / "postgres" / "home", 320) as disk:
        async with open_site(folder) as site:
            verdict, count, seconds = await endure(site, "PostgreSQL's disk full for 30 s", filled(disk), 30)
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
