"""Cron expressions in a time zone, as Debian's cron reads them. Pure.

A time that the clocks skip in spring comes right after the skip, one that comes twice in autumn counts once; `*` and
`*/n` in minutes or hours follow the time that passes.
"""

from datetime import UTC, datetime
from functools import lru_cache
from itertools import islice, pairwise
from zoneinfo import ZoneInfo

from cronsim import CronSim, CronSimError

CRON_MAX_CHARS = 200
_FIELDS = 5
_SHORTEST_SECONDS, _LONGEST_SECONDS = 5, 86_400
_MACROS = {
    "@hourly": "0 * * * *",
    "@daily": "0 0 * * *",
    "@midnight": "0 0 * * *",
    "@weekly": "0 0 * * 0",
    "@monthly": "0 0 1 * *",
    "@yearly": "0 0 1 1 *",
    "@annually": "0 0 1 1 *",
}
_PATTERN_START = datetime(2025, 1, 1, tzinfo=UTC)
_PATTERN_LENGTH = 32


def require_cron(expression: str) -> str:
    """The expression in its one spelling. Raises ValueError with the mend, also for one whose moment never comes:
    such a schedule would wait in silence for ever."""
    plain = _MACROS.get(expression.strip().lower(), " ".join(expression.split()))
    if len(plain.split(" ")) != _FIELDS:
        raise ValueError(
            'needs five fields, minute hour day month weekday, such as "0 3 * * *" for every night at three'
        )
    try:
        next(CronSim(plain, _PATTERN_START))
    except CronSimError as error:
        raise ValueError(f'{_words(str(error))}; "0 3 * * *" is every night at three') from None
    except StopIteration:
        raise ValueError("never comes: no such day is in any of these months") from None
    return plain


def _words(error: str) -> str:
    """ "Bad day-of-month" as what is to be mended."""
    return f"has a {error[4:]} that no calendar knows" if error.startswith("Bad ") else error


@lru_cache(maxsize=256)
def find_zone(name: str) -> ZoneInfo | None:
    """None for what is no IANA zone. Odd names raise more than one kind of error in zoneinfo."""
    if not name or len(name) > 64:
        return None
    try:
        return ZoneInfo(name)
    except (ValueError, OSError, LookupError):
        return None


def require_zone(name: str) -> str:
    if find_zone(name) is None:
        raise ValueError(f"{name[:64]!r} is no IANA time zone such as Europe/Berlin")
    return name


def next_after(expression: str, time_zone: str, after_ms: int) -> int | None:
    """The first moment of the schedule later than `after_ms`. None for one that never comes or cannot be read: it was
    checked when it was saved, so only a damaged row has it. UTC for a zone that this machine does not know."""
    after = datetime.fromtimestamp(after_ms // 1000, find_zone(time_zone) or UTC)
    try:
        return round(next(CronSim(expression, after)).timestamp() * 1000)
    except (CronSimError, StopIteration, OverflowError):
        return None


def usual_interval_seconds(expression: str) -> int:
    """The shortest time between two of its next moments, within what an interval may be."""
    ahead = islice(CronSim(expression, _PATTERN_START), _PATTERN_LENGTH)
    gaps = [(later - earlier).total_seconds() for earlier, later in pairwise(ahead)]
    return max(_SHORTEST_SECONDS, min(_LONGEST_SECONDS, round(min(gaps, default=_LONGEST_SECONDS))))
