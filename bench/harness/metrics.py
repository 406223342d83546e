"""Prometheus text of a service: counters, and quantiles of what a histogram grew by between two readings."""

import urllib.request
from collections.abc import Mapping, Sequence
from itertools import pairwise

from prometheus_client.parser import text_string_to_metric_families

Samples = Mapping[tuple[str, tuple[tuple[str, str], ...]], float]


def scrape(port: int) -> Samples:
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=10) as answer:
        text = answer.read().decode()
    return {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def total(samples: Samples, name: str) -> float:
    """Over all labels."""
    return sum(value for (each, _), value in samples.items() if each == name)


def by_label(samples: Samples, name: str, label: str) -> dict[str, float]:
    return {dict(labels).get(label, ""): value for (each, labels), value in samples.items() if each == name}


def buckets(samples: Samples, name: str) -> list[tuple[float, float]]:
    """(upper bound, cumulative count), ascending."""
    found = [
        (float(dict(labels)["le"]), value) for (each, labels), value in samples.items() if each == f"{name}_bucket"
    ]
    return sorted(found)


def growth(before: Sequence[tuple[float, float]], after: Sequence[tuple[float, float]]) -> list[tuple[float, float]]:
    earlier = dict(before)
    return [(bound, count - earlier.get(bound, 0.0)) for bound, count in after]


def quantile(cumulative: Sequence[tuple[float, float]], share: float) -> float | None:
    """Linear within its bucket; None when nothing was observed, the last finite bound when it lies above that."""
    if not cumulative or cumulative[-1][1] <= 0:
        return None
    wanted = share * cumulative[-1][1]
    for (low, below), (high, upto) in pairwise([(0.0, 0.0), *cumulative]):
        if upto >= wanted and upto > below:
            return low if high == float("inf") else low + (high - low) * (wanted - below) / (upto - below)
    return None
