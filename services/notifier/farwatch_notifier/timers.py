"""What becomes due without an event: steps, repeats, reminders, ends of quiet hours and silences, groups to tell.

Due rows stand in PostgreSQL, so a restart forgets none. Each tick takes a bounded number of them under the same lock
as the intake of events: an incident is never decided twice at a time. What is decided for many is written by a few
statements, so that ten thousand at once hold that lock for seconds, not minutes.
"""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import structlog

from farwatch_events.escalation import load_escalation
from farwatch_events.matching import DEFAULT_POLICY_ID, IMPLICIT, NumberedPolicy
from farwatch_notifier.batch import Batch
from farwatch_notifier.facts import Facts, Origin, Pursuit
from farwatch_notifier.groups import GROUPS_A_TICK, Groups
from farwatch_notifier.message import build_reminder, build_standing
from farwatch_notifier.metrics import Metrics
from farwatch_notifier.policy.pursuit import pursue
from farwatch_notifier.writing import Ledger, moment
from farwatch_notifier.written import Written
from farwatch_store import Connection, Database, StoreUnavailable
from farwatch_store.positions import lock_position

TICK_SECONDS = 0.5
ESCALATIONS_A_TICK = 2_000

_DUE_ESCALATIONS = """
    select thread, policy_id, monitor_id, incident_id, event_id, position, state,
           round(extract(epoch from due_at) * 1000)::bigint as due_ms
    from alerting.escalations where due_at <= $1 order by due_at limit $2
"""
_ANY_DUE = """
    select exists (select from alerting.escalations where due_at <= $1)
        or exists (select from alerting.groups where flush_at <= $1)
"""

log = structlog.get_logger("farwatch_notifier")


class Timers:
    def __init__(self, db: Database, consumer: str, public_url: str, metrics: Metrics, now: Callable[[], int]) -> None:
        """`consumer` is the intake's: whoever holds its position decides."""
        self._db = db
        self._consumer = consumer
        self._groups = Groups(public_url, metrics)
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
        taken = await self._locked(self._escalate, now_ms)
        flushed = await self._locked(self._groups.flush, now_ms)
        return taken == ESCALATIONS_A_TICK or flushed == GROUPS_A_TICK

    async def _locked(self, decide: Callable[[Connection, int], Awaitable[int]], now_ms: int) -> int:
        """In a transaction of its own: the intake may have its turn in between."""
        async with self._db.transaction() as connection:
            await lock_position(connection, self._consumer)
            return await decide(connection, now_ms)

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
        written: dict[bool, Written] = {}
        for intent in pursuit.intents:
            if intent.again not in written:
                build = build_reminder if intent.again else build_standing
                written[intent.again] = Written(build(facts.incident, facts, now_ms, self._public_url))
            ledger.add(intent, written[intent.again], row["event_id"], now_ms)
            if intent.group is None:
                batch.remember(intent)

    def _pursue(self, row: dict[str, Any], numbered: NumberedPolicy, facts: Facts, now_ms: int) -> Pursuit:
        assert facts.incident is not None
        origin = Origin(row["thread"], row["event_id"], row["position"], row["monitor_id"], row["incident_id"])
        escalation = load_escalation({**row["state"], "due_ms": row["due_ms"]})
        return pursue(origin, numbered, escalation, f"{facts.incident.title} is open", facts, now_ms)
