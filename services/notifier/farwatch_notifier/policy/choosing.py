"""Which channels are meant, and why one of them is not told. Pure."""

from collections.abc import Sequence

from farwatch_events.channels import Moment
from farwatch_events.matching import DEFAULT_POLICY_ID, NumberedPolicy
from farwatch_events.policies import Target
from farwatch_notifier.facts import ChannelFacts, Facts, Prior

REACHED = ("pending", "delivered")
PROBLEM_MOMENTS = ("down", "degraded")


def dedup_key(event_id: str, channel_id: int, moment: str, suffix: str = "") -> str:
    """The same for every replay and retry; without dots, which separate the parts of a signed webhook."""
    return f"msg_{event_id.replace('-', '')}_{channel_id}_{moment}{suffix}"


def select_channels(facts: Facts) -> list[tuple[ChannelFacts, str]]:
    """The channels of the event's monitor, with the reason each is among them."""
    named = facts.monitor.channels if facts.monitor is not None else ()
    if named:
        return [(channel, "the monitor names this channel") for channel in facts.channels if channel.id in named]
    return [(channel, "every enabled channel is used") for channel in facts.channels if channel.enabled]


def target_channels(target: Target | None, facts: Facts) -> list[tuple[ChannelFacts, str]]:
    """The channels of a step; those of the monitor when the step names none."""
    if target is None or not target.channels:
        return select_channels(facts)
    return [(channel, "the policy names this channel") for channel in facts.channels if channel.id in target.channels]


def first_channels(numbered: NumberedPolicy, facts: Facts) -> list[tuple[ChannelFacts, str]]:
    """Those who would be told first; nobody when the policy has no steps and so tells nobody."""
    steps = numbered.policy.steps
    return target_channels(steps[0].target, facts) if steps else select_channels(facts)


def refusal(channel: ChannelFacts, moment: Moment, numbered: NumberedPolicy | None = None) -> str | None:
    """Why the channel is not used at this moment. A policy's `moments` stand in for the channel's own."""
    if not channel.enabled:
        return "the channel is off"
    policy = numbered.policy if numbered is not None else None
    if policy is not None and policy.moments is not None:
        return None if moment in policy.moments else f"the policy does not take the moment {moment}"
    return None if moment in channel.moments else f"the channel does not take the moment {moment}"


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


def monitor_gone(facts: Facts) -> str | None:
    if facts.monitor is None or facts.monitor.deleted:
        return "the monitor was deleted since"
    return None if facts.monitor.enabled else "the monitor was paused since"
