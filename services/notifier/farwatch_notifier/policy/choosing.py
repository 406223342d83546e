"""Which channels are meant, and why one of them is not told. Pure."""

from collections.abc import Sequence

from farwatch_events import recipients
from farwatch_events.channels import Moment
from farwatch_events.matching import DEFAULT_POLICY_ID, NumberedPolicy
from farwatch_events.policies import Target
from farwatch_events.recipients import ChannelFacts, Chosen
from farwatch_notifier.facts import Facts, Prior

REACHED = ("pending", "delivered")
PROBLEM_MOMENTS = ("down", "degraded")


def dedup_key(event_id: str, channel_id: int, moment: str, suffix: str = "") -> str:
    """The same for every replay and retry; without dots, which separate the parts of a signed webhook."""
    return f"msg_{event_id.replace('-', '')}_{channel_id}_{moment}{suffix}"


def named_channels(facts: Facts) -> tuple[int, ...]:
    return facts.monitor.channels if facts.monitor is not None else ()


def select_channels(facts: Facts) -> Chosen:
    """The channels of the event's monitor."""
    return recipients.select_channels(facts.channels, named_channels(facts))


def target_channels(target: Target | None, facts: Facts) -> Chosen:
    """The channels of a step; those of the monitor when the step names none."""
    return recipients.target_channels(facts.channels, named_channels(facts), target)


def first_channels(numbered: NumberedPolicy, facts: Facts) -> Chosen:
    """Those who would be told first; nobody when the policy has no steps and so tells nobody."""
    steps = numbered.policy.steps
    return target_channels(steps[0].target, facts) if steps else select_channels(facts)


def refusal(channel: ChannelFacts, moment: Moment, numbered: NumberedPolicy | None = None) -> str | None:
    """Why the channel is not used at this moment."""
    return recipients.refusal(channel, moment, numbered.policy if numbered is not None else None)


def takes_reminders(channel: ChannelFacts, numbered: NumberedPolicy) -> bool:
    """A policy that says how often wants them; without one the channel's own moments decide."""
    if numbered.id != DEFAULT_POLICY_ID and numbered.policy.reminder_seconds is not None:
        return True
    return "reminder" in (channel.moments if numbered.policy.moments is None else numbered.policy.moments)


def told_since_recovery(prior: Sequence[Prior], channel_id: int) -> list[str]:
    """The problem moments of an incident that reached, or will reach, a channel after its last recovery message."""
    moments: list[str] = []
    for delivery in prior:
        if delivery.channel_id != channel_id or delivery.state not in REACHED:
            continue
        moments = [] if delivery.moment == "up" else [*moments, delivery.moment]
    return [moment for moment in moments if moment in PROBLEM_MOMENTS]


def told_via(prior: Sequence[Prior], channel_id: int) -> str:
    """The thread in which the channel was told last; empty when it was not."""
    reached = [e for e in prior if e.channel_id == channel_id and e.state in REACHED and e.moment in PROBLEM_MOMENTS]
    return reached[-1].via if reached else ""


def monitor_gone(facts: Facts) -> str | None:
    if facts.monitor is None or facts.monitor.deleted:
        return "the monitor was deleted since"
    return None if facts.monitor.enabled else "the monitor was paused since"
