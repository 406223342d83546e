"""A decision for one channel, and the intent made of it. Pure."""

from dataclasses import dataclass

from farwatch_events.actors import say_actor
from farwatch_events.events import (
    DomainEvent,
    FlappingEnded,
    FlappingStarted,
    RecordedEvent,
    SystemRecovered,
    SystemTroubled,
)
from farwatch_notifier.facts import ChannelFacts, GroupRef, Intent, Told
from farwatch_notifier.policy.choosing import dedup_key
from farwatch_notifier.text import one_line


@dataclass(frozen=True, slots=True)
class Decision:
    """For one channel: tell it, or not (`hold`), and the sentence that says why."""

    channel: ChannelFacts
    moment: Told
    reason: str
    hold: bool = False
    policy_id: int | None = None
    group: GroupRef | None = None
    via: str = ""


def thread_of(event: DomainEvent) -> str:
    """In which order matters, and whose end is owed: the aggregate, where that has no finer part."""
    match event:
        case SystemTroubled() | SystemRecovered():
            return "-".join(part for part in ("system", event.problem, event.subject) if part)
        case FlappingStarted() | FlappingEnded():
            return f"flapping-{event.monitor_id}"
    return event.stream


def say_who(recorded: RecordedEvent, event: DomainEvent) -> str:
    """Who did it, as people knew them then, in words that fit after "by"; "somebody" for what nobody did."""
    actor = getattr(event, "actor", None) or ""
    name = recorded.meta.actor_name if actor == recorded.meta.actor else None
    return one_line(say_actor(actor, name), 200)


def once(decisions: list[Decision]) -> list[Decision]:
    """One for each channel: several policies may mean the same."""
    return list({each.channel.id: each for each in reversed(decisions)}.values())[::-1]


def make_intents(recorded: RecordedEvent, event: DomainEvent, decisions: list[Decision]) -> tuple[Intent, ...]:
    return tuple(_intent(recorded, event, each) for each in decisions)


def _intent(recorded: RecordedEvent, event: DomainEvent, decision: Decision) -> Intent:
    return Intent(
        channel_id=decision.channel.id,
        moment=decision.moment,
        dedup_key=dedup_key(recorded.id, decision.channel.id, decision.moment),
        thread=thread_of(event),
        positions=(recorded.position,),
        reason=decision.reason,
        suppressed=decision.hold,
        monitor_id=getattr(event, "monitor_id", None),
        incident_id=getattr(event, "incident_id", None),
        policy_id=decision.policy_id,
        group=decision.group,
        via=decision.via,
    )
