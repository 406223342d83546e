"""How fast new checks are started: never so many that those under way are timed wrongly."""

import asyncio
import time

LONGEST_TURN_SECONDS = 0.01
"""A turn of the loop that takes longer makes answers look that much later than they were."""
STARTS_A_TURN = 8
LONGEST_HOLD_SECONDS = 1.0


class Pace:
    """`held_seconds` is how long starting was put off in all; `is_holding` while it is."""

    def __init__(self) -> None:
        self.held_seconds = 0.0
        self.is_holding = False

    async def breathe(self) -> None:
        """Lets what runs come first, until the loop turns quickly again or a second has passed."""
        began = turn_began = time.perf_counter()
        while True:
            await asyncio.sleep(0)
            now = time.perf_counter()
            if now - turn_began <= LONGEST_TURN_SECONDS or now - began >= LONGEST_HOLD_SECONDS:
                break
            self.is_holding = True
            turn_began = now
        if self.is_holding:
            self.held_seconds += now - began
            self.is_holding = False
