"""An alert as it is stored: with a delivery that is sent, with one that is only shown, as one of a group. Pure."""

from collections.abc import Mapping
from functools import cached_property
from typing import Any

from farwatch_notifier.facts import GroupItem, Intent
from farwatch_notifier.message import Alert

_SHOWN = {"kind", "tone", "title", "sentence", "at_ms", "thread"}


class Written:
    """Made once, however many channels get it."""

    def __init__(self, alert: Alert) -> None:
        self._alert = alert

    def message_of(self, intent: Intent) -> Mapping[str, Any]:
        """What is not sent is only ever shown: a storm that is held back stores its words, not all it knows."""
        return self._shown if intent.suppressed else self._whole

    @cached_property
    def _whole(self) -> dict[str, Any]:
        return self._alert.model_dump(mode="json", exclude_defaults=True)

    @cached_property
    def _shown(self) -> dict[str, Any]:
        return self._alert.model_dump(mode="json", include=_SHOWN)

    def item_of(self, intent: Intent, event_id: str, at_ms: int) -> GroupItem:
        return GroupItem(
            channel_id=intent.channel_id,
            thread=intent.thread,
            moment=intent.item_moment or intent.moment,
            position=intent.positions[0],
            event_id=event_id,
            monitor_id=intent.monitor_id,
            incident_id=intent.incident_id,
            name=self._alert.monitor_name,
            at_ms=at_ms,
            reason=intent.reason,
            seconds=self._alert.duration_seconds,
        )
