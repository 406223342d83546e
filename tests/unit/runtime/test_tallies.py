"""Tallies read as prometheus_client's own counters and histograms would."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry, Counter, Histogram, generate_latest

from farwatch_runtime.tallies import Counts, Distributions

BUCKETS = (0.01, 0.5, 1, 30)


def said(registry: CollectorRegistry) -> list[str]:
    """Without the times of creation, which tallies do not keep."""
    lines = generate_latest(registry).decode().splitlines()
    return sorted(line for line in lines if "_created" not in line)


@given(st.lists(st.tuples(st.sampled_from(["http", 'a "b"\n', "ü"]), st.sampled_from(["up", "down"]))))
def test_counts_read_as_a_counter(events: list[tuple[str, str]]) -> None:
    ours, theirs = CollectorRegistry(), CollectorRegistry()
    counts = Counts("x_checks", "Checks", ["type", "outcome"], ours).of
    counter = Counter("x_checks", "Checks", ["type", "outcome"], registry=theirs)
    for event in events:
        counts[event] += 1
        counter.labels(*event).inc()
    assert said(ours) == said(theirs)


@given(st.lists(st.tuples(st.sampled_from(["http", "dns"]), st.sampled_from([0.0, 0.01, 0.02, 0.5, 1.0, 30.0, 31.0]))))
def test_distributions_read_as_a_histogram(events: list[tuple[str, float]]) -> None:
    ours, theirs = CollectorRegistry(), CollectorRegistry()
    values = Distributions("x_seconds", "Seconds", ["type"], BUCKETS, ours).of
    histogram = Histogram("x_seconds", "Seconds", ["type"], buckets=BUCKETS, registry=theirs)
    for kind, value in events:
        values[kind,].observe(value)
        histogram.labels(kind).observe(value)
    assert said(ours) == said(theirs)


def test_a_histogram_without_labels_is_there_before_anything_happened() -> None:
    ours, theirs = CollectorRegistry(), CollectorRegistry()
    _ = Distributions("x_seconds", "Seconds", [], BUCKETS, ours).of[()]
    _ = Histogram("x_seconds", "Seconds", buckets=BUCKETS, registry=theirs)
    assert said(ours) == said(theirs)


def test_no_name_is_taken_twice() -> None:
    registry = CollectorRegistry()
    _ = Counts("x", "X", ["a"], registry)
    with pytest.raises(ValueError, match="Duplicated"):
        _ = Distributions("x_total", "X", ["a"], BUCKETS, registry)
