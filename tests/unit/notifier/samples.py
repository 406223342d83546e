"""Events and facts of one monitor, to vary in tests."""

from typing import Any

from farwatch_events.events import Cause, DomainEvent, EventMeta, IncidentOpened, IncidentResolved, RecordedEvent
from farwatch_events.results import ErrorClass, Evidence
from farwatch_notifier.facts import ChannelFacts, Facts, IncidentFacts, MonitorFacts

NOW_MS = 1_795_000_000_000
EVENT_ID = "0199aaaa-bbbb-7ccc-8ddd-eeeeffff0001"
CAUSE = Cause(error_class=ErrorClass.CONNECT_REFUSED, error="connection refused by 192.0.2.7:443")
EVIDENCE = Evidence(
    status_line="HTTP/1.1 503 Service Unavailable", body="<h1>Sorry</h1>\nback soon", address="192.0.2.7"
)


def recorded(event: DomainEvent, position: int = 7, event_id: str = EVENT_ID, by: str | None = None) -> RecordedEvent:
    """`by` is how people knew whoever the event says did it."""
    return RecordedEvent(
        position=position,
        id=event_id,
        stream=event.stream,
        stream_version=1,
        type=event.type,
        version=event.version,
        data=event.model_dump(mode="json"),
        meta=EventMeta(actor=(by and getattr(event, "actor", None)) or "incidents", actor_name=by),
        recorded_at_ms=NOW_MS,
    )


def opened(**fields: Any) -> IncidentOpened:
    base: dict[str, Any] = {
        "at_ms": NOW_MS,
        "incident_id": 3,
        "monitor_id": 1,
        "monitor_name": "Shop",
        "severity": "down",
        "cause": CAUSE,
        "regions": ["eu", "us"],
        "reason": "2 of 2 regions say down",
        "evidence": EVIDENCE,
    }
    return IncidentOpened(**(base | fields))


def resolved(**fields: Any) -> IncidentResolved:
    base: dict[str, Any] = {
        "at_ms": NOW_MS,
        "incident_id": 3,
        "monitor_id": 1,
        "monitor_name": "Shop",
        "how": "recovered",
        "duration_seconds": 9000,
        "reason": "2 of 2 regions say up",
    }
    return IncidentResolved(**(base | fields))


def incident(**fields: Any) -> IncidentFacts:
    base: dict[str, Any] = {
        "id": 3,
        "monitor_id": 1,
        "monitor_name": "Shop",
        "severity": "down",
        "opened_ms": NOW_MS - 60_000,
        "regions": ("eu", "us"),
        "error_class": "connect_refused",
        "error": CAUSE.error,
    }
    return IncidentFacts(**(base | fields))


def monitor(**fields: Any) -> MonitorFacts:
    base: dict[str, Any] = {"id": 1, "name": "Shop", "type": "http", "target": "https://shop.example/"}
    return MonitorFacts(**(base | fields))


def channel(channel_id: int, *moments: str, enabled: bool = True) -> ChannelFacts:
    return ChannelFacts(channel_id, f"channel {channel_id}", enabled, frozenset(moments or ("down", "up")))


def facts(*channels: ChannelFacts, **fields: Any) -> Facts:
    base: dict[str, Any] = {"channels": channels, "monitor": monitor(), "incident": incident()}
    return Facts(**(base | fields))
