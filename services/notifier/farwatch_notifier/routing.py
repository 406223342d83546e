"""Who is told of an event, who is not, and why. Pure: the same event and facts give the same intents."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from farwatch_events.channels import Moment
from farwatch_events.events import (
    DomainEvent,
    FirstFailure,
    FirstSuccess,
    IncidentOpened,
    IncidentResolved,
    IncidentSeverityRaised,
    IncidentUnsuppressed,
    RecordedEvent,
    RegionCleared,
    RegionReturned,
    RegionSilenced,
    RegionSuspected,
)
from farwatch_notifier.facts import ChannelFacts, Facts, Intent, Prior

STALE_AFTER_MS = 24 * 3_600_000
"""An event that waited longer than a delivery may be retried is history, not an alert."""

_REACHED = ("pending", "delivered")
_PROBLEM_MOMENTS = ("down", "degraded")
_CLOSED_WITHOUT_RECOVERY = {"paused": "the monitor was paused", "deleted": "the monitor was deleted"}


@dataclass(frozen=True, slots=True)
class Decision:
    """For one channel: tell it, or not (`hold`), and the sentence that says why."""

    channel: ChannelFacts
    moment: Moment
    reason: str
    hold: bool = False


def route(recorded: RecordedEvent, facts: Facts, now_ms: int) -> list[Intent]:
    """The intents of one event, suppressed ones included; none for events that nobody is told of."""
    event = recorded.event()
    rule = None if event is None else RULES.get(type(event))
    if event is None or rule is None:
        return []
    decisions = rule(event, facts)
    if now_ms - event.at_ms > STALE_AFTER_MS:
        decisions = (_held(each, "the event was over 24 hours old when it was read") for each in decisions)
    return [_intent(recorded, event, each) for each in decisions]


def dedup_key(event_id: str, channel_id: int, moment: str) -> str:
    """The same for every replay and retry; without dots, which separate the parts of a signed webhook."""
    return f"msg_{event_id.replace('-', '')}_{channel_id}_{moment}"


def select_channels(facts: Facts) -> list[tuple[ChannelFacts, str]]:
    """The channels of the event's monitor, with the reason each is among them."""
    named = facts.monitor.channels if facts.monitor is not None else ()
    if named:
        return [(channel, "the monitor names this channel") for channel in facts.channels if channel.id in named]
    return [(channel, "every enabled channel is used") for channel in facts.channels if channel.enabled]


def told_since_recovery(prior: Sequence[Prior], channel_id: int) -> list[str]:
    """The problem moments of an incident that reached, or will reach, a channel after its last recovery message."""
    moments: list[str] = []
    for delivery in prior:
        if delivery.channel_id != channel_id or delivery.state not in _REACHED:
            continue
        moments = [] if delivery.moment == "up" else [*moments, delivery.moment]
    return [moment for moment in moments if moment in _PROBLEM_MOMENTS]


def route_opened(event: DomainEvent, facts: Facts) -> Iterator[Decision]:
    assert isinstance(event, IncidentOpened)
    hold = f"suppressed: {event.suppressed}" if event.suppressed else None
    return _problem(event.severity, f"incident {event.incident_id} opened", facts, hold)


def route_severity_raised(event: DomainEvent, facts: Facts) -> Iterator[Decision]:
    """Told even when somebody acknowledged the lesser problem: this one is worse."""
    assert isinstance(event, IncidentSeverityRaised)
    suppressed = facts.incident.suppressed if facts.incident is not None else None
    hold = f"suppressed: {suppressed}" if suppressed else None
    return _problem(event.severity, f"incident {event.incident_id} became {event.severity}", facts, hold)


def route_unsuppressed(event: DomainEvent, facts: Facts) -> Iterator[Decision]:
    assert isinstance(event, IncidentUnsuppressed)
    if facts.incident is None:
        return iter(())
    seen_ms, by = facts.incident.acknowledged_ms, facts.incident.acknowledged_by or "somebody"
    hold = f"acknowledged by {by} before" if seen_ms is not None and seen_ms <= event.at_ms else None
    return _problem(facts.incident.severity, f"incident {event.incident_id}: {event.reason}", facts, hold)


def _problem(moment: Moment, what: str, facts: Facts, hold: str | None) -> Iterator[Decision]:
    hold = hold or _monitor_gone(facts)
    for channel, why in select_channels(facts):
        told = told_since_recovery(facts.prior, channel.id)
        refusal = _refusal(channel, moment) or hold
        if moment in told or "down" in told:
            refusal = refusal or "the channel was told already"
        yield Decision(channel, moment, refusal or f"{what}; {why}", hold=refusal is not None)


def route_resolved(event: DomainEvent, facts: Facts) -> Iterator[Decision]:
    """Owed to every channel that was told of the incident, even when the monitor no longer names it."""
    assert isinstance(event, IncidentResolved)
    selected = {channel.id for channel, _ in select_channels(facts)}
    closed = _CLOSED_WITHOUT_RECOVERY.get(event.how)
    for channel in facts.channels:
        told = bool(told_since_recovery(facts.prior, channel.id))
        if not told and channel.id not in selected:
            continue
        owed, why = (True, "the channel was told of it") if told else _untold(channel, event)
        refusal = closed or _refusal(channel, "up") or (None if owed else why)
        reason = refusal or f"incident {event.incident_id} ended ({event.how}); {why}"
        yield Decision(channel, "up", reason, hold=refusal is not None)


def _untold(channel: ChannelFacts, event: IncidentResolved) -> tuple[bool, str]:
    """Whether a channel that heard of no problem gets the recovery: only when it wants recoveries alone."""
    if event.suppressed:
        return False, f"suppressed: {event.suppressed}"
    if channel.moments.isdisjoint(_PROBLEM_MOMENTS):
        return True, "the channel takes recoveries only"
    return False, "the channel was not told of the incident"


def route_first_failure(event: DomainEvent, facts: Facts) -> Iterator[Decision]:
    assert isinstance(event, FirstFailure)
    for channel, why in _takers("first_failure", facts):
        merged = event.confirmed and "down" in channel.moments
        refusal = "the same result is told as down" if merged else _quiet(event.at_ms, facts, event.confirmed)
        yield Decision(channel, "first_failure", refusal or f"a first failure; {why}", hold=refusal is not None)


def route_first_success(event: DomainEvent, facts: Facts) -> Iterator[Decision]:
    assert isinstance(event, FirstSuccess)
    for channel, why in _takers("first_success", facts):
        merged = event.recovered and "up" in channel.moments
        refusal = "the same result is told as the recovery" if merged else _quiet(event.at_ms, facts, event.recovered)
        yield Decision(channel, "first_success", refusal or f"a first success; {why}", hold=refusal is not None)


def _quiet(at_ms: int, facts: Facts, ignore_incident: bool) -> str | None:
    """Why single failures and successes are not worth a message now."""
    if gone := _monitor_gone(facts):
        return gone
    if facts.maintenance is not None:
        return f"suppressed: maintenance {facts.maintenance}"
    if facts.incident is not None and not ignore_incident and facts.incident.is_open_at(at_ms):
        return f"incident {facts.incident.id} is open and speaks for it"
    return None


def route_region(_event: DomainEvent, facts: Facts) -> Iterator[Decision]:
    for channel in facts.channels:
        if channel.enabled and "region" in channel.moments:
            yield Decision(channel, "region", "the channel takes news of regions")


def _takers(moment: Moment, facts: Facts) -> list[tuple[ChannelFacts, str]]:
    """Enabled channels that take the moment. Others leave no trace: single failures are too many for that."""
    return [(c, why) for c, why in select_channels(facts) if c.enabled and moment in c.moments]


def _refusal(channel: ChannelFacts, moment: Moment) -> str | None:
    if not channel.enabled:
        return "the channel is off"
    return None if moment in channel.moments else f"the channel does not take the moment {moment}"


def _monitor_gone(facts: Facts) -> str | None:
    if facts.monitor is None or facts.monitor.deleted:
        return "the monitor was deleted since"
    return None if facts.monitor.enabled else "the monitor was paused since"


def _held(decision: Decision, reason: str) -> Decision:
    return decision if decision.hold else Decision(decision.channel, decision.moment, reason, hold=True)


def _intent(recorded: RecordedEvent, event: DomainEvent, decision: Decision) -> Intent:
    return Intent(
        channel_id=decision.channel.id,
        moment=decision.moment,
        dedup_key=dedup_key(recorded.id, decision.channel.id, decision.moment),
        thread=event.stream,
        positions=(recorded.position,),
        reason=decision.reason,
        suppressed=decision.hold,
        monitor_id=getattr(event, "monitor_id", None),
        incident_id=getattr(event, "incident_id", None),
    )


Rule = Callable[[DomainEvent, Facts], Iterator[Decision]]

RULES: dict[type[DomainEvent], Rule] = {
    IncidentOpened: route_opened,
    IncidentSeverityRaised: route_severity_raised,
    IncidentUnsuppressed: route_unsuppressed,
    IncidentResolved: route_resolved,
    FirstFailure: route_first_failure,
    FirstSuccess: route_first_success,
    RegionSilenced: route_region,
    RegionReturned: route_region,
    RegionSuspected: route_region,
    RegionCleared: route_region,
}

ROUTED_TYPES: frozenset[str] = frozenset(event.type for event in RULES)
