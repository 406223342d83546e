"""When a failed delivery is tried again, and when it is given up. Pure: the random draw is an argument."""

from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

FIRST_DELAY_SECONDS = 2.0
LONGEST_DELAY_SECONDS = 15 * 60.0
GIVE_UP_AFTER_SECONDS = 24 * 3600.0
SHORTEST_DELAY_SECONDS = 0.5


@dataclass(frozen=True, slots=True)
class RetryAt:
    at_ms: int


@dataclass(frozen=True, slots=True)
class GiveUp:
    reason: str


def decide_retry(
    *, permanent: bool, retry_after_seconds: float | None, attempts: int, give_up_at_ms: int, now_ms: int, draw: float
) -> RetryAt | GiveUp:
    """After `attempts` failed tries. `draw` is uniform in [0, 1).

    Never earlier than the service asked by Retry-After; otherwise full jitter under an exponential ceiling.
    """
    if permanent:
        return GiveUp("the answer is final")
    delay_seconds = backoff_seconds(attempts, draw)
    if retry_after_seconds is not None:
        asked_seconds = min(retry_after_seconds, 2 * GIVE_UP_AFTER_SECONDS)
        delay_seconds = max(asked_seconds * (1 + 0.1 * draw), SHORTEST_DELAY_SECONDS)
    at_ms = now_ms + round(delay_seconds * 1000)
    if at_ms > give_up_at_ms:
        return GiveUp("the time for retries is over")
    return RetryAt(at_ms)


def backoff_seconds(attempts: int, draw: float) -> float:
    """Uniform below min(15 min, 2 s × 2^(attempts − 1)), half a second at least."""
    ceiling = min(LONGEST_DELAY_SECONDS, FIRST_DELAY_SECONDS * 2.0 ** min(attempts - 1, 20))
    return max(SHORTEST_DELAY_SECONDS, draw * ceiling)


def is_final_status(status: int) -> bool:
    """Answers that trying again cannot mend: everything but 2xx, 408, 425, 429 and 5xx."""
    return status not in (408, 425, 429) and status < 500


def parse_retry_after(value: str | None, now_ms: int) -> float | None:
    """Seconds to wait from a Retry-After header, which holds seconds or an HTTP date; None when it makes no sense."""
    if value is None:
        return None
    try:
        seconds = float(value)
    except ValueError:
        return _seconds_until(value, now_ms)
    return seconds if 0 <= seconds < float("inf") else None


def _seconds_until(http_date: str, now_ms: int) -> float | None:
    try:
        at = parsedate_to_datetime(http_date)
    except (ValueError, TypeError, OverflowError):
        return None
    aware = at if at.tzinfo is not None else at.replace(tzinfo=UTC)
    return max(0.0, (aware - datetime.fromtimestamp(now_ms / 1000, UTC)).total_seconds())
