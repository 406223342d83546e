"""How long a monitor was what: seconds between changes, and the figures made from them. Pure."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, slots=True)
class Seconds:
    """Time in each verdict. What is in none of them, nobody looked at."""

    up: float = 0.0
    degraded: float = 0.0
    down: float = 0.0
    unknown: float = 0.0
    maintenance: float = 0.0

    def __add__(self, other: "Seconds") -> "Seconds":
        return Seconds(
            self.up + other.up,
            self.degraded + other.degraded,
            self.down + other.down,
            self.unknown + other.unknown,
            self.maintenance + other.maintenance,
        )

    @property
    def judged(self) -> float:
        """Time that counts: somebody looked, and it was not maintenance."""
        return self.up + self.degraded + self.down

    def uptime_percent(self) -> float | None:
        """Share of the judged time that was not down; None when nothing was judged."""
        judged = self.judged
        if judged <= 0:
            return None
        percent = 100 * (self.up + self.degraded) / judged
        # Never shown as 100 with an outage in it, however short.
        return min(percent, 99.9999) if self.down > 0.5 else min(100.0, percent)

    def coverage(self, span_seconds: float) -> float:
        """Share of the span in which somebody looked; maintenance counts as looked at."""
        if span_seconds <= 0:
            return 0.0
        return min(1.0, (self.judged + self.maintenance) / span_seconds)


Change = tuple[datetime, str]


Stretch = tuple[datetime, datetime]


def between(
    changes: Iterable[Change],
    start: datetime,
    end: datetime,
    maintenance: Sequence[Stretch] = (),
    dark: Sequence[Stretch] = (),
) -> Seconds:
    """Seconds in each verdict from `start` to `end`. `changes` are in order and begin with the one in force at start.

    Time inside `maintenance` counts as that instead, and time inside `dark`, when nobody looked, as unknown.
    """
    totals = dict.fromkeys(("up", "degraded", "down", "unknown", "pending", "maintenance"), 0.0)
    ordered = list(changes)
    for index, (at, verdict) in enumerate(ordered):
        begin = max(at, start)
        until = min(ordered[index + 1][0] if index + 1 < len(ordered) else end, end)
        if until <= begin:
            continue
        unseen = overlap(begin, until, dark)
        covered = overlap(begin, until, [*maintenance, *dark]) - unseen
        totals["maintenance"] += covered
        totals["pending" if verdict == "pending" else "unknown"] += unseen
        totals[verdict] += (until - begin).total_seconds() - covered - unseen
    return Seconds(totals["up"], totals["degraded"], totals["down"], totals["unknown"], totals["maintenance"])


def overlap(start: datetime, end: datetime, windows: Sequence[Stretch]) -> float:
    """Seconds between start and end that lie in at least one of the windows."""
    total, reached = 0.0, start
    for window_start, window_end in sorted(windows):
        begin, until = max(window_start, reached), min(window_end, end)
        if until > begin:
            total += (until - begin).total_seconds()
            reached = until
    return total
