"""What policies may say, and which alerts they fit."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from farwatch_events.cron import find_zone
from farwatch_events.matching import (
    IMPLICIT,
    NumberedPolicy,
    NumberedSilence,
    Subject,
    find_silence,
    mismatch,
    select_policies,
)
from farwatch_events.policies import Match, Policy, Silence, dump_policy, parse_policy

SHOP = Subject(monitor_id=7, monitor_type="http", tags=frozenset({"shop", "eu"}), severity="down", regions=("eu",))


@pytest.mark.parametrize(
    ("data", "field", "words"),
    [
        ({}, "name", "required"),
        ({"name": "x", "time_zone": "Mars/Phobos"}, "time_zone", "is not a time zone such as Europe/Berlin"),
        ({"name": "x", "time_zone": "../etc/passwd"}, "time_zone", "is not a time zone"),
        ({"name": "x", "quiet": [{"starts": "25:00", "ends": "07:00"}]}, "starts", "must be a time of day"),
        ({"name": "x", "quiet": [{"starts": "07:00", "ends": "07:00"}]}, "0", "ends must differ from starts"),
        ({"name": "x", "quiet": [{"starts": "24:00", "ends": "07:00"}]}, "0", "starts must be before 24:00"),
        ({"name": "x", "quiet": [{"days": [], "starts": "22:00", "ends": "07:00"}]}, "days", "at least 1"),
        ({"name": "x", "quiet": [{"days": ["31 February"], "starts": "1", "ends": "2"}]}, "0", "'mon', 'tue'"),
        ({"name": "x", "steps": [{"after_seconds": 60}, {"after_seconds": 5}]}, "steps", "in the order"),
        ({"name": "x", "steps": [{"target": {"channels": [0]}}]}, "0", "greater than or equal to 1"),
        ({"name": "x", "match": {"types": ["htpp"]}}, "types", "must be one of http"),
        ({"name": "x", "match": {"severities": ["bad"]}}, "0", "'degraded' or 'down'"),
        ({"name": "x", "moments": ["sometimes"]}, "0", "'down'"),
        ({"name": "x", "repeat_seconds": 1}, "repeat_seconds", "greater than or equal to 30"),
        ({"name": "x", "colour": "red"}, "colour", "Extra inputs"),
    ],
)
def test_what_is_wrong_is_named(data: dict[str, Any], field: str, words: str) -> None:
    with pytest.raises(ValidationError) as raised:
        parse_policy(data)
    found = raised.value.errors()
    assert field in [str(part) for part in found[0]["loc"]]
    assert words in str(raised.value)


def test_a_policy_reads_back_as_written() -> None:
    policy = Policy.model_validate(
        {
            "name": "Nights",
            "match": {"tags": ["db"], "severities": ["down"]},
            "steps": [{"target": {"channels": [1, 1, 2]}}, {"after_seconds": 900, "target": {"channels": [3]}}],
            "quiet": [{"days": ["sat"], "starts": "22:00", "ends": "07:00"}],
            "time_zone": "Europe/Berlin",
            "grouping": {"by": "tag"},
            "fallback_channel": 4,
        }
    )
    assert parse_policy(dump_policy(policy)) == policy
    assert policy.channel_ids() == [1, 2, 3, 4]


def test_a_silence_ends_after_it_begins() -> None:
    with pytest.raises(ValidationError, match="ends_at must be after starts_at"):
        Silence.model_validate(
            {"match": {}, "reason": "x", "starts_at": "2026-01-02T00:00:00Z", "ends_at": "2026-01-01T00:00:00Z"}
        )


@pytest.mark.parametrize(
    ("match", "why"),
    [
        ({}, None),
        ({"monitors": [7]}, None),
        ({"monitors": [8]}, "it is about other monitors"),
        ({"tags": ["eu", "us"]}, None),
        ({"tags": ["us"]}, "the monitor has none of the tags us"),
        ({"types": ["ping"]}, "it is about monitors of type ping"),
        ({"severities": ["degraded"]}, "it is about severity degraded"),
        ({"regions": ["us"]}, "it is about regions us"),
        ({"regions": ["us", "eu"], "tags": ["shop"], "types": ["http"], "severities": ["down"]}, None),
    ],
)
def test_what_fits(match: dict[str, Any], why: str | None) -> None:
    assert mismatch(Match.model_validate(match), SHOP) == why


def numbered(number: int, **fields: Any) -> NumberedPolicy:
    return NumberedPolicy(number, Policy.model_validate({"name": f"p{number}", **fields}))


def test_the_first_that_fits_decides_and_the_default_when_none_does() -> None:
    other, shop = numbered(1, match={"monitors": [9]}), numbered(2, match={"tags": ["shop"]})
    everything, off = numbered(3), numbered(4, position=0, enabled=False)
    assert select_policies([everything, off, shop, other], SHOP) == [shop]
    assert select_policies([other, off], SHOP) == [IMPLICIT]
    assert select_policies([], SHOP) == [IMPLICIT]


def test_proceed_tries_the_ones_behind_it_and_position_goes_before_id() -> None:
    first, second, third = numbered(5, position=1, proceed=True), numbered(1), numbered(2)
    assert select_policies([third, second, first], SHOP) == [first, second]


def test_the_longest_silence_that_holds_counts() -> None:
    short = NumberedSilence(1, Match(), "a", 0, 100)
    long = NumberedSilence(2, Match(tags=["shop"]), "b", 0, 200)
    other = NumberedSilence(3, Match(monitors=[8]), "c", 0, 300)
    assert find_silence([short, long, other], SHOP, 50) == long
    assert find_silence([short, long, other], SHOP, 200) is None


@given(st.text(max_size=80))
def test_no_name_of_a_zone_raises(name: str) -> None:
    assert find_zone(name) is None or name
