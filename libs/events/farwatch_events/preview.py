"""What would happen: who would be told of an incident, when and by which policy. Pure.

It goes through the same rules as the notifier, with nobody acknowledging.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from farwatch_events.channels import Moment
from farwatch_events.escalation import Hold, Situation, advance, start
from farwatch_events.matching import NumberedPolicy, NumberedSilence, Subject, find_silence, mismatch, select_policies
from farwatch_events.policies import POLICY_MOMENTS
from farwatch_events.recipients import ChannelFacts, refusal, target_channels

HORIZON_MS = 24 * 3_600_000
LOOKS_MAX = 200


@dataclass(frozen=True, slots=True)
class Planned:
    """One channel at one time: told, or not (`why_not`). `grouped_seconds` is how long a group may hold it longer."""

    at_ms: int
    policy_id: int
    policy: str
    kind: Literal["step", "reminder", "hold", "over"]
    step: int
    round: int
    channel_id: int | None
    channel: str
    reason: str
    why_not: str | None = None
    grouped_seconds: int = 0


@dataclass(frozen=True, slots=True)
class Fit:
    """Whether a policy decides about the alert, and if not, why."""

    policy_id: int
    name: str
    decides: bool
    why_not: str | None


@dataclass(frozen=True, slots=True)
class MomentFit:
    """Whether a channel hears of a moment by a policy, and if not, why."""

    policy_id: int
    policy: str
    moment: Moment
    channel_id: int
    channel: str
    why_not: str | None


@dataclass(frozen=True, slots=True)
class Case:
    """An incident that might open."""

    subject: Subject
    moment: Literal["down", "degraded"]
    at_ms: int
    named_channels: tuple[int, ...] = ()
    has_parents: bool = False
    parent: str | None = None


def explain_policies(policies: Sequence[NumberedPolicy], subject: Subject) -> list[Fit]:
    deciding = {each.id for each in select_policies(policies, subject)}
    found = []
    for each in sorted(policies, key=lambda one: (one.policy.position, one.id)):
        why = None if each.policy.enabled else "it is off"
        why = why or mismatch(each.policy.match, subject)
        if why is None and each.id not in deciding:
            why = "one before it decides"
        found.append(Fit(each.id, each.policy.name, each.id in deciding, why))
    return found


def explain_moments(
    policies: Sequence[NumberedPolicy], channels: Sequence[ChannelFacts], subject: Subject, named: Collection[int]
) -> list[MomentFit]:
    """For each policy that decides: which of its channels hear of which moment. First failures go to the first step."""
    found = []
    for numbered in select_policies(policies, subject):
        policy = numbered.policy
        for moment in POLICY_MOMENTS if policy.steps else ():
            steps = policy.steps[:1] if moment in ("first_failure", "first_success") else policy.steps
            chosen = {each.id: each for step in steps for each, _ in target_channels(channels, named, step.target)}
            remind = moment == "reminder" and policy.reminder_seconds is not None
            for each in chosen.values():
                no = refusal(each, moment, policy) if not remind or not each.enabled else None
                found.append(MomentFit(numbered.id, numbered.title, moment, each.id, each.name, no))
    return found


def preview(
    policies: Sequence[NumberedPolicy],
    silences: Sequence[NumberedSilence],
    channels: Sequence[ChannelFacts],
    case: Case,
) -> list[Planned]:
    """Everything within 24 hours, in the order of its time."""
    found: list[Planned] = []
    for numbered in select_policies(policies, case.subject):
        found += _one_policy(numbered, silences, channels, case)
    return sorted(found, key=lambda each: (each.at_ms, each.policy_id, each.step))


def _one_policy(
    numbered: NumberedPolicy, silences: Sequence[NumberedSilence], channels: Sequence[ChannelFacts], case: Case
) -> list[Planned]:
    state = start(numbered, case.moment, case.at_ms, has_parents=case.has_parents)
    found: list[Planned] = []
    told: dict[int, ChannelFacts] = {}
    for _ in range(LOOKS_MAX):
        now_ms = max(case.at_ms, state.due_ms or case.at_ms)
        if now_ms > case.at_ms + HORIZON_MS:
            break
        result = advance(numbered, state, _situation(silences, case, now_ms), now_ms)
        state = result.escalation
        blank = Planned(now_ms, numbered.id, numbered.title, "step", 0, 0, None, "", "")
        if result.over is not None:
            found.append(replace(blank, kind="over", reason=result.over, why_not=result.over))
        if result.hold is not None:
            found.append(replace(blank, kind="hold", reason=result.hold.reason, why_not=result.hold.reason))
        for telling in result.tellings:
            line = replace(blank, kind=telling.kind, step=telling.step, round=telling.round, reason=telling.reason)
            if telling.kind == "step":
                chosen = target_channels(channels, case.named_channels, telling.target)
                found += _lines(line, chosen, numbered, case, told)
            elif numbered.policy.reminder_seconds is not None:
                found += [replace(line, channel_id=each.id, channel=each.name) for each in told.values()]
        if state.due_ms is None:
            break
    return found


def _lines(
    line: Planned,
    chosen: list[tuple[ChannelFacts, str]],
    numbered: NumberedPolicy,
    case: Case,
    told: dict[int, ChannelFacts],
) -> list[Planned]:
    grouping = numbered.policy.grouping
    found = []
    for channel, why in chosen:
        no = refusal(channel, case.moment, numbered.policy)
        if no is None and line.round == 0 and channel.id in told:
            no = "the channel was told already"
        if no is None:
            told[channel.id] = channel
        found.append(
            replace(
                line,
                channel_id=channel.id,
                channel=channel.name,
                reason=f"{line.reason}; {why}",
                why_not=no,
                grouped_seconds=grouping.wait_seconds if grouping is not None and no is None else 0,
            )
        )
    return found


def _situation(silences: Sequence[NumberedSilence], case: Case, now_ms: int) -> Situation:
    silence = find_silence(silences, case.subject, now_ms)
    hold = None if silence is None else Hold("silence", f"silence {silence.id}: {silence.reason}", silence.ends_ms)
    parent = None if case.parent is None else Hold("parent", f"{case.parent}, which it stands behind, is down")
    return Situation(silence=hold, parent=parent)
