"""How an event stands in the log, and all the types there are."""

from typing import Any, Final

from farwatch_events.events import alerting, incidents, maintenance, monitors, regions, system, users
from farwatch_events.events.base import DomainEvent, EventMeta
from farwatch_events.model import Message

EVENT_TYPES: Final[dict[str, type[DomainEvent]]] = {
    event.type: event
    for part in (monitors, incidents, regions, alerting, maintenance, users, system)
    for event in part.EVENTS
}
"""By stored name."""


class RecordedEvent(Message):
    """An event as it stands in the log: the envelope that travels on the EVENTS stream."""

    position: int
    id: str
    stream: str
    stream_version: int
    type: str
    version: int
    data: dict[str, Any]
    meta: EventMeta
    recorded_at_ms: int

    def to_bytes(self) -> bytes:
        """JSON in UTF-8, every field written: what is stored for years must not lean on today's defaults."""
        return self.model_dump_json().encode()

    def event(self) -> DomainEvent | None:
        """The typed event, or None when this version does not know the type."""
        model = EVENT_TYPES.get(self.type)
        return None if model is None else model.model_validate(self.data)
