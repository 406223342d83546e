"""From events to intents: gathers facts, lets routing decide, writes what was decided."""

from collections.abc import Callable, Sequence

import structlog
from pydantic import ValidationError

from farwatch_events.events import DeliveryFailed, DomainEvent, RecordedEvent
from farwatch_notifier import gather
from farwatch_notifier.batch import Batch
from farwatch_notifier.facts import Facts, Routed
from farwatch_notifier.message import Alert, build_alert
from farwatch_notifier.metrics import Metrics
from farwatch_notifier.policy.deciding import thread_of
from farwatch_notifier.policy.fallback import find_fallback, route_failed
from farwatch_notifier.routing import ROUTED_TYPES, route_event
from farwatch_notifier.writing import Ledger, Planned
from farwatch_notifier.written import Written
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
            found, alert = self._decide(recorded, event, facts, now_ms)
            _note(ledger, batch, recorded, event, found, alert)
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

    def _decide(
        self, recorded: RecordedEvent, event: DomainEvent, facts: Facts, now_ms: int
    ) -> tuple[Routed, Alert | None]:
        """An event that we cannot make sense of is skipped and logged: it must not stop every alert after it."""
        try:
            found = route_event(recorded, event, facts, now_ms)
            return found, build_alert(recorded, facts, self._public_url) if found.all_intents() else None
        except Exception:
            self._metrics.skipped_events.inc()
            log.exception("event_skipped", position=recorded.position, type=recorded.type)
            return Routed(), None


def _note(
    ledger: Ledger, batch: Batch, recorded: RecordedEvent, event: DomainEvent, found: Routed, alert: Alert | None
) -> None:
    if found.ends is not None:
        ledger.end(found.ends)
    if found.acknowledges is not None:
        ledger.acknowledge(found.acknowledges)
    for pursuit in found.pursuits:
        ledger.pursue(pursuit)
    if alert is None:
        return
    written = Written(alert)
    for intent in found.all_intents():
        ledger.add(intent, written, recorded.id.replace("-", ""), event.at_ms)
        if intent.group is None:
            batch.remember(intent)


def _typed(recorded: RecordedEvent) -> DomainEvent | None:
    """None for events that nobody is told of, and for those that do not read."""
    if recorded.type not in ROUTED_TYPES and recorded.type != DeliveryFailed.type:
        return None
    try:
        return recorded.event()
    except ValidationError:
        log.exception("event_unreadable", position=recorded.position, type=recorded.type)
        return None
