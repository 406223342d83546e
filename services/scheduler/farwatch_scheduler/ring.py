"""When each monitor is due: one static ring per interval, a fixed place on it per monitor. Pure."""

from collections.abc import Iterator
from dataclasses import dataclass, field

TICK_MS = 100


def phase_ms(monitor_id: int, interval_ms: int) -> int:
    """The monitor's place within its interval: the same in every process and region, spread evenly over monitors."""
    return _mix(monitor_id) % (interval_ms // TICK_MS) * TICK_MS


def _mix(value: int) -> int:
    """The finaliser of SplitMix64 (Steele, Lea, Flood 2014): consecutive ids end up far apart."""
    mask = (1 << 64) - 1
    value = (value + 0x9E3779B97F4A7C15) & mask
    value = (value ^ value >> 30) * 0xBF58476D1CE4E5B9 & mask
    value = (value ^ value >> 27) * 0x94D049BB133111EB & mask
    return value ^ value >> 31


@dataclass(slots=True)
class Due:
    """`slots` are (slot_ms, monitor ids ascending), oldest first; `skipped` counts those too old to be made up."""

    slots: list[tuple[int, list[int]]] = field(default_factory=list)
    skipped: int = 0


class Rings:
    """Every scheduled monitor. A slot of a monitor is a moment t with t mod interval = its phase."""

    def __init__(self) -> None:
        self._rings: dict[int, dict[int, set[int]]] = {}
        self._intervals: dict[int, int] = {}

    def __len__(self) -> int:
        return len(self._intervals)

    def put(self, monitor_id: int, interval_ms: int) -> None:
        """Adds the monitor, or moves it to another interval."""
        if self._intervals.get(monitor_id) == interval_ms:
            return
        self.remove(monitor_id)
        ring = self._rings.setdefault(interval_ms, {})
        ring.setdefault(phase_ms(monitor_id, interval_ms), set()).add(monitor_id)
        self._intervals[monitor_id] = interval_ms

    def remove(self, monitor_id: int) -> None:
        interval_ms = self._intervals.pop(monitor_id, None)
        if interval_ms is None:
            return
        ring = self._rings[interval_ms]
        phase = phase_ms(monitor_id, interval_ms)
        ring[phase].discard(monitor_id)
        if not ring[phase]:
            del ring[phase]
        if not ring:
            del self._rings[interval_ms]

    def due(self, after_ms: int, until_ms: int) -> Due:
        """Each monitor's latest slot in (after, until], if it has one: a gap is caught up by one interval at most."""
        if not self._rings or until_ms <= after_ms:
            return Due()
        if until_ms - after_ms <= min(self._rings):
            return Due(list(self._by_tick(after_ms, until_ms)))
        return self._by_monitor(after_ms, until_ms)

    def _by_tick(self, after_ms: int, until_ms: int) -> Iterator[tuple[int, list[int]]]:
        """For gaps no longer than the shortest interval, in which no monitor can have two slots."""
        first = after_ms - after_ms % TICK_MS + TICK_MS
        for tick_ms in range(first, until_ms + 1, TICK_MS):
            ids: list[int] = []
            for interval_ms, ring in self._rings.items():
                ids.extend(ring.get(tick_ms % interval_ms, ()))
            if ids:
                ids.sort()
                yield tick_ms, ids

    def _by_monitor(self, after_ms: int, until_ms: int) -> Due:
        found: dict[int, list[int]] = {}
        skipped = 0
        for interval_ms, ring in self._rings.items():
            for phase, ids in ring.items():
                slot_ms = until_ms - (until_ms - phase) % interval_ms
                if slot_ms > after_ms:
                    found.setdefault(slot_ms, []).extend(ids)
                    skipped += (slot_ms - after_ms - 1) // interval_ms * len(ids)
        return Due([(slot_ms, sorted(found[slot_ms])) for slot_ms in sorted(found)], skipped)
