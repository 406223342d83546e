"""Random kills: who dies when, and which target fails meanwhile, all from one seed."""

import asyncio
import os
import random
import signal
from collections.abc import Callable
from dataclasses import dataclass, field

from tests.faults.site import VICTIMS, Site, now_ms

OUTAGE_SECONDS = (25.0, 40.0)
"""Long enough to be seen although a process dies meanwhile."""
PAUSE_SECONDS = 100.0
"""How long a target stays up before its next outage: with more changes it would count as flapping."""

FIRST_WITHIN_SECONDS = 25.0


def order_of(rng: random.Random, rounds: int, extra: int = 0) -> list[str]:
    """Each victim once a round, and some more, in any order."""
    order = list(VICTIMS) * rounds + rng.choices(list(VICTIMS), k=extra)
    rng.shuffle(order)
    return order


def _say(text: str) -> None:
    print(text, flush=True)


@dataclass
class Storm:
    """`recoveries` are the seconds of each kill by victim."""

    site: Site
    rng: random.Random
    recoveries: dict[str, list[float]] = field(default_factory=dict)
    _over: bool = False

    async def run(self, order: list[str], say: Callable[[str], None] = _say) -> None:
        playing = [asyncio.create_task(self._play(name)) for name in self.site.names if name != "steady"]
        try:
            for number, victim in enumerate(order, 1):
                await asyncio.sleep(self.rng.uniform(0, 3))
                took = await self._kill(victim)
                self.recoveries.setdefault(victim, []).append(took)
                say(f"{number}/{len(order)} {victim}: {took:.1f} s")
        finally:
            self._over = True
        await asyncio.gather(*playing)

    async def _kill(self, victim: str) -> float:
        since_ms = now_ms()
        os.kill(self.site.up.child(VICTIMS[victim]), signal.SIGKILL)
        return await self.site.recovered(since_ms)

    async def _play(self, name: str) -> None:
        """One target's outages, at least one. One that began is seen through before the run ends."""
        await asyncio.sleep(self.rng.uniform(0, FIRST_WITHIN_SECONDS))
        while True:
            self.site.targets.take_down(name)
            await asyncio.sleep(self.rng.uniform(*OUTAGE_SECONDS))
            await self.site.until_down(name, timeout_seconds=120)
            self.site.targets.bring_up(name)
            await self._rest()
            if self._over:
                return

    async def _rest(self) -> None:
        for _ in range(int(PAUSE_SECONDS)):
            if self._over:
                return
            await asyncio.sleep(1)


def worst(recoveries: dict[str, list[float]]) -> dict[str, float]:
    return {victim: max(seconds) for victim, seconds in sorted(recoveries.items())}
