"""Push monitors: the clock that counts only time in which a push could have arrived, and the wheel of deadlines."""

import heapq
from collections.abc import Callable

Moment = Callable[[int, str], int | None]
"""The true moment of a monitor in a region, None when nothing is waited for."""

LONGEST_PAUSE_MS = 6_000
"""The api beats every 2 s; a longer gap between its messages is time in which nobody could have pushed."""


def advance_push_clock(clock_ms: int, last_seen_ms: int, seen_ms: int) -> int:
    """The clock after a message of region push at `seen_ms`, the one before it having come at `last_seen_ms`."""
    gap_ms = seen_ms - last_seen_ms
    return clock_ms + gap_ms if 0 < gap_ms <= LONGEST_PAUSE_MS else clock_ms


class DueQueue:
    """One pending moment a key. A key whose true moment moved on is queued again when its old one comes up, so that
    a result costs nothing here."""

    def __init__(self) -> None:
        self._heap: list[tuple[int, int, str]] = []
        self._queued: set[tuple[int, str]] = set()

    def __len__(self) -> int:
        return len(self._heap)

    def __contains__(self, key: object) -> bool:
        return key in self._queued

    def watch(self, monitor_id: int, region: str, at_ms: int) -> None:
        """Makes sure the key is queued. A moment earlier than the queued one is noticed only when that comes up."""
        if (monitor_id, region) not in self._queued:
            self._queued.add((monitor_id, region))
            heapq.heappush(self._heap, (at_ms, monitor_id, region))

    def hasten(self, monitor_id: int, region: str, at_ms: int) -> None:
        """As watch, and noticed at `at_ms` in any case."""
        self._queued.add((monitor_id, region))
        heapq.heappush(self._heap, (at_ms, monitor_id, region))

    def pop_due(self, clock_ms: int, moment: Moment, most: int = 1000) -> list[tuple[int, str]]:
        """Keys whose moment has come, at most `most`. `moment(monitor_id, region)` is the true one, None for gone."""
        due: list[tuple[int, str]] = []
        while self._heap and self._heap[0][0] <= clock_ms and len(due) < most:
            _, monitor_id, region = heapq.heappop(self._heap)
            if (monitor_id, region) not in self._queued:
                continue
            self._queued.discard((monitor_id, region))
            at_ms = moment(monitor_id, region)
            if at_ms is None:
                continue
            if at_ms <= clock_ms:
                due.append((monitor_id, region))
            else:
                self.watch(monitor_id, region, at_ms)
        return due
