"""The small pure parts: histogram, uptime, clock, deadlines, rows."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from farwatch_events.histogram import BOUNDS_MS, bounds_of, bucket_of, count, is_stored_form, merge, percentile
from farwatch_events.results import Certificate
from farwatch_incidents.clock import FoldClock
from farwatch_incidents.history import clean_text
from farwatch_incidents.rollups import closed_until
from farwatch_incidents.rules.codec import last_check
from farwatch_incidents.rules.deadlines import DueQueue, advance_push_clock
from farwatch_incidents.rules.reasons import lasting, listed
from farwatch_incidents.uptime import Uptime, measure
from tests.unit.incidents.cases import result

LATENCIES = st.lists(st.floats(0, 200_000), max_size=200)


@given(LATENCIES, LATENCIES)
def test_histograms_add_up(one: list[float], other: list[float]) -> None:
    assert merge([count(one), count(other)]) == count([*one, *other])
    assert is_stored_form(count(one))


@given(st.lists(st.floats(0.2, 100_000), min_size=1, max_size=200), st.floats(0.01, 1))
def test_a_percentile_lies_in_the_right_bucket(latencies: list[float], fraction: float) -> None:
    ranked = sorted(latencies)
    exact = ranked[max(0, -(-int(fraction * len(ranked) * 1e9) // 10**9) - 1)]
    value = percentile(count(latencies), fraction)
    assert value is not None
    assert bucket_of(min(ranked)) <= bucket_of(value * 1.0001)
    low, high = bounds_of(bucket_of(exact))
    assert low * 0.84 <= value <= high * 1.2 or bucket_of(value) in {bucket_of(each) for each in ranked}


def test_percentile_of_nothing() -> None:
    assert percentile([], 0.5) is None
    assert bucket_of(0.0) == 0
    assert bucket_of(BOUNDS_MS[0]) == 1
    assert bucket_of(1e9) == len(BOUNDS_MS)


def test_uptime_by_time() -> None:
    changes = [(0, "up"), (100_000, "down"), (200_000, "pending"), (300_000, "unknown")]
    assert measure(changes, [], 50_000, 400_000) == Uptime(up=50, down=100, unknown=100)
    windows = [(90_000, 110_000), (105_000, 120_000)]
    assert measure(changes, windows, 50_000, 400_000) == Uptime(up=40, down=80, unknown=100, maintenance=30)
    dark = [(95_000, 115_000), (250_000, 310_000)]
    seen = measure(changes, windows, 50_000, 400_000, dark)
    assert seen == Uptime(up=40, down=80, unknown=120, maintenance=10)


@given(
    st.lists(st.tuples(st.integers(0, 1000), st.sampled_from(["up", "down", "degraded", "unknown"])), max_size=20),
    st.lists(st.tuples(st.integers(0, 1000), st.integers(0, 1000)), max_size=5),
    st.lists(st.tuples(st.integers(0, 1000), st.integers(0, 1000)), max_size=5),
)
def test_no_time_is_counted_twice(
    changes: list[tuple[int, str]], windows: list[tuple[int, int]], dark: list[tuple[int, int]]
) -> None:
    ordered = sorted(dict(changes).items())
    uptime = measure(ordered, windows, 0, 1000, dark)
    total = uptime.up + uptime.down + uptime.degraded + uptime.unknown + uptime.maintenance
    assert total == pytest.approx((1000 - ordered[0][0]) / 1000 if ordered else 0)


def test_the_clock_goes_on_only_while_we_watch() -> None:
    clock = FoldClock(1_000, 50)
    assert clock.tick(1_050, watching=True) == (2_000, 1_000)
    assert clock.tick(61_050, watching=False) == (1_000, 0)
    assert clock.tick(62_050, watching=True) == (63_000, 1_000)
    clock.hear(90_000, 62_100)
    assert clock.tick(65_100, watching=True) == (93_000, 1_500)


def test_the_push_clock_skips_pauses() -> None:
    assert advance_push_clock(100, 1_000, 3_000) == 2_100
    assert advance_push_clock(100, 1_000, 100_000) == 100
    assert advance_push_clock(100, 3_000, 1_000) == 100


def test_due_queue_follows_moments_that_move() -> None:
    moments = {(1, "eu"): 10, (2, "eu"): 20}
    queue = DueQueue()
    for (monitor_id, region), at in moments.items():
        queue.watch(monitor_id, region, at)
    moments[1, "eu"] = 15
    lookup = lambda monitor_id, region: moments.get((monitor_id, region))  # noqa: E731
    assert queue.pop_due(12, lookup) == []
    assert queue.pop_due(15, lookup) == [(1, "eu")]
    del moments[2, "eu"]
    assert queue.pop_due(100, lookup) == []
    assert len(queue) == 0


def test_words() -> None:
    assert [listed(names) for names in (["eu"], ["eu", "us"], ["a", "b", "c"])] == ["eu", "eu and us", "a, b and c"]
    assert [lasting(s) for s in (5, 65, 9000, 100_000)] == ["5s", "1m 5s", "2h 30m", "1d 3h"]


def test_text_that_postgresql_takes() -> None:
    assert clean_text("a\0b\ud800c") == "a\ufffdb\ufffdc"
    assert clean_text(None) is None
    assert len(clean_text("x" * 5000) or "") == 1000


def test_an_hour_closes_by_watermark_or_after_a_quarter() -> None:
    hour = 3_600_000
    assert closed_until(2 * hour + 60_000, None) == hour
    assert closed_until(2 * hour + 60_000, 2 * hour) == 2 * hour
    assert closed_until(2 * hour + 60_000, 2 * hour - 1) == hour
    assert closed_until(2 * hour + 15 * 60_000, 0) == 2 * hour


def test_last_check_of_a_certificate() -> None:
    certificate = Certificate(not_after_ms=1_800_000_000_000, days=3, subject="CN=a", issuer="CN=b")
    shape = last_check(result("up", 0, certificate=certificate), "eu")
    assert shape["certificate"]["not_after"] == "2027-01-15T08:00:00Z"
    assert shape["slot"].endswith("Z")
