"""How late the event loop runs, which is how far timings can be trusted."""

import asyncio
import time

PERIOD_SECONDS = 0.1
DECAY = 0.9


class LagMeter:
    """`current_ms`: the worst of late, fading within seconds."""

    def __init__(self) -> None:
        self.current_ms = 0.0

    async def run(self) -> None:
        while True:
            due = time.perf_counter() + PERIOD_SECONDS
            await asyncio.sleep(PERIOD_SECONDS)
            late_ms = max(0.0, time.perf_counter() - due) * 1000
            self.current_ms = max(late_ms, self.current_ms * DECAY)
