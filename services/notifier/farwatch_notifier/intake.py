"""From events to intents: gathers facts, lets routing decide, writes what was decided."""

from collections.abc import Callable, Sequence
from typing import Any

import structlog
from pydantic import ValidationError

from farwatch_events.events import DeliveryFailed, DomainEvent, RecordedEvent
from farwatch_notifier import gather
from farwatch_notifier.batch import Batch
from farwatch_notifier.facts import Facts, GroupItem, Intent, Routed
from farwatch_notifier.message import Alert, build_alert
from farwatch_notifier.metrics import Metrics
from farwatch_notifier.policy.deciding import thread_of
from farwatch_notifier.policy.fallback import find_fallback, route_failed
from farwatch_notifier.routing import ROUTED_TYPES, route
from farwatch_notifier.writing import Ledger, Planned
from farwatch_store import Connection

Routable = list[tuple[RecordedEvent, DomainEvent]]

log = structlog.get_logger("farwatch_notifier")


class Intake:
    """`apply` is what the follower of the log calls, inside the transaction that saves its position."""

    def __init__(self, public_url: str, metrics: Metrics, now: Callable[[], int]) -> None:
        self._public_url = public_url
        self._metrics = metrics
        self._now = now

    async def apply(self, connection: Connection, events: Sequence[RecordedEvent]) -> None:
        routed = [(recorded, event) for recorded in events if (event := _typed(recorded)) is not None]
        if not routed:
            return
        now_ms = self._now()
        threads = {thread_of(event) for _, event in routed}
        monitor_ids = {event.monitor_id for _, event in routed if hasattr(event, "monitor_id")}
        first_ms = min(event.at_ms for _, event in routed)
        batch = await Batch.load(connection, threads, monitor_ids, first_ms, now_ms)
        ledger = Ledger()
        for recorded, event in routed:
            facts = batch.facts_of(event)
            alert, found = self._decide(recorded, facts, now_ms)
            _note(ledger, batch, found, alert, now_ms)
        await self._fall_back(connection, ledger, routed, batch)
        await ledger.write(connection, self._metrics, now_ms)

    async def _fall_back(self, connection: Connection, ledger: Ledger, routed: Routable, batch: Batch) -> None:
        failures = [(recorded, event) for recorded, event in routed if isinstance(event, DeliveryFailed)]
        if not failures:
            return
        general = await gather.load_general_fallback(connection)
        dead = await gather.load_failed(connection, [event.delivery_id for _, event in failures])
        for recorded, event in failures:
            if (failed := dead.get(event.delivery_id)) is None:
                continue
            fallback_id = find_fallback(batch.policies, failed.policy_id, general)
            found = route_failed(event, recorded.id, recorded.position, failed, batch.channels, fallback_id)
            if found is not None:
                intent, message = found
                ledger.planned.append(Planned(intent, message, failed.items))

    def _decide(self, recorded: RecordedEvent, facts: Facts, now_ms: int) -> tuple[Alert | None, Routed]:
        """An event that we cannot make sense of is skipped and logged: it must not stop every alert after it."""
        try:
            return build_alert(recorded, facts, self._public_url), route(recorded, facts, now_ms)
        except Exception:
            self._metrics.skipped_events.inc()
            log.exception("event_skipped", position=recorded.position, type=recorded.type)
            return None, Routed()


def _note(ledger: Ledger, batch: Batch, found: Routed, alert: Alert | None, now_ms: int) -> None:
    if found.ends is not None:
        ledger.end(found.ends)
    if found.acknowledges is not None:
        ledger.acknowledge(found.acknowledges)
    for pursuit in found.pursuits:
        ledger.pursue(pursuit)
    if alert is None:
        return
    message: dict[str, Any] = alert.model_dump(mode="json", exclude_defaults=True)
    for intent in [*found.intents, *(intent for pursuit in found.pursuits for intent in pursuit.intents)]:
        if intent.group is not None:
            event_id = intent.dedup_key.split("_")[1]
            ledger.waiting.append((intent.group, group_item(intent, event_id, alert, now_ms)))
        else:
            ledger.planned.append(Planned(intent, message))
            batch.remember(intent)


def group_item(intent: Intent, event_id: str, alert: Alert, now_ms: int) -> GroupItem:
    return GroupItem(
        channel_id=intent.channel_id,
        thread=intent.thread,
        moment=intent.item_moment or intent.moment,
        position=intent.positions[0],
        event_id=event_id,
        monitor_id=intent.monitor_id,
        incident_id=intent.incident_id,
        name=alert.monitor_name,
        at_ms=now_ms,
        reason=intent.reason,
        seconds=alert.duration_seconds,
    )


def _typed(recorded: RecordedEvent) -> DomainEvent | None:
    """None for events that nobody is told of, and for those that do not read."""
    if recorded.type not in ROUTED_TYPES and recorded.type != DeliveryFailed.type:
        return None
    try:
        return recorded.event()
    except ValidationError:
        log.exception("event_unreadable", position=recorded.position, type=recorded.type)
        return None
