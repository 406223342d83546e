"""Which share of a region's slots was skipped lately: the sign of more work than its probers can do. Pure."""

from collections import Counter, deque
from collections.abc import Mapping
from typing import NamedTuple

WINDOW_SECONDS = 30.0
MOST_READINGS = 120


class Slots(NamedTuple):
    """Scheduled slots that were answered, and how many of them with `skipped`."""

    answered: int = 0
    skipped: int = 0

    @property
    def share(self) -> float:
        return self.skipped / self.answered if self.answered else 0.0


class Skipping:
    """Counts on one side and is read on the other. `now` is monotonic, in seconds."""

    def __init__(self) -> None:
        self._answered: Counter[str] = Counter()
        self._skipped: Counter[str] = Counter()
        self._readings: deque[tuple[float, dict[str, Slots]]] = deque(maxlen=MOST_READINGS)

    def count(self, answered: Mapping[str, int], skipped: Mapping[str, int]) -> None:
        """By region."""
        self._answered.update(answered)
        self._skipped.update(skipped)

    def read(self, now: float) -> dict[str, Slots]:
        """By region, since the first reading of the window."""
        standing = {region: Slots(number, self._skipped[region]) for region, number in self._answered.items()}
        while self._readings and now - self._readings[0][0] > WINDOW_SECONDS:
            self._readings.popleft()
        before = self._readings[0][1] if self._readings else standing
        self._readings.append((now, standing))
        return {region: _since(before.get(region, Slots()), slots) for region, slots in standing.items()}


def _since(before: Slots, after: Slots) -> Slots:
    return Slots(after.answered - before.answered, after.skipped - before.skipped)
