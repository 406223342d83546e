"""Which channels a step means, and why one of them is not used. Pure."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass

from farwatch_events.channels import DEFAULT_MOMENTS, Moment
from farwatch_events.policies import Policy, Target


@dataclass(frozen=True, slots=True)
class ChannelFacts:
    id: int
    name: str
    enabled: bool
    moments: frozenset[str]
    type: str = ""


Chosen = list[tuple[ChannelFacts, str]]
"""Channels, each with the reason it is among them."""


def select_channels(channels: Sequence[ChannelFacts], named: Collection[int]) -> Chosen:
    """The channels of a monitor that names these, or none."""
    if named:
        return [(channel, "the monitor names this channel") for channel in channels if channel.id in named]
    return [(channel, "every enabled channel is used") for channel in channels if channel.enabled]


def target_channels(channels: Sequence[ChannelFacts], named: Collection[int], target: Target | None) -> Chosen:
    """The channels of a step; those of the monitor when the step names none."""
    if target is None or not target.channels:
        return select_channels(channels, named)
    return [(channel, "the policy names this channel") for channel in channels if channel.id in target.channels]


def takes_system_news(channel: ChannelFacts) -> bool:
    """Who left the choice of moments to us is told too when Farwatch itself is in trouble."""
    return channel.enabled and ("system" in channel.moments or channel.moments == frozenset(DEFAULT_MOMENTS))


def refusal(channel: ChannelFacts, moment: Moment, policy: Policy | None = None) -> str | None:
    """Why the channel is not used at this moment. A policy's `moments` stand in for the channel's own."""
    if not channel.enabled:
        return "the channel is off"
    if policy is not None and policy.moments is not None:
        return None if moment in policy.moments else f"the policy does not take the moment {moment}"
    return None if moment in channel.moments else f"the channel does not take the moment {moment}"
