"""Messages that the fold cannot take: which they are, and what is told of them. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass

from farwatch_events.events import MessageParked

TRIES = 5
"""Batches that the database refuses for their data are tried so often before messages are taken one by one."""
MOST_IN_A_ROW = 3
"""When so many messages in a row are refused alone, it is not the messages."""
KEPT_BYTES = 64 * 1024
TELL_EVERY_MS = 60_000

Place = tuple[str, int]
"""A message: its stream and its sequence there."""


@dataclass(frozen=True, slots=True)
class Parked:
    """A message as it is kept for looking at, its first 64 KiB."""

    source: str
    sequence: int
    arrived_ms: int
    reason: str
    data: bytes


class Poison:
    """Finds the message that makes a batch fail. Outlives the fold's memory, which every failure throws away."""

    def __init__(self) -> None:
        self.one_by_one = False
        self.condemned: dict[Place, str] = {}
        self._strikes = 0
        self._in_a_row = 0
        self._last: dict[str, int] = {}

    def failed(self, taken: Sequence[Place], reason: str) -> bool:
        """A step with these messages failed for its data. False: they are not to blame, or it cannot be told."""
        if not taken:
            return False
        if self.one_by_one and len(taken) == 1:
            self._in_a_row += 1
            if self._in_a_row > MOST_IN_A_ROW:
                self._forget()
                return False
            self.condemned[taken[0]] = reason
            return True
        self._strikes += 1
        if self._strikes >= TRIES:
            self.one_by_one = True
            for stream, sequence in taken:
                self._last[stream] = max(sequence, self._last.get(stream, 0))
        return True

    def passed(self, taken: Sequence[Place]) -> None:
        """A step with these messages was committed."""
        if not taken:
            return
        self._strikes = 0
        if all(place not in self.condemned for place in taken):
            self._in_a_row = 0
        for stream, sequence in taken:
            if sequence >= self._last.get(stream, sequence + 1):
                del self._last[stream]
        if self.one_by_one and not self._last:
            self._forget()

    def _forget(self) -> None:
        self.one_by_one = False
        self.condemned.clear()
        self._strikes = self._in_a_row = 0
        self._last.clear()


class Notices:
    """One event a minute and stream, with the number since the last: a flood must not flood the log too."""

    def __init__(self) -> None:
        self._told_ms: dict[str, int] = {}
        self._untold: dict[str, int] = {}

    def of(self, parked: Parked, now_ms: int) -> MessageParked | None:
        source = parked.source
        count = self._untold[source] = self._untold.get(source, 0) + 1
        if now_ms - self._told_ms.get(source, -TELL_EVERY_MS) < TELL_EVERY_MS:
            return None
        self._told_ms[source], self._untold[source] = now_ms, 0
        return MessageParked(
            at_ms=now_ms, source=source, sequence=parked.sequence, reason=parked.reason[:1000], count=count
        )
