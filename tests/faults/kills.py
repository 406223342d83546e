"""Random kills: who dies when, and which target fails meanwhile, all from one seed."""

import asyncio
import os
import random
import signal
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field

from tests.faults.site import INTERVAL_SECONDS, VICTIMS, Site, now_ms

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


@dataclass(frozen=True)
class Kill:
    victim: str
    at_ms: int
    seconds: float


def blame(slots_ms: Iterable[int], kills: Sequence[Kill]) -> Counter[str]:
    """Who was away when each of these slots was due, or had just been: what is nobody's is counted as `nobody`."""
    found: Counter[str] = Counter()
    for slot_ms in slots_ms:
        away = (
            kill.victim
            for kill in reversed(kills)
            if kill.at_ms - INTERVAL_SECONDS * 1000 <= slot_ms <= kill.at_ms + kill.seconds * 1000
        )
        found[next(away, "nobody")] += 1
    return found


@dataclass
class Storm:
    site: Site
    rng: random.Random
    kills: list[Kill] = field(default_factory=list)
    _over: bool = False

    async def run(self, order: list[str], say: Callable[[str], None] = _say) -> None:
        playing = [asyncio.create_task(self._play(name)) for name in self.site.names if name != "steady"]
        try:
            for number, victim in enumerate(order, 1):
                await asyncio.sleep(self.rng.uniform(0, 3))
                kill = await self._kill(victim)
                self.kills.append(kill)
                say(f"{number}/{len(order)} {victim}: {kill.seconds:.1f} s")
        finally:
            self._over = True
        await asyncio.gather(*playing)

    async def _kill(self, victim: str) -> Kill:
        since_ms = now_ms()
        os.kill(self.site.up.child(VICTIMS[victim]), signal.SIGKILL)
        return Kill(victim, since_ms, await self.site.recovered(since_ms))

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


def worst(kills: Iterable[Kill]) -> dict[str, float]:
    """The longest recovery of each victim, in seconds."""
    found: dict[str, float] = {}
    for kill in kills:
        found[kill.victim] = max(kill.seconds, found.get(kill.victim, 0.0))
    return dict(sorted(found.items()))
