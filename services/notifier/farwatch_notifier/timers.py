"""What becomes due without an event: steps, repeats, reminders, ends of quiet hours and silences, groups to tell.

Due rows stand in PostgreSQL, so a restart forgets none. Each tick takes a bounded number of them under the same lock
as the intake of events: an incident is never decided twice at a time.
"""

import asyncio
from collections.abc import Callable, Sequence
from typing import Any

import structlog

from farwatch_events.escalation import load_escalation
from farwatch_events.matching import DEFAULT_POLICY_ID, IMPLICIT, NumberedPolicy
from farwatch_notifier.batch import Batch
from farwatch_notifier.facts import Facts, GroupItem, GroupRef, IncidentFacts, Intent, Origin, Pursuit
from farwatch_notifier.intake import group_item
from farwatch_notifier.message import Alert, Member, build_group, build_reminder, build_standing
from farwatch_notifier.metrics import Metrics
from farwatch_notifier.policy.choosing import dedup_key
from farwatch_notifier.policy.grouping import Flush, decide_flush
from farwatch_notifier.policy.pursuit import pursue
from farwatch_notifier.writing import Ledger, Planned, moment
from farwatch_store import Connection, Database, StoreUnavailable
from farwatch_store.positions import lock_position

TICK_SECONDS = 0.5
ESCALATIONS_A_TICK = 500
GROUPS_A_TICK = 20
ITEMS_A_GROUP = 20_000

_DUE_ESCALATIONS = """
    select thread, policy_id, monitor_id, incident_id, event_id, position, state,
           round(extract(epoch from due_at) * 1000)::bigint as due_ms
    from alerting.escalations where due_at <= $1 order by due_at limit $2
"""
_ANY_DUE = """
    select exists (select from alerting.escalations where due_at <= $1)
        or exists (select from alerting.groups where flush_at <= $1)
"""
_DUE_GROUPS = (
    "select key, policy_id, thread, title from alerting.groups where flush_at <= $1 order by flush_at limit $2"
)
_TAKE_ITEMS = """
    with taken as (
        delete from alerting.group_items
        where ctid = any(array(select ctid from alerting.group_items where key = $1 order by at_ms, position limit $2))
        returning channel_id, thread, moment, position, event_id, monitor_id, incident_id, name, at_ms, reason, seconds
    )
    select * from taken order by channel_id, at_ms, position
"""
_FLUSHED = """
    update alerting.groups set flushed_at = $2,
        flush_at = case when exists (select from alerting.group_items where key = $1) then $2::timestamptz end
    where key = $1
"""
# Groups nobody waits in any more and that were told long ago.
_FORGET_GROUPS = "delete from alerting.groups where flush_at is null and flushed_at < $1"
_FORGET_AFTER_MS = 3 * 24 * 3_600_000

log = structlog.get_logger("farwatch_notifier")


class Timers:
    def __init__(self, db: Database, consumer: str, public_url: str, metrics: Metrics, now: Callable[[], int]) -> None:
        """`consumer` is the intake's: whoever holds its position decides."""
        self._db = db
        self._consumer = consumer
        self._public_url = public_url
        self._metrics = metrics
        self._now = now

    async def run(self, stop: asyncio.Event, progress: Callable[[], None] = lambda: None) -> None:
        while not stop.is_set():
            try:
                while await self.tick() and not stop.is_set():
                    progress()
            except StoreUnavailable as error:
                log.warning("timers_unreadable", error=str(error))
            progress()
            try:
                await asyncio.wait_for(stop.wait(), TICK_SECONDS)
            except TimeoutError:
                continue

    async def tick(self) -> bool:
        """Takes what is due, within bounds. True when there may be more."""
        now_ms = self._now()
        async with self._db.connection() as connection:
            if not await connection.fetchval(_ANY_DUE, moment(now_ms)):
                return False
        async with self._db.transaction() as connection:
            await lock_position(connection, self._consumer)
            taken = await self._escalate(connection, now_ms)
            flushed = await self._flush(connection, now_ms)
        return taken == ESCALATIONS_A_TICK or flushed == GROUPS_A_TICK

    async def _escalate(self, connection: Connection, now_ms: int) -> int:
        rows = await connection.fetch(_DUE_ESCALATIONS, moment(now_ms), ESCALATIONS_A_TICK)
        if not rows:
            return 0
        threads, monitor_ids = {row["thread"] for row in rows}, {row["monitor_id"] for row in rows}
        batch = await Batch.load(connection, threads, monitor_ids, now_ms, now_ms)
        numbered = {each.id: each for each in batch.policies} | {DEFAULT_POLICY_ID: IMPLICIT}
        ledger = Ledger()
        for row in rows:
            facts = batch.facts_at(row["thread"], row["monitor_id"], now_ms)
            self._advance(ledger, batch, dict(row), numbered.get(row["policy_id"]), facts, now_ms)
        await ledger.write(connection, self._metrics, now_ms)
        return len(rows)

    def _advance(
        self,
        ledger: Ledger,
        batch: Batch,
        row: dict[str, Any],
        numbered: NumberedPolicy | None,
        facts: Facts,
        now_ms: int,
    ) -> None:
        if numbered is None or facts.incident is None:
            ledger.ended.add(row["thread"])  # the policy was removed, or the incident is too old to be known
            return
        pursuit = self._pursue(row, numbered, facts, now_ms)
        ledger.pursue(pursuit)
        for intent in pursuit.intents:
            build = build_reminder if intent.again else build_standing
            alert = build(facts.incident, facts, now_ms, self._public_url)
            if intent.group is not None:
                ledger.waiting.append((intent.group, group_item(intent, row["event_id"], alert, now_ms)))
            else:
                ledger.planned.append(Planned(intent, alert.model_dump(mode="json", exclude_defaults=True)))
                batch.remember(intent)

    def _pursue(self, row: dict[str, Any], numbered: NumberedPolicy, facts: Facts, now_ms: int) -> Pursuit:
        assert facts.incident is not None
        origin = Origin(row["thread"], row["event_id"], row["position"], row["monitor_id"], row["incident_id"])
        escalation = load_escalation({**row["state"], "due_ms": row["due_ms"]})
        return pursue(origin, numbered, escalation, f"{facts.incident.title} is open", facts, now_ms)

    async def _flush(self, connection: Connection, now_ms: int) -> int:
        groups = await connection.fetch(_DUE_GROUPS, moment(now_ms), GROUPS_A_TICK)
        for group in groups:
            rows = await connection.fetch(_TAKE_ITEMS, group["key"], ITEMS_A_GROUP)
            ref = GroupRef(group["key"], group["policy_id"], group["thread"], group["title"], 0, 0)
            await self._flush_group(connection, ref, [GroupItem(**dict(row)) for row in rows], now_ms)
            await connection.execute(_FLUSHED, group["key"], moment(now_ms))
        if groups:
            await connection.execute(_FORGET_GROUPS, moment(now_ms - _FORGET_AFTER_MS))
        return len(groups)

    async def _flush_group(
        self, connection: Connection, ref: GroupRef, items: Sequence[GroupItem], now_ms: int
    ) -> None:
        threads = {item.thread for item in items}
        monitor_ids = {item.monitor_id for item in items if item.monitor_id is not None}
        batch = await Batch.load(connection, threads, monitor_ids, now_ms, now_ms)
        by_channel: dict[int, list[GroupItem]] = {}
        for item in items:
            by_channel.setdefault(item.channel_id, []).append(item)
        ledger = Ledger()
        for channel_id, mine in by_channel.items():
            flush = decide_flush(channel_id, mine, batch.troubles)
            ledger.planned += self._plan(ref, flush, batch, now_ms)
        await ledger.write(connection, self._metrics, now_ms)

    def _plan(self, ref: GroupRef, flush: Flush, batch: Batch, now_ms: int) -> list[Planned]:
        planned = []
        for item, why in flush.dropped:
            if item.moment != "behind":
                planned.append(self._dropped(ref, item, why))
        parts = (flush.problems, flush.behind, flush.recoveries)
        return planned + [self._message(ref, part, batch, now_ms) for part in parts if part]

    def _dropped(self, ref: GroupRef, item: GroupItem, why: str) -> Planned:
        key = dedup_key(item.event_id, item.channel_id, item.moment, f"_dropped{item.at_ms}")
        return Planned(_intent(ref, item, key, why, suppressed=True), {})

    def _message(self, ref: GroupRef, part: Sequence[GroupItem], batch: Batch, now_ms: int) -> Planned:
        """One alone is told in its own words."""
        first = part[0]
        items = [(item.position, item.thread, item.moment) for item in part]
        troubles = batch.troubles
        key = dedup_key(first.event_id, first.channel_id, first.moment, f"_group{first.at_ms}")
        if len(part) == 1 and first.moment != "behind" and (incident := troubles.get(first.thread)) is not None:
            alert = self._single(first, incident, batch, now_ms, key)
            return Planned(_intent(ref, first, key, first.reason), _dump(alert), items)
        kind = {"up": "group_up", "behind": "group_behind"}.get(first.moment, "group_down")
        members = [_member(item, troubles.get(item.thread)) for item in part]
        alert = build_group(kind, ref.title, ref.thread, members, now_ms, self._public_url, key)  # type: ignore[arg-type]
        reason = f"{len(part)} together: {first.reason}"
        return Planned(_intent(ref, first, key, reason, many=len(part) > 1), _dump(alert), items)

    def _single(self, item: GroupItem, incident: IncidentFacts, batch: Batch, now_ms: int, key: str) -> Alert:
        facts = batch.facts_at(item.thread, item.monitor_id or 0, now_ms)
        if item.moment == "up":
            member = _member(item, incident)
            return build_group("group_up", "Recovered", item.thread, [member], now_ms, self._public_url, key)
        build = build_reminder if item.moment == "reminder" else build_standing
        return build(incident, facts, now_ms, self._public_url)


def _member(item: GroupItem, incident: IncidentFacts | None) -> Member:
    since_ms = incident.opened_ms if incident is not None else None
    severity = incident.severity if incident is not None and item.moment == "behind" else item.moment
    return Member(
        name=item.name, moment=severity, monitor_id=item.monitor_id, incident_id=item.incident_id, since_ms=since_ms
    )


def _intent(
    ref: GroupRef, item: GroupItem, key: str, reason: str, *, suppressed: bool = False, many: bool = False
) -> Intent:
    """A message about many belongs to no single incident: its items say which."""
    spoken = "down" if item.moment == "behind" else item.moment
    return Intent(
        channel_id=item.channel_id,
        moment=spoken,  # type: ignore[arg-type]
        dedup_key=key,
        thread=item.thread,
        positions=(item.position,),
        reason=reason,
        suppressed=suppressed,
        monitor_id=None if many else item.monitor_id,
        incident_id=None if many else item.incident_id,
        policy_id=ref.policy_id,
        group=ref,
        item_moment=item.moment,
    )


def _dump(alert: Alert) -> dict[str, Any]:
    return alert.model_dump(mode="json", exclude_defaults=True)
