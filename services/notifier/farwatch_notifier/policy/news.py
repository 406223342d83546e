"""News that is no incident: regions, Farwatch itself, monitors that go to and fro, acknowledgements. Pure."""

from collections.abc import Iterator

from farwatch_events.events import (
    DomainEvent,
    DrillAcknowledged,
    FlappingEnded,
    FlappingStarted,
    IncidentAcknowledged,
    RecordedEvent,
    SystemRecovered,
    SystemTroubled,
)
from farwatch_events.matching import find_silence, select_policies
from farwatch_events.quiet import is_quiet
from farwatch_events.recipients import takes_system_news
from farwatch_notifier.facts import Facts, Prior, Routed
from farwatch_notifier.policy.choosing import (
    REACHED,
    first_channels,
    monitor_gone,
    refusal,
    told_since_recovery,
    told_via,
)
from farwatch_notifier.policy.deciding import Decision, make_intents, once, say_who
from farwatch_notifier.policy.pursuit import silence_hold
from farwatch_notifier.text import say_time

KEEPS_STATE = frozenset({"pagerduty"})
"""Services with an incident of their own, which escalates until they hear that somebody is on it."""


def route_region(recorded: RecordedEvent, event: DomainEvent, facts: Facts, now_ms: int) -> Routed:
    no = _silenced(facts, (getattr(event, "region", ""),), now_ms)
    decisions = [
        Decision(channel, "region", no or "the channel takes news of regions", hold=no is not None)
        for channel in facts.channels
        if channel.enabled and "region" in channel.moments
    ]
    return Routed(make_intents(recorded, event, decisions))


def route_system(recorded: RecordedEvent, event: DomainEvent, facts: Facts, now_ms: int) -> Routed:
    """Trouble of Farwatch itself; its end is owed to whoever was told."""
    assert isinstance(event, SystemTroubled | SystemRecovered)
    no = _silenced(facts, (event.subject,) if event.subject else (), now_ms)
    over = isinstance(event, SystemRecovered)
    decisions = []
    for channel in facts.channels:
        owed = over and _was_told(facts.prior, channel.id, "system") % 2 == 1
        if owed and channel.enabled:
            decisions.append(Decision(channel, "system", "the channel was told of the trouble"))
        elif takes_system_news(channel):
            why = "the channel was not told of the trouble" if over else no
            decisions.append(Decision(channel, "system", why or "news of Farwatch itself", hold=why is not None))
    return Routed(make_intents(recorded, event, decisions))


def _was_told(prior: tuple[Prior, ...], channel_id: int, moment: str) -> int:
    return sum(1 for each in prior if (each.channel_id, each.moment) == (channel_id, moment) and each.state in REACHED)


def _silenced(facts: Facts, regions: tuple[str, ...], now_ms: int) -> str | None:
    silence = find_silence(facts.silences, facts.subject(None, regions), now_ms)
    return None if silence is None else f"silence {silence.id} until {say_time(silence.ends_ms)}: {silence.reason}"


def route_flapping(recorded: RecordedEvent, event: DomainEvent, facts: Facts, now_ms: int) -> Routed:
    """Told to whoever would be told that the monitor is down: from here on they hear of no incident."""
    assert isinstance(event, FlappingStarted)
    decisions = []
    for numbered in select_policies(facts.policies, facts.subject("down", ())):
        quiet = is_quiet(numbered.policy.quiet, numbered.policy.time_zone, now_ms)
        held = _held_back(facts, now_ms) or (f"quiet hours of policy “{numbered.policy.name}”" if quiet else None)
        for channel, why in first_channels(numbered, facts):
            no = _nobody(numbered.policy.steps) or refusal(channel, "down", numbered) or held
            said = no or f"{event.reason}; {why}"
            decisions.append(Decision(channel, "flapping", said, hold=no is not None, policy_id=numbered.id))
    return Routed(make_intents(recorded, event, once(decisions)))


def _nobody(steps: object) -> str | None:
    return None if steps else "the policy tells nobody"


def _held_back(facts: Facts, now_ms: int) -> str | None:
    if gone := monitor_gone(facts):
        return gone
    if facts.maintenance is not None:
        return f"suppressed: maintenance {facts.maintenance}"
    if hold := silence_hold(facts, "down", (), now_ms):
        return hold.reason
    return None if facts.parent is None else f"{facts.parent.name}, which it stands behind, is down"


def route_steady(recorded: RecordedEvent, event: DomainEvent, facts: Facts, _now_ms: int) -> Routed:
    """Owed to whoever was told that it flaps."""
    assert isinstance(event, FlappingEnded)
    gone = monitor_gone(facts)
    decisions = [
        Decision(
            channel, "steady", gone or f"{event.reason}; the channel was told that it flaps", hold=gone is not None
        )
        for channel in facts.channels
        if channel.enabled and _flaps_for(facts.prior, channel.id)
    ]
    return Routed(make_intents(recorded, event, decisions))


def _flaps_for(prior: tuple[Prior, ...], channel_id: int) -> bool:
    reached = [each.moment for each in prior if each.channel_id == channel_id and each.state in REACHED]
    return bool(reached) and reached[-1] == "flapping"


def route_acknowledged(recorded: RecordedEvent, event: DomainEvent, facts: Facts, _now_ms: int) -> Routed:
    """Ends every escalation; told to those who were told of the trouble and want to know."""
    assert isinstance(event, IncidentAcknowledged | DrillAcknowledged)
    by = say_who(recorded, event)
    decisions = list(_acknowledgements(by, facts))
    return Routed(make_intents(recorded, event, decisions), acknowledges=event.stream)


def _acknowledgements(by: str, facts: Facts) -> Iterator[Decision]:
    if facts.incident is not None and facts.incident.resolved_ms is not None:
        return
    for channel in facts.channels:
        wants = channel.type in KEEPS_STATE or "acknowledged" in channel.moments
        if channel.enabled and wants and told_since_recovery(facts.prior, channel.id):
            why = "its service keeps the state" if channel.type in KEEPS_STATE else "the channel takes the moment"
            via = told_via(facts.prior, channel.id)
            yield Decision(channel, "acknowledged", f"acknowledged by {by}; {why}", via=via)
