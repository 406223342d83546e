"""Quiet hours by the clocks on the wall of a time zone, also when they are put forward or back. Pure."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

from farwatch_events.cron import find_zone
from farwatch_events.policies import DAYS, QuietHours

_SECOND_MS = 1_000
"""Zones of long ago stand off by seconds too, so ends do not fall on whole minutes of UTC."""
_DAYS_AHEAD = 9


def is_quiet(windows: Sequence[QuietHours], time_zone: str, at_ms: int) -> bool:
    """Whether some window holds at that time."""
    return bool(windows) and _is_quiet(windows, _zone(time_zone), at_ms)


def quiet_until_ms(windows: Sequence[QuietHours], time_zone: str, at_ms: int) -> int | None:
    """When the quiet that holds at `at_ms` ends; None when it has no end within nine days."""
    zone = _zone(time_zone)
    last_quiet_ms = at_ms
    for candidate_ms in _ends(windows, zone, at_ms):
        if not _is_quiet(windows, zone, candidate_ms):
            return _first_loud_second(windows, zone, last_quiet_ms, candidate_ms)
        last_quiet_ms = candidate_ms
    return None


def _zone(name: str) -> ZoneInfo:
    """UTC for a zone this machine does not know (any more): an alert at an odd hour is better than none."""
    return find_zone(name) or ZoneInfo("UTC")


def _is_quiet(windows: Sequence[QuietHours], zone: ZoneInfo, at_ms: int) -> bool:
    local = datetime.fromtimestamp(at_ms / 1000, UTC).astimezone(zone)
    minute, today = local.hour * 60 + local.minute, local.weekday()
    return any(_holds(window, today, minute) for window in windows)


def _holds(window: QuietHours, weekday: int, minute: int) -> bool:
    starts, ends = _minutes(window.starts), _minutes(window.ends)
    today, yesterday = DAYS[weekday] in window.days, DAYS[weekday - 1] in window.days
    if starts < ends:
        return today and starts <= minute < ends
    return (today and minute >= starts) or (yesterday and minute < ends)


def _minutes(clock: str) -> int:
    hours, _, minutes = clock.partition(":")
    return int(hours) * 60 + int(minutes)


def _ends(windows: Sequence[QuietHours], zone: ZoneInfo, at_ms: int) -> list[int]:
    """Times after `at_ms` at which a window may end, in order; an end that the clocks pass twice is there twice."""
    first = datetime.fromtimestamp(at_ms / 1000, UTC).astimezone(zone).date()
    found = set()
    for ahead in range(-1, _DAYS_AHEAD):
        midnight = datetime.combine(first + timedelta(days=ahead), datetime.min.time())
        for window in windows:
            wall = midnight + timedelta(minutes=_minutes(window.ends))
            for fold in (0, 1):
                found.add(round(wall.replace(tzinfo=zone, fold=fold).timestamp() * 1000))
    return sorted(each for each in found if each > at_ms)


def _first_loud_second(windows: Sequence[QuietHours], zone: ZoneInfo, quiet_ms: int, loud_ms: int) -> int:
    """An end that the clocks skip becomes an instant after the skip: the loud time began at the skip itself."""
    low, high = quiet_ms // _SECOND_MS, loud_ms // _SECOND_MS
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if _is_quiet(windows, zone, middle * _SECOND_MS) else (low, middle)
    return high * _SECOND_MS
