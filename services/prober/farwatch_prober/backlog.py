"""What is left out when more checks are due than can be done, so that the others are made in time. Pure.

Without it every check would be almost an interval late and the rest too late to be made at all, by chance some
monitors several times in a row.
"""

from collections import deque

LONG_SECONDS = 1.0
"""A chunk that waited longer was not taken as soon as it was there."""
SETTLE_SECONDS = 10.0
"""For so long every chunk has to have waited long until checks are left out, and none until no more are: a burst, such
as the slots of an hour's first second, is made up for."""
SHARE_OF_INTERVAL = 10
"""What comes seldom may wait longer."""
APART_SECONDS = 0.25
MOST_SIGHTINGS = 1024


class Backlog:
    """How long chunks wait for this prober, told without a look at anybody's clock: when a message was handed out,
    the server said how many wait behind it, so that its sequence and that number name one that was there by then.

    `now` is monotonic, in seconds. `leaves_out` says whether checks are to be left out for now.
    """

    def __init__(self) -> None:
        self._sightings: deque[tuple[float, int]] = deque(maxlen=MOST_SIGHTINGS)
        self._newest = 0
        self._long_since: float | None = None
        self._last_long = 0.0
        self.leaves_out = False

    def take(self, sequence: int, pending: int, deliveries: int, now: float) -> float:
        """For how many seconds at least the chunk has waited."""
        if deliveries == 1:
            if sequence < self._newest:  # the stream was made anew
                self._sightings.clear()
            self._newest = sequence
        self._see(sequence + pending, now)
        while self._sightings[0][1] < sequence:
            self._sightings.popleft()
        waited = now - self._sightings[0][0]
        if deliveries == 1:  # one that comes again waited for another prober
            self._judge(waited > LONG_SECONDS, now)
        return waited

    def _see(self, last: int, now: float) -> None:
        """`last` is there by now. The newest sighting is always one that covers it."""
        if not self._sightings or last > self._sightings[-1][1]:
            if len(self._sightings) > 1 and now - self._sightings[-2][0] < APART_SECONDS:
                self._sightings.pop()
            self._sightings.append((now, last))

    def _judge(self, is_long: bool, now: float) -> None:
        if is_long:
            self._last_long = now
            self._long_since = now if self._long_since is None else self._long_since
            self.leaves_out = self.leaves_out or now - self._long_since >= SETTLE_SECONDS
        else:
            self._long_since = None
            self.leaves_out = self.leaves_out and now - self._last_long < SETTLE_SECONDS


def is_left_out(monitor_id: int, slot_ms: int, interval_ms: int, waited_seconds: float) -> bool:
    """Whether this slot is not worth its check any more. Every other slot of a monitor is given up at half the wait,
    so as long as half of the checks can be made no monitor misses two in a row."""
    allowed = max(LONG_SECONDS, interval_ms / 1000 / SHARE_OF_INTERVAL)
    turn = (slot_ms // interval_ms + monitor_id) % 2
    return waited_seconds > allowed * (1 + turn)
