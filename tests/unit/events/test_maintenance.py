"""Weekly windows by the clock on the wall, through the nights in which it is turned."""

from datetime import UTC, datetime, timedelta
from itertools import islice, pairwise
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from farwatch_events.maintenance import WEEKDAYS, Weekly, next_occurrence, occurrences

ZONES = ("UTC", "Europe/Berlin", "America/New_York", "Asia/Kolkata", "Australia/Lord_Howe", "Pacific/Apia")


def weekly(**fields: Any) -> Weekly:
    standard = {"weekdays": ["sun"], "starts": "02:30", "duration_minutes": 60, "time_zone": "Europe/Berlin"}
    return Weekly.model_validate(standard | fields)


def at(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


@pytest.mark.parametrize(
    ("fields", "now", "begins", "ends"),
    [
        ({}, "2026-01-01T00:00", "2026-01-04T01:30", "2026-01-04T02:30"),  # winter: UTC+1
        ({}, "2026-07-01T00:00", "2026-07-05T00:30", "2026-07-05T01:30"),  # summer: UTC+2
        ({}, "2026-03-28T00:00", "2026-03-29T01:30", "2026-03-29T02:30"),  # 02:30 does not exist: 03:30 summer time
        ({}, "2026-10-24T00:00", "2026-10-25T00:30", "2026-10-25T01:30"),  # 02:30 comes twice: the first
        ({}, "2026-01-04T02:00", "2026-01-04T01:30", "2026-01-04T02:30"),  # it runs now
        ({}, "2026-01-04T02:30", "2026-01-11T01:30", "2026-01-11T02:30"),  # it is just over
        ({"starts": "01:00", "duration_minutes": 180}, "2026-03-28T12:00", "2026-03-29T00:00", "2026-03-29T03:00"),
        ({"time_zone": "Asia/Kolkata"}, "2026-01-01T00:00", "2026-01-03T21:00", "2026-01-03T22:00"),
        ({"weekdays": ["sat"], "starts": "00:00", "duration_minutes": 2880}, "2026-01-04T12:00",
         "2026-01-02T23:00", "2026-01-04T23:00"),
        ({"weekdays": ["mon", "fri"], "time_zone": "UTC"}, "2026-01-06T00:00", "2026-01-09T02:30", "2026-01-09T03:30"),
    ],
)  # fmt: skip
def test_the_next_occurrence(fields: dict[str, Any], now: str, begins: str, ends: str) -> None:
    found = next_occurrence(weekly(**fields), at(now), not_before=at("2020-01-01"), until=None)
    assert found == (at(begins), at(ends))


def test_a_series_begins_and_ends() -> None:
    now, series = at("2026-01-01"), weekly(time_zone="UTC")
    later = next_occurrence(series, now, not_before=at("2026-01-04T03:00"), until=None)
    assert later == (at("2026-01-11T02:30"), at("2026-01-11T03:30"))
    assert next_occurrence(series, now, not_before=now, until=at("2026-01-04T02:30")) is None
    cut = next_occurrence(series, now, not_before=now, until=at("2026-01-04T03:00"))
    assert cut == (at("2026-01-04T02:30"), at("2026-01-04T03:00"))


@pytest.mark.parametrize(
    "fields",
    [
        {"weekdays": []},
        {"weekdays": ["someday"]},
        {"starts": "24:00"},
        {"starts": "2:30"},
        {"time_zone": "Europe/Atlantis"},
        {"time_zone": "../../etc/passwd"},
        {"duration_minutes": 0},
        {"weekdays": ["mon", "tue"], "duration_minutes": 1440},
    ],
)
def test_what_makes_no_sense_is_refused(fields: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        weekly(**fields)


@given(
    st.sets(st.sampled_from(WEEKDAYS), min_size=1),
    st.times(),
    st.integers(1, 1200),
    st.sampled_from(ZONES),
    st.integers(1_577_836_800, 2_051_222_400),
)
def test_occurrences_are_apart_in_order_and_on_their_days(
    days: set[Any], starts: Any, minutes: int, zone: str, moment: int
) -> None:
    series = Weekly(weekdays=sorted(days), starts=f"{starts:%H:%M}", duration_minutes=minutes, time_zone=zone)
    now = datetime.fromtimestamp(moment, UTC)
    found = list(islice(occurrences(series, now), 10))
    assert found[0][1] > now
    for (begins, ends), (following, _) in pairwise(found):
        assert begins < ends < following
    for begins, ends in found:
        assert ends - begins == timedelta(minutes=minutes)
        # A day that the zone skipped whole (Apia did) or an hour that it skips begins later, never earlier.
        local = begins.astimezone(ZoneInfo(zone))
        assert f"{local:%H:%M}" >= series.starts or local.date() > begins.date()
