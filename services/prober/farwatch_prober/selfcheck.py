"""Whether this prober can be believed: unhealthy only on positive evidence. Pure."""

from collections.abc import Iterable
from dataclasses import dataclass, replace

FAILURES_THAT_COUNT = 2


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


def decide_condition(canaries: Iterable[Canary]) -> Condition:
    """Unhealthy when every canary that ever answered has failed twice in a row."""
    proven = [canary for canary in canaries if canary.ever_answered]
    if not proven or any(canary.failures < FAILURES_THAT_COUNT for canary in proven):
        return Condition(healthy=True)
    names = ", ".join(canary.name for canary in proven)
    return Condition(healthy=False, reason=f"This prober has lost its network: {names} answered before, now all fail")
