"""How fast new checks are started: never so many that those under way are timed wrongly."""

import asyncio
import time
from collections.abc import Callable

LONGEST_TURN_SECONDS = 0.01
"""A turn of the loop that takes longer makes answers look that much later than they were."""
STARTS_A_TURN = 4
"""More make turns longer, and with them all that is timed; fewer cost more turns (docs/performance.md has both)."""
LONGEST_HOLD_SECONDS = 1.0


class Pace:
    """`held_seconds` is how long starting was put off in all; `is_holding` while it is."""

    def __init__(self, clock: Callable[[], float] = time.perf_counter) -> None:
        self._clock = clock
        self.held_seconds = 0.0
        self.is_holding = False

    async def breathe(self) -> None:
        """Lets what runs come first, until the loop turns quickly again or a second has passed."""
        began = turn_began = self._clock()
        while True:
            await asyncio.sleep(0)
            now = self._clock()
            if now - turn_began <= LONGEST_TURN_SECONDS or now - began >= LONGEST_HOLD_SECONDS:
                break
            self.is_holding = True
            turn_began = now
        if self.is_holding:
            self.held_seconds += now - began
            self.is_holding = False
