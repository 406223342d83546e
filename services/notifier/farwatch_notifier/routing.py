"""Who is told of an event, who is not, and why. Pure: the same event, facts and time give the same."""

from collections.abc import Callable, Iterator
from dataclasses import replace

from farwatch_events.channels import Moment
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
    Severity,
    SystemRecovered,
    SystemTroubled,
)
from farwatch_events.matching import DEFAULT_POLICY_ID, NumberedPolicy, Subject, select_policies
from farwatch_events.quiet import is_quiet
from farwatch_notifier.facts import ChannelFacts, Facts, Origin, Routed
from farwatch_notifier.policy.choosing import (
    PROBLEM_MOMENTS,
    first_channels,
    monitor_gone,
    refusal,
    target_channels,
    told_since_recovery,
    told_via,
)
from farwatch_notifier.policy.deciding import Decision, make_intents, once, say_who
from farwatch_notifier.policy.grouping import recovery_group
from farwatch_notifier.policy.news import route_acknowledged, route_flapping, route_region, route_steady, route_system
from farwatch_notifier.policy.pursuit import begin, silence_hold

STALE_AFTER_MS = 24 * 3_600_000
"""An event that waited longer than a delivery may be retried is history, not an alert."""

_STALE = "the event was over 24 hours old when it was read"
_CLOSED_WITHOUT_RECOVERY = {"paused": "the monitor was paused", "deleted": "the monitor was deleted"}


def route(recorded: RecordedEvent, facts: Facts, now_ms: int) -> Routed:
    """What one event leads to, suppressed intents included; nothing for events that nobody is told of."""
    event = recorded.event()
    return Routed() if event is None else route_event(recorded, event, facts, now_ms)


def route_event(recorded: RecordedEvent, event: DomainEvent, facts: Facts, now_ms: int) -> Routed:
    """The same for an event that was read already."""
    rule = RULES.get(type(event))
    if rule is None:
        return Routed()
    if now_ms - event.at_ms > STALE_AFTER_MS:
        return _stale(rule(recorded, event, facts, now_ms))
    return rule(recorded, event, facts, now_ms)


def _stale(routed: Routed) -> Routed:
    """Nothing is told any more, and no escalation begins; what ends still ends."""
    held = tuple(e if e.suppressed else replace(e, suppressed=True, reason=_STALE) for e in routed.all_intents())
    return replace(routed, intents=held, pursuits=())


def route_opened(recorded: RecordedEvent, event: DomainEvent, facts: Facts, now_ms: int) -> Routed:
    assert isinstance(event, IncidentOpened)
    hold = f"suppressed: {event.suppressed}" if event.suppressed else None
    what = f"incident {event.incident_id} opened"
    return _problem(recorded, event, event.severity, tuple(event.regions), what, facts, hold, now_ms)


def route_severity_raised(recorded: RecordedEvent, event: DomainEvent, facts: Facts, now_ms: int) -> Routed:
    """Told even when somebody acknowledged the lesser problem: this one is worse."""
    assert isinstance(event, IncidentSeverityRaised)
    suppressed = facts.incident.suppressed if facts.incident is not None else None
    hold = f"suppressed: {suppressed}" if suppressed else None
    what = f"incident {event.incident_id} became {event.severity}"
    return _problem(recorded, event, event.severity, _regions(facts), what, facts, hold, now_ms)


def route_unsuppressed(recorded: RecordedEvent, event: DomainEvent, facts: Facts, now_ms: int) -> Routed:
    assert isinstance(event, IncidentUnsuppressed)
    if facts.incident is None:
        return Routed()
    seen_ms, by = facts.incident.acknowledged_ms, facts.incident.acknowledged_by or "somebody"
    hold = f"acknowledged by {by} before" if seen_ms is not None and seen_ms <= event.at_ms else None
    what = f"incident {event.incident_id}: {event.reason}"
    return _problem(recorded, event, facts.incident.severity, _regions(facts), what, facts, hold, now_ms)


def route_drill(recorded: RecordedEvent, event: DomainEvent, facts: Facts, now_ms: int) -> Routed:
    assert isinstance(event, DrillStarted)
    what = f"fire drill {event.drill_id}, started by {say_who(recorded, event)}"
    return _problem(recorded, event, event.severity, (), what, facts, None, now_ms)


def _regions(facts: Facts) -> tuple[str, ...]:
    return facts.incident.regions if facts.incident is not None else ()


def _problem(
    recorded: RecordedEvent,
    event: DomainEvent,
    severity: Severity,
    regions: tuple[str, ...],
    what: str,
    facts: Facts,
    hold: str | None,
    now_ms: int,
) -> Routed:
    """Every policy that fits begins; what an earlier event of the incident began is over."""
    chosen = select_policies(facts.policies, facts.subject(severity, regions))
    hold = hold or monitor_gone(facts)
    if hold is not None:
        decisions = [each for numbered in chosen for each in _nobody(numbered, severity, facts, hold)]
        return Routed(make_intents(recorded, event, once(decisions)), ends=event.stream)
    origin = Origin(
        event.stream,
        recorded.id,
        recorded.position,
        getattr(event, "monitor_id", 0),
        getattr(event, "incident_id", None),
    )
    failed_ms = _failed_ms(event, facts)
    pursuits = tuple(
        begin(origin, each, severity, what, regions, facts, event.at_ms, now_ms, failed_ms) for each in chosen
    )
    return Routed(pursuits=pursuits, ends=event.stream)


def _failed_ms(event: DomainEvent, facts: Facts) -> int:
    """When the check began that found the trouble; 0 for a drill, which nothing stands before."""
    match event:
        case IncidentOpened() | IncidentSeverityRaised():
            slots = [vote.slot_ms for vote in event.votes if vote.vote == "down"]
            return event.failed_ms or max(slots, default=0)
        case IncidentUnsuppressed():
            return facts.incident.opened_ms if facts.incident is not None else 0
    return 0


def _nobody(numbered: NumberedPolicy, moment: Moment, facts: Facts, hold: str) -> Iterator[Decision]:
    for channel, _why in first_channels(numbered, facts):
        yield Decision(channel, moment, refusal(channel, moment, numbered) or hold, hold=True, policy_id=numbered.id)


def route_resolved(recorded: RecordedEvent, event: DomainEvent, facts: Facts, _now_ms: int) -> Routed:
    """Owed to every channel that was told of the incident, whatever policies and silences say by now."""
    assert isinstance(event, IncidentResolved)
    closed = _CLOSED_WITHOUT_RECOVERY.get(event.how)
    what = f"incident {event.incident_id} ended ({event.how})"
    decisions = list(_recoveries(what, closed, event.suppressed, facts))
    return Routed(make_intents(recorded, event, decisions), ends=event.stream)


def route_drill_ended(recorded: RecordedEvent, event: DomainEvent, facts: Facts, _now_ms: int) -> Routed:
    assert isinstance(event, DrillEnded)
    what = f"fire drill {event.drill_id} ended: {event.reason}"
    return Routed(make_intents(recorded, event, list(_recoveries(what, None, None, facts))), ends=event.stream)


def _recoveries(what: str, closed: str | None, suppressed: str | None, facts: Facts) -> Iterator[Decision]:
    chosen = select_policies(facts.policies, _incident_subject(facts))
    concerned = {channel.id: each for each in reversed(chosen) for channel, _ in first_channels(each, facts)}
    for channel in facts.channels:
        told = bool(told_since_recovery(facts.prior, channel.id))
        numbered = concerned.get(channel.id)
        if not told and numbered is None:
            continue
        owed, why = (True, "the channel was told of it") if told else _untold(channel, numbered, suppressed)
        no = closed or refusal(channel, "up", numbered) or (None if owed else why)
        group = None if no else recovery_group(told_via(facts.prior, channel.id), facts.policies)
        yield Decision(channel, "up", no or f"{what}; {why}", hold=no is not None, group=group)


def _incident_subject(facts: Facts) -> Subject:
    return facts.subject(facts.incident.severity if facts.incident is not None else None, _regions(facts))


def _untold(channel: ChannelFacts, numbered: NumberedPolicy | None, suppressed: str | None) -> tuple[bool, str]:
    """Whether a channel that heard of no problem gets the recovery: only when it wants recoveries alone."""
    if suppressed:
        return False, f"suppressed: {suppressed}"
    moments = numbered.policy.moments if numbered is not None and numbered.policy.moments is not None else None
    if (channel.moments if moments is None else frozenset(moments)).isdisjoint(PROBLEM_MOMENTS):
        return True, "the channel takes recoveries only"
    return False, "the channel was not told of the incident"


def route_first_failure(recorded: RecordedEvent, event: DomainEvent, facts: Facts, now_ms: int) -> Routed:
    assert isinstance(event, FirstFailure)
    decisions = []
    for channel, why, numbered in _takers("first_failure", facts, (event.region,)):
        merged = event.confirmed and refusal(channel, "down", numbered) is None
        no = "the same result is told as down" if merged else _quiet(event, facts, numbered, event.confirmed, now_ms)
        said = no or f"a first failure; {why}"
        decisions.append(Decision(channel, "first_failure", said, hold=no is not None, policy_id=numbered.id))
    return Routed(make_intents(recorded, event, once(decisions)))


def route_first_success(recorded: RecordedEvent, event: DomainEvent, facts: Facts, now_ms: int) -> Routed:
    assert isinstance(event, FirstSuccess)
    decisions = []
    for channel, why, numbered in _takers("first_success", facts, (event.region,)):
        merged = event.recovered and refusal(channel, "up", numbered) is None
        repeated = "the same result is told as the recovery"
        no = repeated if merged else _quiet(event, facts, numbered, event.recovered, now_ms)
        said = no or f"a first success; {why}"
        decisions.append(Decision(channel, "first_success", said, hold=no is not None, policy_id=numbered.id))
    return Routed(make_intents(recorded, event, once(decisions)))


def _quiet(
    event: FirstFailure | FirstSuccess, facts: Facts, numbered: NumberedPolicy, ignore_incident: bool, now_ms: int
) -> str | None:
    """Why single failures and successes are not worth a message now."""
    if gone := monitor_gone(facts):
        return gone
    if facts.maintenance is not None:
        return f"suppressed: maintenance {facts.maintenance}"
    if facts.incident is not None and not ignore_incident and facts.incident.is_open_at(event.at_ms):
        return f"incident {facts.incident.id} is open and speaks for it"
    if hold := silence_hold(facts, None, (event.region,), now_ms):
        return hold.reason
    if facts.parent is not None:
        return f"{facts.parent.name}, which it stands behind, is down"
    if is_quiet(numbered.policy.quiet, numbered.policy.time_zone, now_ms):
        return f"quiet hours of policy “{numbered.policy.name}”"
    return None


def _takers(
    moment: Moment, facts: Facts, regions: tuple[str, ...]
) -> Iterator[tuple[ChannelFacts, str, NumberedPolicy]]:
    """Enabled channels that take the moment. Others leave no trace: single failures are too many for that."""
    for numbered in select_policies(facts.policies, facts.subject(None, regions)):
        if not numbered.policy.steps:
            continue
        for channel, why in target_channels(numbered.policy.steps[0].target, facts):
            if refusal(channel, moment, numbered) is None:
                named = "" if numbered.id == DEFAULT_POLICY_ID else f"; {numbered.title}"
                yield channel, why + named, numbered


Rule = Callable[[RecordedEvent, DomainEvent, Facts, int], Routed]

RULES: dict[type[DomainEvent], Rule] = {
    IncidentOpened: route_opened,
    IncidentSeverityRaised: route_severity_raised,
    IncidentUnsuppressed: route_unsuppressed,
    IncidentResolved: route_resolved,
    IncidentAcknowledged: route_acknowledged,
    DrillStarted: route_drill,
    DrillAcknowledged: route_acknowledged,
    DrillEnded: route_drill_ended,
    FirstFailure: route_first_failure,
    FirstSuccess: route_first_success,
    RegionSilenced: route_region,
    RegionReturned: route_region,
    RegionSuspected: route_region,
    RegionCleared: route_region,
    SystemTroubled: route_system,
    SystemRecovered: route_system,
    FlappingStarted: route_flapping,
    FlappingEnded: route_steady,
}

ROUTED_TYPES: frozenset[str] = frozenset(event.type for event in RULES)
