"""Own monitors as canaries: which of those that this prober saw steadily up are asked, should it doubt itself. Pure.

No more than a handful, of networks that have nothing to do with each other: what lies on one host fails together.
"""

import ipaddress
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from urllib.parse import urlsplit

from farwatch_events.monitor import HttpMonitor, MonitorSpec, PortMonitor, TlsMonitor
from farwatch_events.results import Outcome

STEADY_CHECKS = 5
"""Answered in a row, before a monitor can be a canary."""
CHOSEN_MOST = 5
POOL_MOST = 32
OF_ONE_NETWORK_MOST = 2
FORGOTTEN_AFTER_MS = 600_000
"""And three intervals without a check: it is paused, deleted, or another prober's."""


@dataclass(frozen=True, slots=True)
class Place:
    host: str
    port: int

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


@dataclass(frozen=True, slots=True)
class Watched:
    """A monitor that may become a canary. `network` is where its address lies; `ups` are its answers, without a failure
    between."""

    monitor_id: int
    config_version: int
    place: Place
    network: str
    is_public: bool
    interval_ms: int
    ups: int = 0
    heard_ms: int = 0

    @property
    def is_steady(self) -> bool:
        return self.ups >= STEADY_CHECKS


@dataclass(frozen=True, slots=True)
class Sighting:
    """The end of one scheduled check. `address` is what was dialled."""

    monitor_id: int
    config_version: int
    spec: MonitorSpec
    outcome: Outcome
    address: str | None
    at_ms: int


def place_of(spec: MonitorSpec) -> Place | None:
    """Where a connection shows that the network carries; None for what is reached in another way."""
    if isinstance(spec, PortMonitor | TlsMonitor):
        return Place(spec.host.strip("[]"), spec.port)
    if not isinstance(spec, HttpMonitor) or spec.proxy is not None:
        return None
    try:
        parts = urlsplit(spec.url)
        port = parts.port or (443 if parts.scheme == "https" else 80)
    except ValueError:
        return None
    return Place(parts.hostname, port) if parts.hostname else None


def network_of(address: str) -> str:
    """The address's neighbourhood, a /24 or a /48; "" for this very machine, where no network is needed."""
    try:
        known = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return ""
    if known.is_loopback or known.is_unspecified or known.is_link_local:
        return ""
    length = 24 if known.version == 4 else 48
    return str(ipaddress.ip_network((known, length), strict=False))


def evolve_watched(watched: Watched, sighting: Sighting) -> Watched | None:
    """None after a failure: it has to earn its place again. That the prober did not look, or did not believe what it
    saw, says nothing."""
    if sighting.outcome == "down":
        return None
    return replace(watched, ups=watched.ups + (sighting.outcome != "unknown"), heard_ms=sighting.at_ms)


def admit(sighting: Sighting) -> Watched | None:
    """None for a monitor that cannot be a canary."""
    place = place_of(sighting.spec)
    network = network_of(sighting.address or "")
    if place is None or not network or sighting.outcome in ("down", "unknown"):
        return None
    is_public = ipaddress.ip_address((sighting.address or "").partition("%")[0]).is_global
    interval_ms = sighting.spec.interval_ms
    return Watched(
        sighting.monitor_id, sighting.config_version, place, network, is_public, interval_ms, 1, sighting.at_ms
    )


def choose(watched: Iterable[Watched], before: Iterable[int] = ()) -> tuple[Watched, ...]:
    """The canaries among them: each of its own network and host, those of `before` first as long as they are steady.

    With one at a public address none at a private one: a prober whose uplink is gone still reaches its neighbours.
    """
    steady = [each for each in watched if each.is_steady]
    if any(each.is_public for each in steady):
        steady = [each for each in steady if each.is_public]
    kept = frozenset(before)
    steady.sort(key=lambda each: (each.monitor_id not in kept, -each.ups, each.monitor_id))
    chosen: list[Watched] = []
    taken: set[str] = set()
    for each in steady:
        marks = {each.network, each.place.host}
        if len(chosen) < CHOSEN_MOST and not marks & taken:
            chosen.append(each)
            taken |= marks
    return tuple(chosen)


class Pool:
    """The monitors of which it is known how steady they are: few, and few of one network."""

    def __init__(self) -> None:
        self._known: dict[int, Watched] = {}

    @property
    def is_full(self) -> bool:
        return len(self._known) >= POOL_MOST

    def __contains__(self, monitor_id: int) -> bool:
        return monitor_id in self._known

    @property
    def known(self) -> Mapping[int, Watched]:
        return self._known

    def see(self, sighting: Sighting) -> None:
        known = self._known.pop(sighting.monitor_id, None)
        if known is not None and known.config_version == sighting.config_version:
            after = evolve_watched(known, sighting)
        else:
            after = None if self.is_full else admit(sighting)
            after = after if after is not None and self._has_room_in(after.network) else None
        if after is not None:
            self._known[sighting.monitor_id] = after

    def _has_room_in(self, network: str) -> bool:
        return sum(each.network == network for each in self._known.values()) < OF_ONE_NETWORK_MOST

    def forget(self, now_ms: int) -> None:
        """Those of which nothing was heard for long."""
        self._known = {
            each.monitor_id: each
            for each in self._known.values()
            if now_ms - each.heard_ms <= FORGOTTEN_AFTER_MS + 3 * each.interval_ms
        }
