"""Telling a group: what has waited in it becomes one message for each channel."""

from collections.abc import Sequence
from typing import Any

from farwatch_notifier.batch import Batch, Troubles, load_troubles
from farwatch_notifier.facts import GroupItem, GroupRef, IncidentFacts, Intent
from farwatch_notifier.message import Alert, Member, build_group, build_reminder, build_standing
from farwatch_notifier.metrics import Metrics
from farwatch_notifier.policy.choosing import dedup_key
from farwatch_notifier.policy.grouping import BEHIND, Flush, decide_flush
from farwatch_notifier.writing import Ledger, Planned, moment
from farwatch_store import Connection

GROUPS_A_TICK = 20
ITEMS_A_CHANNEL = 20_000

_DUE = "select key, policy_id, thread, title from alerting.groups where flush_at <= $1 order by flush_at limit $2"
_CHANNELS = "select distinct channel_id from alerting.group_items where key = $1 order by channel_id"

# One channel at a time: however many there are, each gets all of the group in one message.
_TAKE_ITEMS = """
    with taken as (
        delete from alerting.group_items
        where ctid = any(array(
            select ctid from alerting.group_items where key = $1 and channel_id = $2 order by at_ms, position limit $3
        ))
        returning channel_id, thread, moment, position, event_id, monitor_id, incident_id, name, at_ms, reason, seconds
    )
    select * from taken order by at_ms, position
"""
_FLUSHED = """
    update alerting.groups set flushed_at = $2,
        flush_at = case when exists (select from alerting.group_items where key = $1) then $2::timestamptz end
    where key = $1
"""
# Groups nobody waits in any more and that were told long ago.
_FORGET = "delete from alerting.groups where flush_at is null and flushed_at < $1"
_FORGET_AFTER_MS = 3 * 24 * 3_600_000

_NOT_SENT: dict[str, Any] = {}


class Groups:
    def __init__(self, public_url: str, metrics: Metrics) -> None:
        self._public_url = public_url
        self._metrics = metrics

    async def flush(self, connection: Connection, now_ms: int) -> int:
        """How many groups were told."""
        groups = await connection.fetch(_DUE, moment(now_ms), GROUPS_A_TICK)
        for group in groups:
            ref = GroupRef(group["key"], group["policy_id"], group["thread"], group["title"], 0, 0)
            await self._flush_group(connection, ref, now_ms)
            await connection.execute(_FLUSHED, ref.key, moment(now_ms))
        if groups:
            await connection.execute(_FORGET, moment(now_ms - _FORGET_AFTER_MS))
        return len(groups)

    async def _flush_group(self, connection: Connection, ref: GroupRef, now_ms: int) -> None:
        troubles: Troubles = {}
        for row in await connection.fetch(_CHANNELS, ref.key):
            taken = await connection.fetch(_TAKE_ITEMS, ref.key, row["channel_id"], ITEMS_A_CHANNEL)
            items = [GroupItem(**dict(each)) for each in taken]
            unknown = {item.thread for item in items} - troubles.keys()
            troubles |= await load_troubles(connection, unknown)
            flush = decide_flush(row["channel_id"], items, troubles)
            ledger = Ledger(planned=await self._plan(connection, ref, flush, troubles, now_ms))
            await ledger.write(connection, self._metrics, now_ms)

    async def _plan(
        self, connection: Connection, ref: GroupRef, flush: Flush, troubles: Troubles, now_ms: int
    ) -> list[Planned]:
        planned = [_dropped(ref, item, why) for item, why in flush.dropped if item.moment != BEHIND]
        for part in (flush.problems, flush.behind, flush.recoveries):
            if len(part) == 1 and part[0].moment != BEHIND and part[0].thread in troubles:
                planned.append(await self._alone(connection, ref, part[0], troubles[part[0].thread], now_ms))
            elif part:
                planned.append(self._together(ref, part, troubles, now_ms))
        return planned

    async def _alone(
        self, connection: Connection, ref: GroupRef, item: GroupItem, incident: IncidentFacts, now_ms: int
    ) -> Planned:
        """One alone is told in its own words."""
        key = _key(item)
        if item.moment == "up":
            member = _member(item, incident)
            alert = build_group("group_up", "Recovered", item.thread, [member], now_ms, self._public_url, key)
        else:
            batch = await Batch.load(connection, {item.thread}, {item.monitor_id or 0}, now_ms, now_ms)
            build = build_reminder if item.moment == "reminder" else build_standing
            facts = batch.facts_at(item.thread, item.monitor_id or 0, now_ms)
            alert = build(incident, facts, now_ms, self._public_url)
        return Planned(_intent(ref, item, key, item.reason), _dump(alert), _items([item]))

    def _together(self, ref: GroupRef, part: Sequence[GroupItem], troubles: Troubles, now_ms: int) -> Planned:
        first, key = part[0], _key(part[0])
        kind = {"up": "group_up", BEHIND: "group_behind"}.get(first.moment, "group_down")
        members = [_member(item, troubles.get(item.thread)) for item in part]
        alert = build_group(kind, ref.title, ref.thread, members, now_ms, self._public_url, key)  # type: ignore[arg-type]
        reason = f"{len(part)} together: {first.reason}"
        return Planned(_intent(ref, first, key, reason, many=len(part) > 1), _dump(alert), _items(part))


def _dropped(ref: GroupRef, item: GroupItem, why: str) -> Planned:
    key = dedup_key(item.event_id, item.channel_id, item.moment, f"_dropped{item.at_ms}")
    return Planned(_intent(ref, item, key, why, suppressed=True), _NOT_SENT)


def _key(first: GroupItem) -> str:
    return dedup_key(first.event_id, first.channel_id, first.moment, f"_group{first.at_ms}")


def _items(part: Sequence[GroupItem]) -> list[tuple[int, str, str]]:
    return [(item.position, item.thread, item.moment) for item in part]


def _member(item: GroupItem, incident: IncidentFacts | None) -> Member:
    since_ms = incident.opened_ms if incident is not None else None
    severity = incident.severity if incident is not None and item.moment == BEHIND else item.moment
    return Member(
        name=item.name, moment=severity, monitor_id=item.monitor_id, incident_id=item.incident_id, since_ms=since_ms
    )


def _intent(
    ref: GroupRef, item: GroupItem, key: str, reason: str, *, suppressed: bool = False, many: bool = False
) -> Intent:
    """A message about many belongs to no single incident: its items say which."""
    spoken = "down" if item.moment == BEHIND else item.moment
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
