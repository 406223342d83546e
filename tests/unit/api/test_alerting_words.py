"""Policies and silences in words."""

from typing import Any

import pytest

from farwatch_api.presentation.alerting import blank_policy, say_match, say_policy, say_seconds
from farwatch_events.policies import dump_policy, parse_policy

NAMES = {"channels": {1: "chat", 2: "phone"}, "monitors": {7: "Shop"}}


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (0, "0 s"),
        (45, "45 s"),
        (60, "1 min"),
        (90, "90 s"),
        (600, "10 min"),
        (3600, "1 h"),
        (12_868, "3 h 34 min"),
        (90_000, "1 d 1 h"),
    ],
)
def test_seconds_are_said_in_two_units_at_most(seconds: int, words: str) -> None:
    assert say_seconds(seconds) == words


def test_a_match_is_said_with_names_and_bounded() -> None:
    assert say_match({}, NAMES) == "every monitor"
    match: dict[str, list[Any]] = {"monitors": [7, 8], "tags": ["shop", "eu"], "severities": ["down"]}
    assert say_match(match, NAMES) == "Shop or monitor 8, tagged shop or eu, down"
    many = say_match({"monitors": list(range(100, 1100))}, NAMES)
    assert many.endswith("and 996 more")
    assert len(many) < 120


def test_a_policy_is_said_in_the_order_of_what_happens() -> None:
    policy = {
        "name": "p",
        "delay_seconds": 60,
        "steps": [{}, {"after_seconds": 600, "target": {"channels": [1, 2]}}],
        "repeat_seconds": 900,
        "reminder_seconds": 3600,
        "time_zone": "Europe/Berlin",
        "quiet": [{"starts": "22:00", "ends": "07:00"}],
        "grouping": {"by": "tag"},
    }
    assert say_policy(dump_policy(parse_policy(policy)), NAMES) == [
        "waits 1 min",
        "at once the channels of the monitor",
        "after 10 min chat and phone",
        "again every 15 min until acknowledged",
        "reminds every 1 h",
        "quiet 22:00–07:00 (Europe/Berlin)",
        "grouped by tag",
    ]
    assert say_policy({**blank_policy(), "steps": []}, NAMES) == ["nobody is told"]
