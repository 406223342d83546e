"""Incidents that broke together: eleven monitors and one expired certificate are one piece of news.

A group is the incidents open at the same time that share a certificate, an address, or the one region that sees them
fail. It has the id of its first incident, never removes one, and needs two to be.
"""

from collections.abc import Iterable
from dataclasses import dataclass

from farwatch_events.results import ErrorClass
from farwatch_incidents.rules.incident import Incident
from farwatch_incidents.rules.votes import LocalState

_AT_ADDRESS = frozenset(
    {ErrorClass.CONNECT_REFUSED, ErrorClass.CONNECT_TIMEOUT, ErrorClass.UNREACHABLE, ErrorClass.TIMEOUT, ErrorClass.TLS}
)
"""Failures that an address can be the cause of; what a page says is its own affair."""


@dataclass(frozen=True, slots=True)
class Bond:
    """What incidents may share. `by` is certificate, address or region, `key` which one."""

    by: str
    key: str

    @property
    def words(self) -> str:
        if self.by == "region":
            return f"fail as seen from {self.key} only"
        name = self.key.rpartition(" (")[0] if self.by == "certificate" else self.key
        return f"fail with one {self.by}: {name}"


def bonds_of(incident: Incident, local_states: Iterable[LocalState]) -> tuple[Bond, ...]:
    """The strongest first. `local_states` are those of the regions that saw the failure."""
    found: dict[Bond, None] = {}
    for local in local_states:
        for shared in local.shares:
            by, _, key = shared.partition(" ")
            if by == "certificate" or incident.error_class in _AT_ADDRESS:
                found[Bond(by, key)] = None
    bonds = sorted(found, key=lambda bond: bond.by != "certificate")
    if incident.severity == "degraded" and len(incident.regions) == 1 and incident.error_class is not None:
        bonds.append(Bond("region", incident.regions[0]))
    return tuple(bonds)


class Groups:
    """Which open incidents have which bond, in the order they opened."""

    def __init__(self) -> None:
        self._open: dict[Bond, dict[int, int | None]] = {}
        self._bonds: dict[int, tuple[Bond, ...]] = {}
        self._monitors: dict[int, int] = {}

    def opened(self, incident: Incident, bonds: tuple[Bond, ...]) -> None:
        incident_id, group_id = incident.incident_id, incident.group_id
        self._bonds[incident_id] = bonds
        self._monitors[incident_id] = incident.monitor_id
        for bond in bonds:
            self._open.setdefault(bond, {})[incident_id] = group_id

    def joined(self, incident_id: int, group_id: int) -> None:
        for bond in self._bonds.get(incident_id, ()):
            self._open[bond][incident_id] = group_id

    def closed(self, incident_id: int) -> None:
        self._monitors.pop(incident_id, None)
        for bond in self._bonds.pop(incident_id, ()):
            members = self._open[bond]
            members.pop(incident_id, None)
            if not members:
                del self._open[bond]

    def find(self, incident_id: int) -> "Found | None":
        """The group that the incident belongs to by its strongest bond, None while it stands alone."""
        for bond in self._bonds.get(incident_id, ()):
            members = self._open[bond]
            # In the order they opened, so that ten thousand at once cost no more each than two.
            first = next((each for each in members if each != incident_id), None)
            if first is not None:
                group_id = members[first]
                founder = self._monitors[first] if group_id is None else None
                return Found(bond, group_id or first, first, founder, len(members))
        return None


@dataclass(frozen=True, slots=True)
class Found:
    """`first` is the oldest open one with the same bond; `founder` its monitor when it stood alone so far."""

    bond: Bond
    group_id: int
    first: int
    founder: int | None
    size: int

    @property
    def reason(self) -> str:
        return f"{self.size} monitors {self.bond.words}"
