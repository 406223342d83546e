"""What happens to a message that its channel never took: it goes to the fallback channel. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, cast

from farwatch_events.channels import Moment
from farwatch_events.events import DeliveryFailed
from farwatch_events.matching import NumberedPolicy
from farwatch_events.recipients import ChannelFacts
from farwatch_notifier.facts import Intent
from farwatch_notifier.policy.choosing import dedup_key


@dataclass(frozen=True, slots=True)
class FailedDelivery:
    """The dead letter. `items` are what it spoke of: position, thread and moment of each."""

    channel_id: int
    moment: str
    thread: str
    policy_id: int | None
    monitor_id: int | None
    incident_id: int | None
    message: Mapping[str, Any]
    items: Sequence[tuple[int, str, str]]


def find_fallback(policies: Sequence[NumberedPolicy], policy_id: int | None, general: int | None) -> int | None:
    """The policy's own fallback channel, or the general one."""
    own = next((each.policy.fallback_channel for each in policies if each.id == policy_id), None)
    return own if own is not None else general


def route_failed(
    event: DeliveryFailed,
    event_id: str,
    position: int,
    failed: FailedDelivery,
    channels: Sequence[ChannelFacts],
    fallback_id: int | None,
) -> tuple[Intent, dict[str, Any]] | None:
    """The intent and its message; None without a usable fallback, or when the fallback itself failed."""
    fallback = next((each for each in channels if each.id == fallback_id and each.enabled), None)
    if fallback is None or fallback.id == failed.channel_id:
        return None
    name = next((each.name for each in channels if each.id == failed.channel_id), f"channel {failed.channel_id}")
    reason = f"channel “{name}” did not take it ({event.error}); this is the fallback channel"
    intent = Intent(
        channel_id=fallback.id,
        moment=cast(Moment, failed.moment),
        dedup_key=dedup_key(event_id, fallback.id, failed.moment),
        thread=failed.thread,
        positions=(position,),
        reason=reason,
        monitor_id=failed.monitor_id,
        incident_id=failed.incident_id,
        policy_id=failed.policy_id,
    )
    return intent, {**failed.message, "reason": f"Sent here because {reason}"[:500]}
