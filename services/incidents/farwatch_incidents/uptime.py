"""Uptime by time: how long a monitor stood in each verdict. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass

Span = tuple[int, int]


@dataclass(slots=True)
class Uptime:
    """Seconds. What is in none of them was not looked at: pending, paused, or before the monitor existed."""

    up: float = 0.0
    degraded: float = 0.0
    down: float = 0.0
    unknown: float = 0.0
    maintenance: float = 0.0

    def is_empty(self) -> bool:
        return self.up + self.degraded + self.down + self.unknown + self.maintenance == 0.0


def merge_spans(spans: Sequence[Span]) -> list[Span]:
    """Rising and apart, empty ones left out."""
    merged: list[Span] = []
    for start, end in sorted(span for span in spans if span[0] < span[1]):
        if merged and start <= merged[-1][1]:
            merged[-1] = (merged[-1][0], max(merged[-1][1], end))
        else:
            merged.append((start, end))
    return merged


def overlap_ms(start_ms: int, end_ms: int, spans: Sequence[Span]) -> int:
    return sum(max(0, min(end_ms, end) - max(start_ms, start)) for start, end in spans)


def measure(
    changes: Sequence[tuple[int, str]],
    windows: Sequence[Span],
    start_ms: int,
    end_ms: int,
    dark: Sequence[Span] = (),
) -> Uptime:
    """`changes` are (when, verdict) in rising order, the one in force at `start_ms` among them.

    Time in maintenance is told apart and counts as none of the verdicts. Time in `dark`, when nobody looked, is
    unknown, whatever was in force.
    """
    uptime = Uptime()
    dark = merge_spans(dark)
    either = merge_spans([*windows, *dark])
    for number, (at_ms, verdict) in enumerate(changes):
        until_ms = changes[number + 1][0] if number + 1 < len(changes) else end_ms
        first_ms, last_ms = max(at_ms, start_ms), min(until_ms, end_ms)
        if first_ms >= last_ms or verdict == "pending":
            continue
        unseen_ms = overlap_ms(first_ms, last_ms, dark)
        planned_ms = overlap_ms(first_ms, last_ms, either) - unseen_ms
        uptime.maintenance += planned_ms / 1000
        uptime.unknown += unseen_ms / 1000
        setattr(uptime, verdict, getattr(uptime, verdict) + (last_ms - first_ms - planned_ms - unseen_ms) / 1000)
    return uptime
