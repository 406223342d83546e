"""Uptime arithmetic."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from farwatch_api.queries.latency import POINTS_MAX, STEPS_MIN, Kept, resolve
from farwatch_api.queries.time_in_states import Seconds, between, overlap

START = datetime(2026, 1, 1, tzinfo=UTC)


def at(minutes: float) -> datetime:
    return START + timedelta(minutes=minutes)


def test_time_runs_from_change_to_change() -> None:
    changes = [(at(-60), "up"), (at(10), "down"), (at(15), "degraded"), (at(20), "unknown"), (at(30), "up")]
    assert between(changes, START, at(60)) == Seconds(40 * 60, 5 * 60, 5 * 60, 10 * 60)


def test_before_the_first_change_nobody_looked() -> None:
    found = between([(at(30), "pending"), (at(40), "up")], START, at(60))
    assert found == Seconds(up=20 * 60)
    assert found.coverage(3600) == 20 / 60


def test_maintenance_takes_its_time_out_of_the_verdict() -> None:
    windows = [(at(5), at(20)), (at(10), at(25))]
    found = between([(at(-1), "up"), (at(15), "down")], START, at(30), windows)
    assert found == Seconds(up=5 * 60, down=5 * 60, maintenance=20 * 60)
    assert found.uptime_percent() == 50
    assert found.coverage(1800) == 1


def test_unknown_is_neither_up_nor_down() -> None:
    found = Seconds(up=90, down=10, unknown=900)
    assert found.uptime_percent() == 90
    assert found.coverage(1000) == 0.1
    assert Seconds(unknown=5).uptime_percent() is None


def test_a_short_outage_never_rounds_to_a_hundred() -> None:
    percent = Seconds(up=31_536_000, down=1).uptime_percent()
    assert percent is not None
    assert round(percent, 4) < 100


def test_overlapping_windows_count_once() -> None:
    assert overlap(START, at(60), [(at(-10), at(5)), (at(50), at(90)), (at(0), at(3))]) == 15 * 60


def test_what_nobody_saw_is_unknown_whatever_was_in_force() -> None:
    changes = [(at(-5), "up"), (at(40), "down")]
    found = between(changes, START, at(60), [(at(25), at(35))], [(at(10), at(30)), (at(50), at(55))])
    assert found == Seconds(up=15 * 60, down=15 * 60, unknown=25 * 60, maintenance=5 * 60)
    assert between([(at(0), "pending")], START, at(60), (), [(at(10), at(30))]) == Seconds()


@given(
    st.lists(st.tuples(st.integers(-100, 200), st.sampled_from(["up", "down", "unknown", "degraded", "pending"]))),
    st.lists(st.tuples(st.integers(-100, 200), st.integers(0, 100))),
    st.lists(st.tuples(st.integers(-100, 200), st.integers(0, 100))),
)
def test_no_second_is_counted_twice(
    changes: list[tuple[int, str]], windows: list[tuple[int, int]], dark: list[tuple[int, int]]
) -> None:
    ordered = [(at(minute), verdict) for minute, verdict in sorted(changes, key=lambda each: each[0])]
    spans = [[(at(s), at(s + n)) for s, n in each] for each in (windows, dark)]
    found = between(ordered, START, at(100), *spans)
    total = found.judged + found.unknown + found.maintenance
    assert -0.001 <= total <= 6000.001
    assert min(found.up, found.degraded, found.down, found.unknown, found.maintenance) >= -0.001


KEPT = Kept(timedelta(days=7), timedelta(days=90))


@pytest.mark.parametrize(
    ("hours", "interval", "regions", "source", "step"),
    [
        (1, 5, 1, "raw", 20),
        (1, 60, 1, "raw", 60),
        (24, 5, 1, "raw", 600),
        (24, 86_400, 1, "raw", 86_400),
        (24, 7_000, 1, "raw", 7_000),
        (24, 60, 40, "raw", 1800),
        (48, 60, 1, "hour", 3600),
        (24 * 7, 60, 1, "hour", 3600),
        (24 * 7, 21_600, 1, "hour", 21_600),
        (24 * 30, 60, 1, "hour", 2 * 3600),
        (24 * 90, 60, 3, "hour", 6 * 3600),
        (24 * 90, 60, 40, "hour", 48 * 3600),
        (24 * 365, 60, 3, "day", 86_400),
        (24 * 365, 60, 40, "day", 7 * 86_400),
    ],
)
def test_points_are_as_fine_as_kept_and_no_more_than_a_screen_holds(
    hours: int, interval: int, regions: int, source: str, step: int
) -> None:
    found = resolve(timedelta(hours=hours), KEPT, interval, regions)
    assert (found.source, found.step_seconds) == (source, step)
    assert hours * 3600 / step * (regions + (regions > 1)) <= max(POINTS_MAX, STEPS_MIN * (regions + 1))


def test_a_chart_reaches_only_as_far_as_its_source_is_kept() -> None:
    short = Kept(timedelta(hours=6), timedelta(days=3))
    assert resolve(timedelta(hours=6), short, 60, 1).source == "raw"
    assert resolve(timedelta(hours=24), short, 60, 1).source == "hour"
    assert resolve(timedelta(days=7), short, 60, 1).source == "day"
