"""Writing down what was decided: deliveries, escalations, and alerts that wait in groups. A few statements a batch."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import structlog

from farwatch_events.escalation import dump_escalation
from farwatch_notifier.facts import GroupItem, GroupRef, Intent, Pursuit
from farwatch_notifier.metrics import Metrics
from farwatch_notifier.policy.grouping import flush_at_ms
from farwatch_notifier.retry import GIVE_UP_AFTER_SECONDS
from farwatch_notifier.written import Written
from farwatch_store import Connection

log = structlog.get_logger("farwatch_notifier")

DELIVERIES_CHANNEL = "farwatch_deliveries"
"""NOTIFY channel that says: there may be something to send."""

# In the order given, so that ids, which are the order of sending, follow the events. Messages are numbered: one that
# goes to several channels is sent to the database once.
_INSERT = """
    insert into alerting.deliveries
        (channel_id, moment, dedup_key, thread, monitor_id, incident_id, policy_id, step, state, reason, message,
         next_attempt_at, give_up_at, created_at)
    select channel_id, moment, dedup_key, thread, monitor_id, incident_id, policy_id, step, state, reason, message,
           $13::timestamptz, $14::timestamptz, $13::timestamptz
    from unnest($1::bigint[], $2::text[], $3::text[], $4::text[], $5::bigint[], $6::bigint[], $7::bigint[], $8::int[],
                $9::text[], $10::text[], $11::int[]) with ordinality
         as given (channel_id, moment, dedup_key, thread, monitor_id, incident_id, policy_id, step, state, reason,
                   message_number, number)
    join unnest($12::jsonb[]) with ordinality as written (message, message_number) using (message_number)
    order by number
    on conflict (dedup_key) do nothing
    returning id, dedup_key
"""

_INSERT_ITEMS = """
    insert into alerting.delivery_items (delivery_id, position, thread, moment)
    select * from unnest($1::bigint[], $2::bigint[], $3::text[], $4::text[])
    on conflict do nothing
"""

_UPSERT_ESCALATIONS = """
    insert into alerting.escalations
        (thread, policy_id, monitor_id, incident_id, event_id, position, state, due_at, waits_for)
    select * from unnest($1::text[], $2::bigint[], $3::bigint[], $4::bigint[], $5::text[], $6::bigint[], $7::jsonb[],
                         $8::timestamptz[], $9::text[])
    on conflict (thread, policy_id) do update
    set event_id = excluded.event_id, position = excluded.position, state = excluded.state, due_at = excluded.due_at,
        waits_for = excluded.waits_for
"""

_END = "delete from alerting.escalations where thread = any($1::text[])"

_ACKNOWLEDGE = """
    update alerting.escalations set due_at = null, waits_for = null, state = state || '{"state": "acknowledged"}'
    where thread = any($1::text[])
"""

# Whoever waited for a parent looks again after one more check of its own, by which it should be up too.
_WAKE_CHILDREN = """
    update alerting.escalations e
    set waits_for = null,
        due_at = $2::timestamptz
            + make_interval(secs => 30 + coalesce((m.spec->>'interval_seconds')::double precision, 60))
    from config.monitors m where m.id = e.monitor_id and e.waits_for = any($1::text[])
"""

_TOUCH_GROUP = """
    insert into alerting.groups as g (key, policy_id, thread, title, interval_seconds, flush_at)
    values ($1, $2, $3, $4, $5::integer, $6::timestamptz)
    on conflict (key) do update
    set title = excluded.title, interval_seconds = excluded.interval_seconds,
        flush_at = least(g.flush_at, greatest(excluded.flush_at, g.flushed_at + make_interval(secs => $5::integer)))
"""

_INSERT_GROUP_ITEMS = """
    insert into alerting.group_items
        (key, channel_id, thread, moment, position, event_id, monitor_id, incident_id, name, at_ms, seconds, reason)
    select * from unnest($1::text[], $2::bigint[], $3::text[], $4::text[], $5::bigint[], $6::text[], $7::bigint[],
                         $8::bigint[], $9::text[], $10::bigint[], $11::int[], $12::text[])
    on conflict do nothing
"""


@dataclass(frozen=True, slots=True)
class Planned:
    """An intent with its message; `items` (position, thread, moment) when it speaks of more than itself."""

    intent: Intent
    message: Mapping[str, Any]
    items: Sequence[tuple[int, str, str]] = ()

    def item_rows(self) -> Sequence[tuple[int, str, str]]:
        intent = self.intent
        return self.items or [(each, intent.thread, intent.item_moment or intent.moment) for each in intent.positions]


@dataclass(slots=True)
class Ledger:
    """Everything a batch decided, written together at its end."""

    planned: list[Planned] = field(default_factory=list)
    pursuits: dict[tuple[str, int], Pursuit] = field(default_factory=dict)
    waiting: list[tuple[GroupRef, GroupItem]] = field(default_factory=list)
    ended: set[str] = field(default_factory=set)
    acknowledged: set[str] = field(default_factory=set)

    def end(self, thread: str) -> None:
        """What was acknowledged before is over too: the worse trouble that begins now is nobody's yet."""
        self.ended.add(thread)
        self.acknowledged.discard(thread)
        for key in [key for key in self.pursuits if key[0] == thread]:
            del self.pursuits[key]

    def acknowledge(self, thread: str) -> None:
        """One that began in this very batch has not been stored yet: it is stored as acknowledged below."""
        self.acknowledged.add(thread)

    def add(self, intent: Intent, written: Written, event_id: str, at_ms: int) -> None:
        """`at_ms` is when what is told became true: an acknowledgement after that is about it."""
        if intent.group is not None:
            self.waiting.append((intent.group, written.item_of(intent, event_id, at_ms)))
        else:
            self.planned.append(Planned(intent, written.message_of(intent)))

    def pursue(self, pursuit: Pursuit) -> None:
        self.pursuits[(pursuit.origin.thread, pursuit.policy_id)] = pursuit

    async def write(self, connection: Connection, metrics: Metrics, now_ms: int) -> int:
        """Returns how many deliveries are new; a replay finds them there already."""
        if self.ended:
            await connection.execute(_END, list(self.ended))
            await connection.execute(_WAKE_CHILDREN, list(self.ended), moment(now_ms))
        await self._write_pursuits(connection)
        if self.acknowledged:
            await connection.execute(_ACKNOWLEDGE, list(self.acknowledged))
        await self._write_waiting(connection, now_ms)
        added = await self._write_deliveries(connection, metrics, now_ms)
        if added:
            await connection.execute(f"notify {DELIVERIES_CHANNEL}")
        return added

    async def _write_pursuits(self, connection: Connection) -> None:
        rows = [
            (
                p.origin.thread,
                p.policy_id,
                p.origin.monitor_id,
                p.origin.incident_id,
                p.origin.event_id,
                p.origin.position,
                dump_escalation(p.escalation),
                None if p.escalation.due_ms is None else moment(p.escalation.due_ms),
                p.waits_for,
            )
            for p in self.pursuits.values()
        ]
        if rows:
            await connection.execute(_UPSERT_ESCALATIONS, *columns(rows))

    async def _write_waiting(self, connection: Connection, now_ms: int) -> None:
        groups = {ref.key: ref for ref, _ in self.waiting}
        for ref in sorted(groups.values(), key=lambda each: each.key):
            at_ms = flush_at_ms(ref.wait_ms, ref.interval_seconds, None, now_ms)
            await connection.execute(
                _TOUCH_GROUP, ref.key, ref.policy_id, ref.thread, ref.title, ref.interval_seconds, moment(at_ms)
            )
        rows = [
            (
                ref.key, item.channel_id, item.thread, item.moment, item.position, item.event_id, item.monitor_id,
                item.incident_id, item.name, item.at_ms, item.seconds, item.reason,
            )
            for ref, item in self.waiting
        ]  # fmt: skip
        if rows:
            await connection.execute(_INSERT_GROUP_ITEMS, *columns(rows))

    async def _write_deliveries(self, connection: Connection, metrics: Metrics, now_ms: int) -> int:
        if not self.planned:
            return 0
        messages = list({id(each.message): each.message for each in self.planned}.values())
        numbers = {id(message): number for number, message in enumerate(messages, start=1)}
        rows = [(*_delivery_row(each.intent), numbers[id(each.message)]) for each in self.planned]
        give_up = moment(now_ms + int(GIVE_UP_AFTER_SECONDS * 1000))
        stored = await connection.fetch(_INSERT, *columns(rows), messages, moment(now_ms), give_up)
        ids = {row["dedup_key"]: row["id"] for row in stored}
        items = [
            (ids[each.intent.dedup_key], *item)
            for each in self.planned
            if each.intent.dedup_key in ids
            for item in each.item_rows()
        ]
        if items:
            await connection.execute(_INSERT_ITEMS, *columns(items))
        _tell([each.intent for each in self.planned if each.intent.dedup_key in ids], metrics)
        return len(stored)


def _delivery_row(intent: Intent) -> tuple[Any, ...]:
    return (
        intent.channel_id,
        intent.moment,
        intent.dedup_key,
        intent.sent_in,
        intent.monitor_id,
        intent.incident_id,
        intent.policy_id,
        intent.step,
        "suppressed" if intent.suppressed else "pending",
        intent.reason,
    )


def _tell(intents: Sequence[Intent], metrics: Metrics) -> None:
    """One line a batch and kind, however many there are: each one's reason stands with its delivery."""
    counts = Counter((each.moment, "suppressed" if each.suppressed else "pending") for each in intents)
    for (told, state), count in counts.items():
        metrics.intents.labels(told, state).inc(count)
        log.info("intents", moment=told, state=state, count=count)


def columns(rows: Sequence[tuple[Any, ...]]) -> list[list[Any]]:
    return [list(column) for column in zip(*rows, strict=True)]


def moment(at_ms: int) -> datetime:
    return datetime.fromtimestamp(at_ms / 1000, UTC)
