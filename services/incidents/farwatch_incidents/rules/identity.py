"""The identity window: which slots of one monitor, region and kind were seen, so that no result counts twice."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum
from itertools import pairwise

SCHEDULED_CAPACITY = 64
OTHER_CAPACITY = 4


class Place(Enum):
    """Where a slot stands: only `NEWEST` may change anything, `LATE` is history, `DROPPED` was seen or is too old."""

    NEWEST = "newest"
    LATE = "late"
    DROPPED = "dropped"


@dataclass(frozen=True, slots=True)
class Window:
    """The newest slots seen, as the newest one and runs of equal gaps (gap in ms, how often) going back.

    A steady monitor is one run, so that 64 identities take three numbers in memory and in the table.
    """

    newest_ms: int = 0
    runs: tuple[tuple[int, int], ...] = ()

    def slots(self) -> list[int]:
        """Newest first; empty before the first."""
        if self.newest_ms == 0:
            return []
        slots = [self.newest_ms]
        for gap_ms, times in self.runs:
            for _ in range(times):
                slots.append(slots[-1] - gap_ms)
        return slots


EMPTY = Window()


def place(window: Window, slot_ms: int, capacity: int) -> tuple[Place, Window]:
    """Where the slot stands, and the window with it in."""
    if slot_ms > window.newest_ms:
        return Place.NEWEST, extend(window, slot_ms, capacity)
    slots = window.slots()
    if slot_ms in slots or (len(slots) >= capacity and slot_ms < slots[-1]):
        return Place.DROPPED, window
    return Place.LATE, of_slots([*slots, slot_ms], capacity)


def of_slots(slots: Sequence[int], capacity: int) -> Window:
    newest_first = sorted(set(slots), reverse=True)[:capacity]
    if not newest_first:
        return EMPTY
    runs: list[tuple[int, int]] = []
    for newer, older in pairwise(newest_first):
        gap_ms = newer - older
        if runs and runs[-1][0] == gap_ms:
            runs[-1] = (gap_ms, runs[-1][1] + 1)
        else:
            runs.append((gap_ms, 1))
    return Window(newest_first[0], tuple(runs))


def extend(window: Window, slot_ms: int, capacity: int) -> Window:
    """The window with a slot newer than all in it."""
    if window.newest_ms == 0:
        return Window(slot_ms)
    gap_ms = slot_ms - window.newest_ms
    runs = window.runs
    if len(runs) == 1 and runs[0] == (gap_ms, capacity - 1):
        return Window(slot_ms, runs)  # full and steady, as nearly all are: one slot in, one out
    same_gap = bool(runs) and runs[0][0] == gap_ms
    runs = ((gap_ms, runs[0][1] + 1), *runs[1:]) if same_gap else ((gap_ms, 1), *runs)
    return Window(slot_ms, _trim(runs, capacity - 1))


def _trim(runs: tuple[tuple[int, int], ...], most: int) -> tuple[tuple[int, int], ...]:
    """At most `most` gaps, the oldest go. One slot was added, so one gap at most is too many."""
    if sum(times for _, times in runs) <= most:
        return runs
    gap_ms, times = runs[-1]
    return runs[:-1] if times == 1 else (*runs[:-1], (gap_ms, times - 1))
