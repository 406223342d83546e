"""Planned times in which nobody is told."""

from typing import ClassVar, Final

from farwatch_events.events.base import DomainEvent


class _MaintenanceEvent(DomainEvent):
    maintenance_id: int

    @property
    def stream(self) -> str:
        return f"maintenance-{self.maintenance_id}"


class MaintenanceScheduled(_MaintenanceEvent):
    type: ClassVar[str] = "maintenance.scheduled"
    name: str


class MaintenanceChanged(_MaintenanceEvent):
    type: ClassVar[str] = "maintenance.changed"
    changed: list[str]


class MaintenanceCancelled(_MaintenanceEvent):
    type: ClassVar[str] = "maintenance.cancelled"


EVENTS: Final = (
    MaintenanceScheduled,
    MaintenanceChanged,
    MaintenanceCancelled,
)
