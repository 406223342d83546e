"""The two clocks. Pure modules take their `now` as an argument; only the edges call these."""

import time


def now_ms() -> int:
    """Wall clock, milliseconds since 1970 in UTC. May jump; never use it to measure."""
    return time.time_ns() // 1_000_000


def monotonic_ms() -> int:
    """Milliseconds from an arbitrary start. Never goes backwards; means nothing in another process."""
    return time.monotonic_ns() // 1_000_000
