"""Does a region see failures that nobody else sees? Then it is the region, not the monitors.

Of the monitors that began to fail in a region, the share that another region saw up in the same window is estimated by
the lower end of Wilson's 95% score interval, so that a handful of disputes proves nothing.
"""

import math
from collections.abc import Iterable
from dataclasses import dataclass

WINDOW_MS = 300_000
SMALLEST_SAMPLE = 10
SUSPECT_ABOVE = 0.20
CLEAR_SAMPLE = 5
CLEAR_BELOW = 0.10
_Z95 = 1.959963984540054


def wilson_lower_bound(hits: int, trials: int, z: float = _Z95) -> float:
    """Lower end of Wilson's score interval for `hits` of `trials`; 0.0 without trials."""
    if trials == 0:
        return 0.0
    share = hits / trials
    spread = z * math.sqrt(share * (1 - share) / trials + z * z / (4 * trials * trials))
    return max(0.0, (share + z * z / (2 * trials) - spread) / (1 + z * z / trials))


@dataclass(frozen=True, slots=True)
class Disputes:
    """Monitors failing in one region that another region judged too, and how many of those it saw up."""

    judged: int
    disputed: int

    @property
    def share_at_least(self) -> float:
        return wilson_lower_bound(self.disputed, self.judged)

    @property
    def sentence(self) -> str:
        return f"other regions see {self.disputed} of the {self.judged} monitors up that fail here"


def count_disputes(elsewhere: Iterable[tuple[int, int]]) -> Disputes:
    """From (seen up, seen failing) counts of other regions, one pair for each monitor failing here."""
    judged = disputed = 0
    for seen_up, seen_failing in elsewhere:
        judged += seen_up + seen_failing > 0
        disputed += seen_up > 0 and seen_up >= seen_failing
    return Disputes(judged, disputed)


def decide_suspicion(disputes: Disputes, *, suspect: bool) -> bool:
    """Whether the region is to be suspected now. Ends later than it begins, so that it does not flicker."""
    if suspect:
        return disputes.judged >= CLEAR_SAMPLE and disputes.share_at_least > CLEAR_BELOW
    return disputes.judged >= SMALLEST_SAMPLE and disputes.share_at_least > SUSPECT_ABOVE
