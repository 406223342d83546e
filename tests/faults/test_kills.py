"""kill -9 of every process in any order, the servers too, while targets fail and recover."""

import random
from collections import Counter
from pathlib import Path

import pytest

from tests.faults.kills import Storm, blame, order_of, worst
from tests.faults.site import INTERVAL_SECONDS, Site, open_site, report

MONITORS = ("steady", *(f"site-{number}" for number in range(1, 9)))
PROCESS_SECONDS, SERVER_SECONDS = 10.0, 30.0


async def storm(site: Site, rng: random.Random, order: list[str], title: str) -> dict[str, float]:
    """The longest recovery of each victim; nothing was lost, doubled or made up."""
    await site.add_monitors(MONITORS)
    run = Storm(site, rng)
    await run.run(order)
    await site.settled()
    verdict, count = await site.verdict(), await site.slots()
    kills = Counter(kill.victim for kill in run.kills)
    missed_after = blame((each["slot_ms"] for each in count.examples), run.kills)
    report(title, verdict, count, worst(run.kills), kills=kills, missed_after=missed_after)
    assert verdict.outages >= len(MONITORS) - 1
    assert verdict.is_clean, verdict
    assert count.doubled == 0, count
    slowest = max(worst(run.kills).values())
    assert count.missed == 0 or slowest > INTERVAL_SECONDS, count  # one interval at most is made up for
    assert "nobody" not in missed_after, count
    return worst(run.kills)


@pytest.mark.faults
@pytest.mark.faults_short
@pytest.mark.timeout(600)
async def test_twelve_kills(folder: Path, rng: random.Random) -> None:
    async with open_site(folder) as site:
        await storm(site, rng, order_of(rng, rounds=1, extra=5), "12 random kills")


@pytest.mark.faults
@pytest.mark.timeout(5400)
async def test_twenty_five_kills_of_each(folder: Path, rng: random.Random) -> None:
    async with open_site(folder) as site:
        longest = await storm(site, rng, order_of(rng, rounds=25), "25 kills of each process")
    servers = {"nats", "postgres"}
    limits = {victim: SERVER_SECONDS if victim in servers else PROCESS_SECONDS for victim in longest}
    assert {victim: seconds for victim, seconds in longest.items() if seconds > limits[victim]} == {}
