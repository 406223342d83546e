"""Whether this prober can be believed: unhealthy only on positive evidence. Pure."""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Literal

from farwatch_events.monitor import DnsMonitor, MonitorSpec
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


ENOUGH_MONITORS = 3
"""Own monitors of so many networks are evidence without anything else when all of them fail at once. Fewer may well be
down themselves, so they only ever speak for the prober."""

CanaryKind = Literal["name server", "place", "monitor"]


@dataclass(frozen=True, slots=True)
class Canary:
    """Something that should always answer. One that never did proves nothing, so it counts for nothing."""

    name: str
    kind: CanaryKind = "place"
    ever_answered: bool = False
    failures: int = 0


@dataclass(frozen=True, slots=True)
class Condition:
    healthy: bool
    reason: str | None = None


WELL = Condition(healthy=True)


def evolve_canary(canary: Canary, answered: bool) -> Canary:
    if answered:
        return replace(canary, ever_answered=True, failures=0)
    return replace(canary, failures=canary.failures + 1)


def is_in_doubt(asked: Iterable[Canary], *, from_memory: bool = True) -> bool:
    """Whether what was asked just now says too little to believe in the network.

    A name server may answer `from_memory` what it was asked before: against own monitors that are all silent that does
    not count, and it has to be asked for something new.
    """
    proven = [canary for canary in asked if canary.ever_answered]
    answering = {canary.kind for canary in proven if canary.failures == 0}
    if "monitor" in answering or "place" in answering or not proven:
        return False
    if "name server" in answering:
        return from_memory and any(canary.kind == "monitor" for canary in proven)
    return True


def decide_condition(canaries: Iterable[Canary]) -> Condition:
    """Unhealthy when every canary that ever answered has failed twice in a row, and they are enough to prove it."""
    proven = [canary for canary in canaries if canary.ever_answered]
    monitors = sum(canary.kind == "monitor" for canary in proven)
    is_evidence = monitors < len(proven) or monitors >= ENOUGH_MONITORS
    if not is_evidence or any(canary.failures < FAILURES_THAT_COUNT for canary in proven):
        return WELL
    names = ", ".join(canary.name for canary in proven)
    return Condition(healthy=False, reason=f"This prober has lost its network: {names} answered before, now all fail")


def decide_names(canaries: Iterable[Canary]) -> Condition:
    """The same of its name servers alone: while other canaries answer, only what needs a name is not believed."""
    servers = [canary for canary in canaries if canary.ever_answered and canary.kind == "name server"]
    if not servers or any(canary.failures < FAILURES_THAT_COUNT for canary in servers):
        return WELL
    names = ", ".join(canary.name for canary in servers)
    return Condition(healthy=False, reason=f"No name is known to be missing while {names} fail, which answered before")


def rests_on_names(spec: MonitorSpec, error_class: ErrorClass | None) -> bool:
    """Whether the failure may be that of the prober's own name servers."""
    return error_class == ErrorClass.DNS and not (isinstance(spec, DnsMonitor) and spec.resolver is not None)
