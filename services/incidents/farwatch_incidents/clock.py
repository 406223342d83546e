"""The fold's time: JetStream's, carried on between messages by the monotonic clock while the fold is caught up."""

LONGEST_STEP_MS = 1_500
"""More than this between two ticks means that we were not looking: a stall, a sleep, a lost connection."""


class FoldClock:
    def __init__(self, now_ms: int, monotonic_ms: int) -> None:
        self._base_ms = now_ms
        self._base_monotonic_ms = monotonic_ms
        self._ticked_ms = monotonic_ms

    def hear(self, timestamp_ms: int, monotonic_ms: int) -> None:
        """A message of this JetStream time came in."""
        if timestamp_ms >= self.now(monotonic_ms) or self._base_ms < timestamp_ms:
            self._base_ms, self._base_monotonic_ms = timestamp_ms, monotonic_ms

    def now(self, monotonic_ms: int) -> int:
        return self._base_ms + monotonic_ms - self._base_monotonic_ms

    def tick(self, monotonic_ms: int, *, watching: bool) -> tuple[int, int]:
        """The time now, and how much of the time since the last tick counts as watched."""
        elapsed_ms, self._ticked_ms = monotonic_ms - self._ticked_ms, monotonic_ms
        if not watching:
            return self._base_ms, 0
        return self.now(monotonic_ms), min(elapsed_ms, LONGEST_STEP_MS)
