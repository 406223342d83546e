"""From events to intents: gathers facts, lets routing decide, writes what was decided."""

from collections.abc import Callable, Sequence
from typing import Any

import structlog
from pydantic import ValidationError

from farwatch_events.events import DomainEvent, FirstFailure, FirstSuccess, RecordedEvent
from farwatch_notifier import gather
from farwatch_notifier.facts import ChannelFacts, DeliveryState, Facts, IncidentFacts, Intent, MonitorFacts, Prior
from farwatch_notifier.message import build_alert
from farwatch_notifier.metrics import Metrics
from farwatch_notifier.retry import GIVE_UP_AFTER_SECONDS
from farwatch_notifier.routing import ROUTED_TYPES, route
from farwatch_store import Connection

log = structlog.get_logger("farwatch_notifier")

DELIVERIES_CHANNEL = "farwatch_deliveries"
"""NOTIFY channel that says: there may be something to send."""

_INSERT = """
    insert into alerting.deliveries
        (channel_id, moment, dedup_key, thread, monitor_id, incident_id, state, reason, message,
         next_attempt_at, give_up_at, created_at)
    values ($1, $2, $3, $4, $5, $6, $7, $8, $9,
            to_timestamp($10::double precision / 1000), to_timestamp($11::double precision / 1000),
            to_timestamp($10::double precision / 1000))
    on conflict (dedup_key) do nothing
    returning id
"""

_INSERT_ITEMS = "insert into alerting.delivery_items (delivery_id, position) select $1, unnest($2::bigint[])"


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
        batch = await Batch.load(connection, [event for _, event in routed])
        added = 0
        for recorded, event in routed:
            message, intents = self._decide(recorded, batch.facts_of(event))
            for intent in intents:
                if await self._insert(connection, intent, message):
                    batch.remember(intent)
                    added += 1
        if added:
            await connection.execute(f"notify {DELIVERIES_CHANNEL}")

    def _decide(self, recorded: RecordedEvent, facts: Facts) -> tuple[dict[str, Any], list[Intent]]:
        """An event that we cannot make sense of is skipped and logged: it must not stop every alert after it."""
        try:
            alert = build_alert(recorded, facts, self._public_url)
            intents = route(recorded, facts, self._now()) if alert is not None else []
            return ({} if alert is None else alert.model_dump(mode="json")), intents
        except Exception:
            self._metrics.skipped_events.inc()
            log.exception("event_skipped", position=recorded.position, type=recorded.type)
            return {}, []

    async def _insert(self, connection: Connection, intent: Intent, message: dict[str, Any]) -> bool:
        """False when a replay finds the intent already there."""
        state, now = "suppressed" if intent.suppressed else "pending", self._now()
        give_up_ms = now + int(GIVE_UP_AFTER_SECONDS * 1000)
        delivery_id = await connection.fetchval(
            _INSERT,
            intent.channel_id,
            intent.moment,
            intent.dedup_key,
            intent.thread,
            intent.monitor_id,
            intent.incident_id,
            state,
            intent.reason,
            message,
            now,
            give_up_ms,
        )
        if delivery_id is None:
            return False
        await connection.execute(_INSERT_ITEMS, delivery_id, list(intent.positions))
        self._metrics.intents.labels(intent.moment, state).inc()
        log.info(
            "intent", delivery=delivery_id, channel=intent.channel_id, moment=intent.moment, state=state,
            reason=intent.reason,
        )  # fmt: skip
        return True


def _typed(recorded: RecordedEvent) -> DomainEvent | None:
    """None for events that nobody is told of, and for those that do not read."""
    if recorded.type not in ROUTED_TYPES:
        return None
    try:
        return recorded.event()
    except ValidationError:
        log.exception("event_unreadable", position=recorded.position, type=recorded.type)
        return None


class Batch:
    """What is known around a batch of events; deliveries decided in the batch are known to its later events."""

    def __init__(
        self,
        channels: tuple[ChannelFacts, ...],
        monitors: dict[int, MonitorFacts],
        incidents: dict[int, IncidentFacts],
        prior: dict[int, list[Prior]],
        windows: list[gather.Window],
    ) -> None:
        self._channels = channels
        self._monitors = monitors
        self._incidents = incidents
        self._prior = prior
        self._windows = windows

    @classmethod
    async def load(cls, connection: Connection, routed: Sequence[DomainEvent]) -> "Batch":
        monitor_ids = sorted({event.monitor_id for event in routed if hasattr(event, "monitor_id")})
        incident_ids = {event.incident_id for event in routed if hasattr(event, "incident_id")}
        first_ms = min(event.at_ms for event in routed)
        incidents = await gather.load_incidents(connection, sorted(incident_ids), monitor_ids, first_ms)
        return cls(
            await gather.load_channels(connection),
            await gather.load_monitors(connection, monitor_ids),
            incidents,
            await gather.load_prior(connection, sorted(incident_ids | set(incidents))),
            await gather.load_windows(connection, first_ms),
        )

    def facts_of(self, event: DomainEvent) -> Facts:
        monitor = self._monitors.get(getattr(event, "monitor_id", 0))
        incident = self._incident_of(event)
        incident_id = getattr(event, "incident_id", None)
        windows = [w.name for w in self._windows if monitor is not None and w.holds(monitor, event.at_ms)]
        return Facts(
            channels=self._channels,
            monitor=monitor,
            incident=incident,
            prior=tuple(self._prior.get(incident_id, ())) if incident_id is not None else (),
            maintenance=windows[0] if windows else None,
        )

    def _incident_of(self, event: DomainEvent) -> IncidentFacts | None:
        incident_id = getattr(event, "incident_id", None)
        if incident_id is not None:
            return self._incidents.get(incident_id)
        if not isinstance(event, FirstFailure | FirstSuccess):
            return None
        mine = (each for each in self._incidents.values() if each.monitor_id == event.monitor_id)
        return next((each for each in mine if each.is_open_at(event.at_ms)), None)

    def remember(self, intent: Intent) -> None:
        if intent.incident_id is not None:
            state: DeliveryState = "suppressed" if intent.suppressed else "pending"
            self._prior.setdefault(intent.incident_id, []).append(Prior(intent.channel_id, intent.moment, state))
