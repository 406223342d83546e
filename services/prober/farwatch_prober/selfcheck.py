"""Whether this prober can be believed: unhealthy only on positive evidence. Pure."""

from collections.abc import Iterable
from dataclasses import dataclass, replace

from farwatch_events.results import ErrorClass

FAILURES_THAT_COUNT = 2

ON_THE_WAY = frozenset(
    {
        ErrorClass.DNS,
        ErrorClass.CONNECT_REFUSED,
        ErrorClass.CONNECT_TIMEOUT,
        ErrorClass.UNREACHABLE,
        ErrorClass.TLS,
        ErrorClass.TIMEOUT,
        ErrorClass.PROTOCOL,
    }
)
"""Failures that a prober without a network would see too: nothing the target said is among them."""


@dataclass(frozen=True, slots=True)
class Canary:
    """Something near that should always answer. One that never did proves nothing, so it counts for nothing."""

    name: str
    ever_answered: bool = False
    failures: int = 0


@dataclass(frozen=True, slots=True)
class Condition:
    healthy: bool
    reason: str | None = None


def evolve_canary(canary: Canary, answered: bool) -> Canary:
    if answered:
        return replace(canary, ever_answered=True, failures=0)
    return replace(canary, failures=canary.failures + 1)


def is_in_doubt(canaries: Iterable[Canary]) -> bool:
    """Whether everything that ever answered failed the last time, which once may be chance."""
    proven = [canary for canary in canaries if canary.ever_answered]
    return bool(proven) and all(canary.failures > 0 for canary in proven)


def decide_condition(canaries: Iterable[Canary]) -> Condition:
    """Unhealthy when every canary that ever answered has failed twice in a row."""
    proven = [canary for canary in canaries if canary.ever_answered]
    if not proven or any(canary.failures < FAILURES_THAT_COUNT for canary in proven):
        return Condition(healthy=True)
    names = ", ".join(canary.name for canary in proven)
    return Condition(healthy=False, reason=f"This prober has lost its network: {names} answered before, now all fail")
