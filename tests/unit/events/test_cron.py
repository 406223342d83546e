"""Cron expressions: what is refused and why, and the moments that come, clocks put forward and back included."""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from farwatch_events.cron import next_after, require_cron, usual_interval_seconds
from farwatch_events.monitor import PushMonitor, parse_monitor


def ms(text: str) -> int:
    return round(datetime.fromisoformat(text).timestamp() * 1000)


def moments(expression: str, zone: str, after: str, count: int) -> list[str]:
    found, at_ms = [], ms(after)
    for _ in range(count):
        moment = next_after(expression, zone, at_ms)
        assert moment is not None
        at_ms = moment
        found.append(f"{datetime.fromtimestamp(at_ms / 1000, ZoneInfo(zone)):%d %H:%M %z}")
    return found


@pytest.mark.parametrize(
    ("expression", "zone", "after", "expected"),
    [
        ("0 3 * * *", "UTC", "2026-01-01T03:00:00Z", ["02 03:00 +0000", "03 03:00 +0000"]),
        ("0 3 * * *", "UTC", "2026-01-01T02:59:59Z", ["01 03:00 +0000"]),
        ("30 2 * * *", "Europe/Berlin", "2026-03-28T12:00:00Z", ["29 03:00 +0200", "30 02:30 +0200"]),
        ("30 2 * * *", "Europe/Berlin", "2026-10-24T12:00:00Z", ["25 02:30 +0200", "26 02:30 +0100"]),
        (
            "*/30 * * * *",
            "Europe/Berlin",
            "2026-03-29T00:00:00Z",
            ["29 01:30 +0100", "29 03:00 +0200", "29 03:30 +0200"],
        ),
        (
            "*/30 * * * *",
            "Europe/Berlin",
            "2026-10-25T00:00:00Z",
            ["25 02:30 +0200", "25 02:00 +0100", "25 02:30 +0100", "25 03:00 +0100"],
        ),
        ("15 1 * * *", "Australia/Lord_Howe", "2026-04-03T12:00:00Z", ["04 01:15 +1100", "05 01:15 +1100"]),
        ("0 0 29 2 *", "UTC", "2026-01-01T00:00:00Z", ["29 00:00 +0000"]),
        ("0 9 * * mon-fri", "America/New_York", "2026-11-20T15:00:00Z", ["23 09:00 -0500", "24 09:00 -0500"]),
    ],
)
def test_when_it_comes_next(expression: str, zone: str, after: str, expected: list[str]) -> None:
    assert moments(expression, zone, after, len(expected)) == expected


@pytest.mark.parametrize(
    ("field", "value", "words"),
    [
        ("cron", "* * * *", "needs five fields"),
        ("cron", "0 0 3 * * *", "needs five fields"),
        ("cron", "", "needs five fields"),
        ("cron", "61 * * * *", "has a minute that no calendar knows"),
        ("cron", "0 0 31 2 *", "has a day-of-month that no calendar knows"),
        ("cron", "0 3 * * funday", "has a day-of-week"),
        ("cron", "*/0 * * * *", "has a minute"),
        ("cron", "x" * 201, "at most 200"),
        ("time_zone", "Mars/Olympus", "such as Europe/Berlin"),
        ("run_limit_seconds", 0, "greater than or equal to 1"),
    ],
)
def test_what_is_wrong_is_said_at_its_field(field: str, value: object, words: str) -> None:
    with pytest.raises(ValidationError) as refused:
        parse_monitor({"type": "push", "name": "job", field: value})
    (error,) = refused.value.errors()
    assert error["loc"] == ("push", field)
    assert words in error["msg"]


@pytest.mark.parametrize(
    ("written", "stored", "interval"),
    [
        (" 0  3 * * * ", "0 3 * * *", 86400),
        ("@daily", "0 0 * * *", 86400),
        ("@hourly", "0 * * * *", 3600),
        ("*/5 * * * *", "*/5 * * * *", 300),
        ("0,10 * * * *", "0,10 * * * *", 600),
        ("0 0 1 1 *", "0 0 1 1 *", 86400),
    ],
)
def test_the_interval_follows_from_the_schedule(written: str, stored: str, interval: int) -> None:
    given_spec = {"type": "push", "name": "job", "cron": written, "interval_seconds": 7, "timeout_seconds": 100}
    spec = parse_monitor(given_spec)
    assert isinstance(spec, PushMonitor)
    assert (spec.cron, spec.interval_seconds) == (stored, interval)
    assert parse_monitor(spec.model_dump()) == spec


def test_a_schedule_that_cannot_be_read_never_comes() -> None:
    assert next_after("0 0 31 2 *", "UTC", 0) is None
    assert next_after("nonsense", "UTC", 0) is None
    assert next_after("0 3 * * *", "Gone/Zone", ms("2026-01-01T00:00:00Z")) == ms("2026-01-01T03:00:00Z")


MINUTES = st.one_of(st.just("*"), st.integers(0, 59).map(str), st.sampled_from(["*/7", "*/15", "1,31", "50-59"]))
HOURS = st.one_of(st.just("*"), st.integers(0, 23).map(str), st.sampled_from(["*/2", "1-3", "2,14"]))
DAYS = st.sampled_from(["*", "1", "29", "28-31"])
WEEKDAYS = st.sampled_from(["*", "0", "sun", "1-5", "6,7"])
ZONES = st.sampled_from(["UTC", "Europe/Berlin", "America/New_York", "Asia/Kathmandu", "Australia/Lord_Howe"])
YEAR = st.integers(ms("2026-01-01T00:00:00Z"), ms("2027-01-01T00:00:00Z"))


@given(MINUTES, HOURS, DAYS, WEEKDAYS, ZONES, YEAR)
def test_moments_go_on_and_lie_on_the_schedule(
    minute: str, hour: str, day: str, weekday: str, zone: str, after_ms: int
) -> None:
    """Later than asked for, on a whole minute, and nothing of the schedule is left out between the two."""
    expression = require_cron(f"{minute} {hour} {day} * {weekday}")
    moment = next_after(expression, zone, after_ms)
    assert moment is not None
    assert moment > after_ms // 1000 * 1000
    assert moment % 60_000 == 0
    assert next_after(expression, zone, moment - 1_000) == moment
    between = after_ms + (moment - after_ms) // 2
    assert next_after(expression, zone, between) == moment or between >= moment


@settings(max_examples=50)
@given(MINUTES, HOURS, YEAR)
def test_in_utc_it_is_what_counting_minutes_finds(minute: str, hour: str, after_ms: int) -> None:
    expression = f"{minute} {hour} * * *"
    found = next_after(expression, "UTC", after_ms)
    minutes, hours = _numbers(minute, 60), _numbers(hour, 24)
    at = datetime.fromtimestamp(after_ms // 60_000 * 60, UTC) + timedelta(minutes=1)
    while at.minute not in minutes or at.hour not in hours:
        at += timedelta(minutes=1)
    assert found == round(at.timestamp() * 1000)


@given(st.integers(0, 59), st.integers(0, 23), ZONES)
def test_a_daily_job_comes_once_a_day_whatever_the_clocks_do(minute: int, hour: int, zone: str) -> None:
    at_ms, days = ms("2026-01-01T00:00:00Z"), []
    for _ in range(365):
        moment = next_after(f"{minute} {hour} * * *", zone, at_ms)
        assert moment is not None
        assert moment - at_ms <= 26 * 3_600_000
        at_ms = moment
        days.append(datetime.fromtimestamp(at_ms / 1000, ZoneInfo(zone)).date())
    assert len(set(days)) == 365
    assert usual_interval_seconds(f"{minute} {hour} * * *") == 86_400


def _numbers(field: str, end: int) -> set[int]:
    if field.startswith("*"):
        return set(range(0, end, int(field[2:] or 1)))
    found: set[int] = set()
    for part in field.split(","):
        low, _, high = part.partition("-")
        found |= set(range(int(low), int(high or low) + 1))
    return found
