"""Which module tells which event. Pure."""

from collections.abc import Callable
from typing import Any

from farwatch_events.events import (
    DomainEvent,
    DrillAcknowledged,
    DrillEnded,
    DrillStarted,
    FirstFailure,
    FirstSuccess,
    FlappingEnded,
    FlappingStarted,
    IncidentAcknowledged,
    IncidentOpened,
    IncidentResolved,
    IncidentSeverityRaised,
    IncidentUnsuppressed,
    RecordedEvent,
    RegionCleared,
    RegionReturned,
    RegionSilenced,
    RegionSuspected,
    SystemRecovered,
    SystemTroubled,
)
from farwatch_notifier.facts import Facts
from farwatch_notifier.message import acknowledgement, check, drill, flapping, incident, region, system
from farwatch_notifier.message.alert import Alert
from farwatch_notifier.message.parts import Described, Fields, make_link, monitor_fields
from farwatch_notifier.message.words import compose
from farwatch_notifier.policy.deciding import say_who, thread_of

Describe = Callable[[Any, Facts, str], Described | None]
"""Event, facts, and who did it in words."""

DESCRIBED: dict[type[DomainEvent], Describe] = {
    IncidentOpened: incident.describe_opened,
    IncidentSeverityRaised: incident.describe_raised,
    IncidentUnsuppressed: incident.describe_unsuppressed,
    IncidentResolved: incident.describe_resolved,
    IncidentAcknowledged: acknowledgement.describe_acknowledged,
    DrillStarted: drill.describe_drill_started,
    DrillAcknowledged: acknowledgement.describe_acknowledged,
    DrillEnded: drill.describe_drill_ended,
    FirstFailure: check.describe_first_failure,
    FirstSuccess: check.describe_first_success,
    RegionSilenced: region.describe_silent,
    RegionReturned: region.describe_returned,
    RegionSuspected: region.describe_suspect,
    RegionCleared: region.describe_cleared,
    SystemTroubled: system.describe_troubled,
    SystemRecovered: system.describe_recovered,
    FlappingStarted: flapping.describe_flapping,
    FlappingEnded: flapping.describe_steady,
}


def build_alert(recorded: RecordedEvent, facts: Facts, public_url: str) -> Alert | None:
    """The message of a routed event; None for an event without one. `public_url` may be empty: then no links."""
    event = recorded.event()
    describe = None if event is None else DESCRIBED.get(type(event))
    if event is None or describe is None:
        return None
    told = describe(event, facts, say_who(recorded, event))
    if told is None:
        return None
    fields: Fields = {"at_ms": event.at_ms, "thread": thread_of(event), **monitor_fields(event, facts), **told.fields}
    fields["link"] = make_link(public_url, fields["incident_id"], fields["monitor_id"])
    return compose(told.kind, fields, told.by, told.problem)
