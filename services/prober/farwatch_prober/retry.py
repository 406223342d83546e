"""Whether a failed try is followed by another. Pure."""

from dataclasses import dataclass

from farwatch_events.results import Outcome


@dataclass(frozen=True, slots=True)
class Allowance:
    """What one check may spend. Times of day in milliseconds since 1970, durations in milliseconds."""

    slot_ms: int
    interval_ms: int
    tries: int
    retry_interval_ms: int
    timeout_ms: int
    started_ms: int
    max_check_ms: int

    @property
    def ends_ms(self) -> int:
        return self.started_ms + self.max_check_ms


@dataclass(frozen=True, slots=True)
class Retry:
    after_ms: int


@dataclass(frozen=True, slots=True)
class Settle:
    """No further try; `reason` is for the log."""

    reason: str


def is_stale(slot_ms: int, interval_ms: int, now_ms: int) -> bool:
    """A slot older than its interval is not run: the next one is due already."""
    return now_ms - slot_ms > interval_ms


def decide_retry(allowance: Allowance, outcome: Outcome, tries_done: int, now_ms: int) -> Retry | Settle:
    """Only a failure of the target is tried again, and only while the slot will still be young enough."""
    if outcome != "down":
        return Settle("settled")
    if tries_done >= allowance.tries:
        return Settle("all tries used")
    next_ms = now_ms + allowance.retry_interval_ms
    if next_ms - allowance.slot_ms >= allowance.interval_ms:
        return Settle("the next slot is due")
    if next_ms >= allowance.ends_ms:
        return Settle("no time left")
    return Retry(allowance.retry_interval_ms)


def try_timeout_ms(allowance: Allowance, now_ms: int) -> int:
    """How long a try that starts now may take, at least 1."""
    return max(1, min(allowance.timeout_ms, allowance.ends_ms - now_ms))
