"""Latency histograms on fixed log buckets: counted by incidents, read by the api, merged by adding.

The bounds are fixed for good, so that any two histograms ever stored can be added and a percentile of a year is as
honest as one of an hour: it is off by at most half a bucket, about 9%.

Stored form (column `histogram` of the rollups): pairs [[bucket, count], ...] in rising order, empty buckets left out.
"""

import math
from bisect import bisect_right
from collections.abc import Iterable, Mapping, Sequence
from itertools import pairwise

BUCKETS_PER_DOUBLING = 4
_SMALLEST_MS = 0.125
_DOUBLINGS = 20

BOUNDS_MS: tuple[float, ...] = tuple(
    _SMALLEST_MS * 2 ** (step / BUCKETS_PER_DOUBLING) for step in range(_DOUBLINGS * BUCKETS_PER_DOUBLING + 1)
)
"""Lower bounds of buckets 1, 2, …; bucket 0 is everything below the first, the last one is open. Up to 131 s."""

BUCKETS = len(BOUNDS_MS) + 1

Pairs = Sequence[Sequence[int]]


def bucket_of(latency_ms: float) -> int:
    """The same number as PostgreSQL's `width_bucket(latency_ms, BOUNDS_MS)`."""
    return bisect_right(BOUNDS_MS, latency_ms)


def bounds_of(bucket: int) -> tuple[float, float]:
    """Lower (inclusive) and upper (exclusive) bound in ms; the last bucket is given one step of width."""
    lower = 0.0 if bucket == 0 else BOUNDS_MS[bucket - 1]
    upper = BOUNDS_MS[bucket] if bucket < len(BOUNDS_MS) else lower * 2 ** (1 / BUCKETS_PER_DOUBLING)
    return lower, upper


def count(latencies_ms: Iterable[float]) -> list[list[int]]:
    """The stored form of these latencies."""
    counts: dict[int, int] = {}
    for latency_ms in latencies_ms:
        bucket = bucket_of(latency_ms)
        counts[bucket] = counts.get(bucket, 0) + 1
    return to_pairs(counts)


def merge(histograms: Iterable[Pairs]) -> list[list[int]]:
    """The histogram of all of them together, in the stored form."""
    counts: dict[int, int] = {}
    for pairs in histograms:
        for bucket, number in pairs:
            counts[bucket] = counts.get(bucket, 0) + number
    return to_pairs(counts)


def to_pairs(counts: Mapping[int, int]) -> list[list[int]]:
    return [[bucket, number] for bucket, number in sorted(counts.items()) if number > 0]


def percentile(pairs: Pairs, fraction: float) -> float | None:
    """The latency in ms below which `fraction` (0 to 1) of the counted ones lie; None for an empty histogram.

    Within its bucket the value is interpolated on the log scale that the buckets are cut on.
    """
    total = sum(number for _, number in pairs)
    if total == 0:
        return None
    rank = min(max(fraction, 0.0), 1.0) * total
    below = 0
    for bucket, number in pairs:
        if below + number >= rank:
            return _within(bucket, (rank - below) / number)
        below += number
    return bounds_of(pairs[-1][0])[1]


def _within(bucket: int, share: float) -> float:
    lower, upper = bounds_of(bucket)
    if lower == 0.0:
        return upper * share
    return lower * math.exp(math.log(upper / lower) * share)


def is_stored_form(pairs: Pairs) -> bool:
    """Rising buckets in range, positive counts: what a rollup may hold."""
    buckets = [bucket for bucket, _ in pairs]
    return (
        all(0 <= bucket < BUCKETS for bucket in buckets)
        and all(number > 0 for _, number in pairs)
        and all(before < after for before, after in pairwise(buckets))
    )
