"""Counters and histograms for what happens thousands of times a second.

Those of prometheus_client take a lock and several calls for each event. These are for one thread, the event loop's,
where `/metrics` is read too, and are put into Prometheus's terms only when somebody asks.
"""

from bisect import bisect_left
from collections import defaultdict
from collections.abc import Iterator, Sequence
from math import inf

from prometheus_client import CollectorRegistry
from prometheus_client.metrics_core import CounterMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.registry import Collector

Labels = tuple[str, ...]


class Counts(Collector):
    """A counter. `of[labels] += 1` counts one, with as many labels as were named."""

    def __init__(self, name: str, documentation: str, labels: Sequence[str], registry: CollectorRegistry) -> None:
        self._about = (name, documentation)
        self._labels = tuple(labels)
        self.of: defaultdict[Labels, int] = defaultdict(int)
        registry.register(self)

    def collect(self) -> Iterator[Metric]:
        family = CounterMetricFamily(*self._about, labels=self._labels)
        for labels, count in self.of.items():
            family.add_metric(labels, count)
        yield family

    def describe(self) -> Iterator[Metric]:
        yield CounterMetricFamily(*self._about, labels=self._labels)


class Distribution:
    """The values of one set of labels, each in the first bucket that is not less than it."""

    __slots__ = ("_bounds", "counts", "total")

    def __init__(self, bounds: Sequence[float]) -> None:
        self._bounds = bounds
        self.counts = [0] * (len(bounds) + 1)
        self.total = 0.0

    def observe(self, value: float) -> None:
        self.counts[bisect_left(self._bounds, value)] += 1
        self.total += value

    def cumulated(self) -> list[tuple[str, float]]:
        """Each bound as Prometheus writes it, with how many values are not above it."""
        below, found = 0, []
        for bound, count in zip((*self._bounds, inf), self.counts, strict=True):
            below += count
            found.append(("+Inf" if bound == inf else str(bound), float(below)))
        return found


class Distributions(Collector):
    """A histogram. `of[labels].observe(value)`, with as many labels as were named."""

    def __init__(
        self,
        name: str,
        documentation: str,
        labels: Sequence[str],
        buckets: Sequence[float],
        registry: CollectorRegistry,
    ) -> None:
        self._about = (name, documentation)
        self._labels = tuple(labels)
        bounds = tuple(map(float, buckets))
        self.of: defaultdict[Labels, Distribution] = defaultdict(lambda: Distribution(bounds))
        registry.register(self)

    def collect(self) -> Iterator[Metric]:
        family = HistogramMetricFamily(*self._about, labels=self._labels)
        for labels, values in self.of.items():
            family.add_metric(labels, buckets=values.cumulated(), sum_value=values.total)
        yield family

    def describe(self) -> Iterator[Metric]:
        yield HistogramMetricFamily(*self._about, labels=self._labels)
