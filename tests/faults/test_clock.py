"""Clocks of the services that jump by an hour, by libfaketime; the servers and the targets keep the true time."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from tests.faults.enduring import endure
from tests.faults.site import open_site

pytestmark = [pytest.mark.faults, pytest.mark.timeout(400)]
LIBRARIES = tuple(Path("/usr/lib").glob("*/faketime/libfaketimeMT.so.1"))


@pytest.mark.skipif(not LIBRARIES, reason="libfaketime is not installed (on Debian: apt install libfaketime)")
@pytest.mark.parametrize("hours", ["+1", "-1"])
async def test_the_clock_jumps_and_jumps_back(folder: Path, hours: str) -> None:
    offset = folder / "offset"
    _set(offset, "+0")

    @asynccontextmanager
    async def fault() -> AsyncIterator[None]:
        _set(offset, f"{hours}h")
        try:
            yield
        finally:
            _set(offset, "+0")

    async with open_site(folder):
        pass  # makes the database: under libfaketime that sometimes fails while it waits for a program to end
    async with open_site(
        folder,
        LD_PRELOAD=str(LIBRARIES[0]),
        FAKETIME_TIMESTAMP_FILE=str(offset),
        FAKETIME_NO_CACHE="1",
        FAKETIME_DONT_FAKE_MONOTONIC="1",
    ) as site:
        title = f"clocks of the services {hours} h for 30 s"
        verdict, count, seconds = await endure(site, title, fault, 30)
        told = await site.rows("select type from log.events where type like 'schedule.%' or type like 'system.%'")
        print("faults: events", [row["type"] for row in told], flush=True)
        away = "select count(*) as n from health.check_results where abs(extract(epoch from now() - slot)) > 1800"
        print("faults: results with slots of another hour", await site.rows(away), flush=True)
    assert verdict.is_clean, verdict
    assert count.doubled == 0, count
    assert seconds <= 30


def _set(file: Path, offset: str) -> None:
    """At once: a process that reads half of it would complain."""
    draft = file.with_suffix(".new")
    draft.write_text(f"{offset}\n")
    draft.replace(file)
