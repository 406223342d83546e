"""A due check as it goes through the prober. Pure."""

from typing import NamedTuple, Protocol

from farwatch_events.checks import DueCheck
from farwatch_events.monitor import MonitorSpec
from farwatch_events.results import Kind


class Due(Protocol):
    """What can be read of one, be it the message or what is remembered of it."""

    @property
    def monitor_id(self) -> int: ...
    @property
    def config_version(self) -> int: ...
    @property
    def slot_ms(self) -> int: ...
    @property
    def spec(self) -> MonitorSpec: ...
    @property
    def kind(self) -> Kind: ...
    @property
    def tries(self) -> int | None: ...
    @property
    def request_id(self) -> str | None: ...
    @property
    def confirmation_of_ms(self) -> int | None: ...


class Scheduled(NamedTuple):
    """The ordinary one. A new message for each slot would cost six times as much."""

    monitor_id: int
    config_version: int
    slot_ms: int
    spec: MonitorSpec
    kind: Kind = "scheduled"
    tries: int | None = None
    request_id: str | None = None
    confirmation_of_ms: int | None = None


def scheduled(check: DueCheck) -> Scheduled | None:
    """None for one that is anything but ordinary."""
    found = Scheduled(check.monitor_id, check.config_version, check.slot_ms, check.spec)
    return found if all(getattr(check, name) == getattr(found, name) for name in Scheduled._fields) else None
