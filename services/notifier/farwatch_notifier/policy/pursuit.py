"""One incident on its way through one policy: what the rules of escalation say, as intents for channels. Pure."""

from collections.abc import Iterator
from dataclasses import replace
from typing import cast

from farwatch_events.channels import Moment
from farwatch_events.escalation import Advance, Escalation, Hold, Situation, Telling, advance, start
from farwatch_events.matching import DEFAULT_POLICY_ID, NumberedPolicy, find_silence
from farwatch_notifier.facts import ChannelFacts, Facts, GroupRef, Intent, Origin, Pursuit
from farwatch_notifier.policy.choosing import (
    dedup_key,
    first_channels,
    monitor_gone,
    refusal,
    takes_reminders,
    target_channels,
    told_since_recovery,
)
from farwatch_notifier.policy.grouping import BEHIND, behind_group, group_of
from farwatch_notifier.policy.parents import wait_for_check
from farwatch_notifier.text import say_time


def begin(
    origin: Origin,
    numbered: NumberedPolicy,
    moment: Moment,
    what: str,
    regions: tuple[str, ...],
    facts: Facts,
    at_ms: int,
    now_ms: int,
    failed_ms: int = 0,
) -> Pursuit:
    """Starts the policy for an incident; the first step is taken at once when nothing delays it.

    What is known of the incident's later life does not count: each of its events has its own turn.
    """
    parents = facts.monitor is not None and bool(facts.monitor.parents)
    escalation = start(numbered, moment, at_ms, has_parents=parents, failed_ms=failed_ms)
    situation = Situation(
        parent=_parent_hold(facts),
        check=wait_for_check(numbered.policy, escalation, facts.above, now_ms),
        silence=silence_hold(facts, moment, regions, now_ms),
        regions=_region_hold(facts, regions),
    )
    return _pursue(origin, numbered, escalation, situation, what, facts, now_ms)


def pursue(
    origin: Origin, numbered: NumberedPolicy, escalation: Escalation, what: str, facts: Facts, now_ms: int
) -> Pursuit:
    """Looks at an escalation whose time has come."""
    check = wait_for_check(numbered.policy, escalation, facts.above, now_ms)
    situation = replace(situation_of(facts, now_ms), check=check)
    return _pursue(origin, numbered, escalation, situation, what, facts, now_ms)


def _pursue(
    origin: Origin,
    numbered: NumberedPolicy,
    escalation: Escalation,
    situation: Situation,
    what: str,
    facts: Facts,
    now_ms: int,
) -> Pursuit:
    found = advance(numbered, escalation, situation, now_ms)
    moment = cast(Moment, escalation.moment)
    intents: list[Intent] = []
    if found.over is not None:
        intents += _untold(origin, numbered, moment, found.over, facts, "")
    if found.hold is not None:
        intents += _held(origin, numbered, moment, found.hold, facts, now_ms)
    for telling in found.tellings:
        intents += _told(origin, numbered, moment, telling, what, facts)
    return Pursuit(origin, numbered.id, found.escalation, tuple(intents), _waits_for(found, facts))


def _waits_for(found: Advance, facts: Facts) -> str | None:
    waiting = found.escalation.state == "running" and found.escalation.held is not None
    return f"incident-{facts.parent.incident_id}" if waiting and facts.parent is not None else None


def situation_of(facts: Facts, now_ms: int) -> Situation:
    incident = facts.incident
    if incident is None:
        return Situation(over="the incident is not known any more")
    over = monitor_gone(facts)
    if incident.resolved_ms is not None and incident.resolved_ms <= now_ms:
        over = "it was over before its turn"
    elif incident.suppressed:
        over = f"suppressed: {incident.suppressed}"
    return Situation(
        over=over,
        acknowledged_ms=incident.acknowledged_ms,
        acknowledged_by=incident.acknowledged_by or "somebody",
        parent=_parent_hold(facts),
        silence=silence_hold(facts, incident.severity, incident.regions, now_ms),
        regions=_region_hold(facts, incident.regions),
    )


def _parent_hold(facts: Facts) -> Hold | None:
    parent = facts.parent
    if parent is None:
        return None
    reason = f"{parent.name}, which it stands behind, is down (incident {parent.incident_id})"
    return Hold("parent", reason, waits_for=f"incident-{parent.incident_id}")


def silence_hold(facts: Facts, severity: str | None, regions: tuple[str, ...], now_ms: int) -> Hold | None:
    silence = find_silence(facts.silences, facts.subject(severity, regions), now_ms)
    if silence is None:
        return None
    reason = f"silence {silence.id} until {say_time(silence.ends_ms)}: {silence.reason}"
    return Hold("silence", reason, silence.ends_ms)


def _region_hold(facts: Facts, regions: tuple[str, ...]) -> Hold | None:
    if not regions or not set(regions) <= facts.untrusted:
        return None
    return Hold("regions", f"only regions that are not to be trusted now see it: {', '.join(regions)}")


def _untold(
    origin: Origin, numbered: NumberedPolicy, moment: Moment, reason: str, facts: Facts, suffix: str
) -> Iterator[Intent]:
    for channel, _why in first_channels(numbered, facts):
        key = dedup_key(origin.event_id, channel.id, moment, suffix)
        said = refusal(channel, moment, numbered) or reason
        yield _intent(origin, numbered, channel, moment, key, said, suppressed=True)


def _held(
    origin: Origin, numbered: NumberedPolicy, moment: Moment, hold: Hold, facts: Facts, now_ms: int
) -> Iterator[Intent]:
    yield from _untold(origin, numbered, moment, hold.reason, facts, f"_p{numbered.id}_held{now_ms}")
    if hold.kind != "parent" or facts.parent is None:
        return
    group = behind_group(facts.parent)
    for channel, _why in first_channels(numbered, facts):
        if refusal(channel, moment, numbered) is None and moment not in told_since_recovery(facts.prior, channel.id):
            key = dedup_key(origin.event_id, channel.id, BEHIND)
            yield _intent(origin, numbered, channel, moment, key, hold.reason, group=group, item_moment=BEHIND)


def _told(
    origin: Origin, numbered: NumberedPolicy, moment: Moment, telling: Telling, what: str, facts: Facts
) -> Iterator[Intent]:
    if telling.kind == "reminder":
        yield from _reminded(origin, numbered, telling, what, facts)
        return
    first = telling.step == 0 and telling.round == 0
    suffix = "" if first else f"_p{numbered.id}_s{telling.step}_r{telling.round}"
    group = group_of(numbered, facts)
    for channel, why in target_channels(telling.target, facts):
        told = told_since_recovery(facts.prior, channel.id)
        no = refusal(channel, moment, numbered)
        if telling.round == 0 and (moment in told or "down" in told):
            no = no or "the channel was told already"
        reason = no or _say(numbered, what, why, telling)
        key = dedup_key(origin.event_id, channel.id, moment, suffix)
        yield _intent(
            origin, numbered, channel, moment, key, reason,
            suppressed=no is not None, again=telling.round > 0, step=telling.step, group=None if no else group,
        )  # fmt: skip


def _reminded(origin: Origin, numbered: NumberedPolicy, telling: Telling, what: str, facts: Facts) -> Iterator[Intent]:
    """To everybody who was told and wants reminders. Others leave no trace: it would be one a day for each."""
    due_ms = facts.incident.opened_ms if facts.incident is not None else 0
    for channel in facts.channels:
        count = sum(1 for each in facts.prior if each.channel_id == channel.id and each.moment == "reminder")
        told = told_since_recovery(facts.prior, channel.id)
        if channel.enabled and told and takes_reminders(channel, numbered):
            key = dedup_key(origin.event_id, channel.id, "reminder", f"_p{numbered.id}_{due_ms}_{count}")
            reason = f"{what}; {telling.reason}"
            yield _intent(
                origin, numbered, channel, "reminder", key, reason, again=True, group=group_of(numbered, facts)
            )


def _say(numbered: NumberedPolicy, what: str, why: str, telling: Telling) -> str:
    said = f"{what}; {why}"
    return said if numbered.id == DEFAULT_POLICY_ID else f"{said}; {telling.reason}"


def _intent(
    origin: Origin,
    numbered: NumberedPolicy,
    channel: ChannelFacts,
    moment: Moment,
    key: str,
    reason: str,
    *,
    suppressed: bool = False,
    again: bool = False,
    step: int | None = None,
    group: GroupRef | None = None,
    item_moment: str = "",
) -> Intent:
    return Intent(
        channel_id=channel.id,
        moment=moment,
        dedup_key=key,
        thread=origin.thread,
        positions=(origin.position,),
        reason=reason,
        suppressed=suppressed,
        monitor_id=origin.monitor_id,
        incident_id=origin.incident_id,
        again=again,
        policy_id=numbered.id,
        step=step,
        group=group,
        item_moment=item_moment,
    )
