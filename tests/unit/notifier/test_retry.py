"""When a delivery is tried again."""

from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from random import Random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from farwatch_notifier.retry import (
    FIRST_DELAY_SECONDS,
    GIVE_UP_AFTER_SECONDS,
    LONGEST_DELAY_SECONDS,
    SHORTEST_DELAY_SECONDS,
    GiveUp,
    RetryAt,
    backoff_seconds,
    decide_retry,
    is_final_status,
    parse_retry_after,
)
from tests.unit.notifier.samples import NOW_MS

DAY_MS = int(GIVE_UP_AFTER_SECONDS * 1000)
draws = st.floats(min_value=0, max_value=1, exclude_max=True)


def decide(**fields: Any) -> RetryAt | GiveUp:
    base: dict[str, Any] = {
        "permanent": False,
        "retry_after_seconds": None,
        "attempts": 1,
        "give_up_at_ms": NOW_MS + DAY_MS,
        "now_ms": NOW_MS,
        "draw": 0.5,
    }
    return decide_retry(**(base | fields))


@pytest.mark.parametrize(
    ("fields", "decision"),
    [
        ({}, RetryAt(NOW_MS + 1_000)),
        ({"attempts": 4}, RetryAt(NOW_MS + 8_000)),
        ({"attempts": 40}, RetryAt(NOW_MS + 450_000)),
        ({"draw": 0.0}, RetryAt(NOW_MS + 500)),
        ({"retry_after_seconds": 7, "draw": 0.0}, RetryAt(NOW_MS + 7_000)),
        ({"retry_after_seconds": 3600, "draw": 0.0}, RetryAt(NOW_MS + 3_600_000)),
        ({"retry_after_seconds": 0, "draw": 0.0}, RetryAt(NOW_MS + 500)),
        ({"retry_after_seconds": 90_000}, GiveUp("the time for retries is over")),
        ({"retry_after_seconds": 1e300}, GiveUp("the time for retries is over")),
        ({"permanent": True}, GiveUp("the answer is final")),
        ({"permanent": True, "retry_after_seconds": 1}, GiveUp("the answer is final")),
        ({"give_up_at_ms": NOW_MS + 999}, GiveUp("the time for retries is over")),
        ({"give_up_at_ms": NOW_MS + 1_000}, RetryAt(NOW_MS + 1_000)),
    ],
)
def test_the_table_of_retries(fields: dict[str, Any], decision: RetryAt | GiveUp) -> None:
    assert decide(**fields) == decision


@given(attempts=st.integers(1, 10_000), draw=draws)
def test_backoff_stays_within_its_bounds(attempts: int, draw: float) -> None:
    ceiling = min(LONGEST_DELAY_SECONDS, FIRST_DELAY_SECONDS * 2.0 ** min(attempts - 1, 30))
    assert SHORTEST_DELAY_SECONDS <= backoff_seconds(attempts, draw) <= ceiling


@given(attempts=st.integers(1, 1000), draw=draws, asked=st.none() | st.floats(min_value=0, allow_nan=False))
def test_never_before_what_was_asked_and_never_after_the_end(attempts: int, draw: float, asked: float | None) -> None:
    decision = decide(attempts=attempts, draw=draw, retry_after_seconds=asked)
    if isinstance(decision, RetryAt):
        assert decision.at_ms >= NOW_MS + (asked or 0) * 1000 - 1
        assert decision.at_ms <= NOW_MS + DAY_MS
    else:
        assert asked is not None
        assert asked * 1.1 >= GIVE_UP_AFTER_SECONDS


@given(seed=st.integers(0, 1000))
@settings(max_examples=30, deadline=None)
def test_a_service_that_is_gone_is_tried_for_a_day(seed: int) -> None:
    now_ms, attempts, random = NOW_MS, 1, Random(seed)
    while attempts < 10_000:
        decision = decide_retry(
            permanent=False,
            retry_after_seconds=None,
            attempts=attempts,
            give_up_at_ms=NOW_MS + DAY_MS,
            now_ms=now_ms,
            draw=random.random(),
        )
        if isinstance(decision, GiveUp):
            break
        assert decision.at_ms > now_ms
        now_ms, attempts = decision.at_ms, attempts + 1
    assert now_ms - NOW_MS > DAY_MS - LONGEST_DELAY_SECONDS * 1000
    assert attempts >= 96


@pytest.mark.parametrize("status", [301, 400, 401, 403, 404, 410, 422])
def test_answers_that_another_try_cannot_mend_are_final(status: int) -> None:
    assert is_final_status(status)


@pytest.mark.parametrize("status", [408, 425, 429, 500, 502, 503, 599])
def test_answers_that_may_change_are_not_final(status: int) -> None:
    assert not is_final_status(status)


def http_date(seconds: int) -> str:
    at = datetime.fromtimestamp(NOW_MS / 1000, UTC) + timedelta(seconds=seconds)
    return format_datetime(at, usegmt=True)


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        (None, None),
        ("5", 5),
        ("0.25", 0.25),
        ("-1", None),
        ("inf", None),
        ("nan", None),
        ("soon", None),
        ("", None),
        (http_date(90), 90),
        (http_date(-90), 0),
        ("Sat, 31 Feb 2026 00:00:00 GMT", None),
    ],
)
def test_retry_after_is_seconds_or_a_date(value: str | None, seconds: float | None) -> None:
    assert parse_retry_after(value, NOW_MS) == seconds


@given(value=st.text())
def test_no_retry_after_raises(value: str) -> None:
    waited = parse_retry_after(value, NOW_MS)
    assert waited is None or waited >= 0
