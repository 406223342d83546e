"""Quiet hours by the clocks on the wall: ordinary days, nights over midnight, and the two odd nights of the year."""

from datetime import datetime
from zoneinfo import ZoneInfo, available_timezones

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from farwatch_events.policies import DAYS, QuietHours
from farwatch_events.quiet import is_quiet, quiet_until_ms

BERLIN = "Europe/Berlin"
NIGHT = QuietHours(starts="22:00", ends="07:00")
ZONES = sorted(available_timezones())


def at(text: str, zone: str = BERLIN, fold: int = 0) -> int:
    return int(datetime.fromisoformat(text).replace(tzinfo=ZoneInfo(zone), fold=fold).timestamp() * 1000)


@pytest.mark.parametrize(
    ("window", "when", "quiet"),
    [
        (NIGHT, "2026-11-20 21:59", False),
        (NIGHT, "2026-11-20 22:00", True),
        (NIGHT, "2026-11-21 06:59", True),
        (NIGHT, "2026-11-21 07:00", False),
        (QuietHours(days=["fri"], starts="22:00", ends="07:00"), "2026-11-21 03:00", True),  # began on Friday
        (QuietHours(days=["sat"], starts="22:00", ends="07:00"), "2026-11-21 03:00", False),
        (QuietHours(days=["sat", "sun"], starts="00:00", ends="24:00"), "2026-11-22 23:59", True),
        (QuietHours(days=["sat", "sun"], starts="00:00", ends="24:00"), "2026-11-23 00:00", False),
        (QuietHours(days=["tue"], starts="00:00", ends="24:00"), "2028-02-29 12:00", True),
        (QuietHours(starts="02:15", ends="02:45"), "2026-03-29 03:00", False),  # the clocks skipped it
        (QuietHours(starts="02:00", ends="03:00"), "2026-10-25 02:30", True),  # the first of two
    ],
)
def test_whether_a_window_holds(window: QuietHours, when: str, quiet: bool) -> None:
    assert is_quiet([window], BERLIN, at(when)) is quiet


def test_an_hour_that_comes_twice_is_quiet_both_times() -> None:
    window = [QuietHours(starts="02:00", ends="03:00")]
    assert is_quiet(window, BERLIN, at("2026-10-25 02:30", fold=1))
    assert quiet_until_ms(window, BERLIN, at("2026-10-25 02:00")) == at("2026-10-25 03:00")
    assert at("2026-10-25 03:00") - at("2026-10-25 02:00") == 2 * 3_600_000


@pytest.mark.parametrize(
    ("windows", "since", "until"),
    [
        ([NIGHT], "2026-11-20 23:00", "2026-11-21 07:00"),
        ([NIGHT, QuietHours(days=["sat"], starts="06:00", ends="12:00")], "2026-11-20 23:00", "2026-11-21 12:00"),
        ([QuietHours(days=["sat", "sun"], starts="00:00", ends="24:00")], "2026-11-21 10:00", "2026-11-23 00:00"),
        ([QuietHours(starts="22:00", ends="02:30")], "2026-03-28 23:00", "2026-03-29 03:00"),  # 02:30 does not exist
    ],
)
def test_when_quiet_ends(windows: list[QuietHours], since: str, until: str) -> None:
    assert quiet_until_ms(windows, BERLIN, at(since)) == at(until)


def test_quiet_that_never_ends_has_no_end() -> None:
    always = [QuietHours(starts="00:00", ends="24:00")]
    assert quiet_until_ms(always, BERLIN, at("2026-11-20 23:00")) is None


minutes = st.integers(0, 24 * 60 - 1).map(lambda minute: f"{minute // 60:02}:{minute % 60:02}")
windows = st.builds(
    lambda days, pair: QuietHours(days=days, starts=pair[0], ends=pair[1]),
    st.lists(st.sampled_from(DAYS), min_size=1, max_size=7),
    st.tuples(minutes, minutes).filter(lambda pair: pair[0] != pair[1]),
)


@settings(max_examples=400, deadline=None)
@given(
    st.lists(windows, max_size=4),
    st.one_of(st.sampled_from(ZONES), st.text(max_size=12)),
    st.integers(0, 4_000_000_000_000),
)
def test_no_window_zone_or_time_raises_and_the_end_is_the_end(found: list[QuietHours], zone: str, at_ms: int) -> None:
    if not is_quiet(found, zone, at_ms):
        return
    until = quiet_until_ms(found, zone, at_ms)
    if until is not None:
        assert until > at_ms
        assert not is_quiet(found, zone, until)
        assert is_quiet(found, zone, max(at_ms, until - 60_000))


@given(st.sampled_from(ZONES), st.integers(2000, 2036), st.lists(windows, min_size=1, max_size=3))
@settings(max_examples=150, deadline=None)
def test_the_nights_on_which_clocks_change(zone: str, year: int, found: list[QuietHours]) -> None:
    """Every half hour of the days around the usual changes: whatever the zone does there, an answer comes."""
    for month, day in ((3, 29), (10, 25), (4, 5), (9, 27)):
        start = int(datetime(year, month, day, tzinfo=ZoneInfo("UTC")).timestamp() * 1000)
        for half in range(0, 48, 5):
            when = start + half * 1_800_000
            if is_quiet(found, zone, when):
                until = quiet_until_ms(found, zone, when)
                assert until is None or not is_quiet(found, zone, until)
