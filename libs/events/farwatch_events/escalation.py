"""How an open incident goes through the steps of a policy. Pure: the same state, situation and time give the same.

`advance` is called when an incident opens and whenever `due_ms` has come. It says whom to tell now, what holds the
telling back, and when to look again. Nothing is lost by calling late or twice.
"""

from dataclasses import dataclass, replace
from typing import Any, Literal

from farwatch_events.matching import NumberedPolicy
from farwatch_events.policies import Policy, Target
from farwatch_events.quiet import is_quiet, quiet_until_ms

RECHECK_MS = 60_000
"""How often a hold without a known end is looked at again."""
SLOW_RECHECK_MS = 10 * 60_000
"""The same for a hold whose end wakes the escalation: this is for wake-ups that got lost."""

DEFAULT_REMINDER_SECONDS = 24 * 3600
"""For channels that take the moment `reminder` where no policy says how often."""

State = Literal["running", "acknowledged", "ended"]
HoldKind = Literal["parent", "check", "silence", "regions", "quiet"]


@dataclass(frozen=True, slots=True)
class Escalation:
    """`step` is the next to take in `round`, whose steps count from `round_ms`. `due_ms` None: nothing to wait for.

    `held` is the hold that was recorded last, `told_ms` when somebody was told last, `failed_ms` when the check began
    by which it was found: what it stands behind has to be looked at since.
    """

    moment: str
    started_ms: int
    round_ms: int
    due_ms: int | None
    step: int = 0
    round: int = 0
    state: State = "running"
    held: str | None = None
    told_ms: int | None = None
    failed_ms: int = 0


@dataclass(frozen=True, slots=True)
class Hold:
    """Why nobody is told now, and until when that is known to last."""

    kind: HoldKind
    reason: str
    until_ms: int | None = None
    waits_for: str | None = None
    """Thread of the parent's incident, for kind "parent"."""


@dataclass(frozen=True, slots=True)
class Situation:
    """What is known of the incident when it is looked at. `over` is why nothing more is to be told."""

    over: str | None = None
    acknowledged_ms: int | None = None
    acknowledged_by: str = "somebody"
    parent: Hold | None = None
    check: Hold | None = None
    silence: Hold | None = None
    regions: Hold | None = None


@dataclass(frozen=True, slots=True)
class Telling:
    """`target` None means everybody who was told before: a reminder."""

    kind: Literal["step", "reminder"]
    step: int
    round: int
    target: Target | None
    reason: str


@dataclass(frozen=True, slots=True)
class Advance:
    """`hold` is set when the telling is held back and that was not recorded yet; `over` when it is over for good."""

    escalation: Escalation
    tellings: tuple[Telling, ...] = ()
    hold: Hold | None = None
    over: str | None = None


def start(numbered: NumberedPolicy, moment: str, at_ms: int, *, has_parents: bool, failed_ms: int = 0) -> Escalation:
    """Monitors with parents wait a little longer: the parent's own failure may be known a moment later."""
    policy = numbered.policy
    first_ms = at_ms + 1000 * max(policy.delay_seconds, policy.parent_wait_seconds if has_parents else 0)
    after_ms = 1000 * policy.steps[0].after_seconds if policy.steps else 0
    return Escalation(moment, at_ms, first_ms, first_ms + after_ms, failed_ms=failed_ms)


def advance(numbered: NumberedPolicy, escalation: Escalation, situation: Situation, now_ms: int) -> Advance:
    policy = numbered.policy
    if escalation.state != "running":
        return Advance(replace(escalation, due_ms=None))
    if over := situation.over or _refusal(numbered, escalation):
        return Advance(replace(escalation, state="ended", due_ms=None), over=over)
    if situation.acknowledged_ms is not None and situation.acknowledged_ms >= escalation.started_ms:
        return Advance(replace(escalation, state="acknowledged", due_ms=None))
    if escalation.due_ms is None or now_ms < escalation.due_ms:
        return Advance(escalation)
    if hold := find_hold(policy, situation, now_ms):
        fresh = escalation.held != hold.reason
        held = replace(escalation, held=hold.reason, due_ms=_look_again_ms(hold, now_ms))
        return Advance(held, hold=hold if fresh else None)
    return _tell(numbered, replace(escalation, held=None), now_ms)


def _refusal(numbered: NumberedPolicy, escalation: Escalation) -> str | None:
    policy = numbered.policy
    if not policy.steps:
        return f"{numbered.title} tells nobody"
    if policy.moments is not None and escalation.moment not in policy.moments:
        return f"{numbered.title} does not take the moment {escalation.moment}"
    return None


def find_hold(policy: Policy, situation: Situation, now_ms: int) -> Hold | None:
    """The first thing that keeps people from being told now."""
    found = situation.parent or situation.check or situation.silence or situation.regions
    if found is not None:
        return found
    if is_quiet(policy.quiet, policy.time_zone, now_ms):
        until_ms = quiet_until_ms(policy.quiet, policy.time_zone, now_ms)
        return Hold("quiet", f"quiet hours of policy “{policy.name}”", until_ms)
    return None


def _look_again_ms(hold: Hold, now_ms: int) -> int:
    slow = now_ms + (SLOW_RECHECK_MS if hold.waits_for is not None else RECHECK_MS)
    return slow if hold.until_ms is None else max(hold.until_ms, now_ms + 1000)


def _tell(numbered: NumberedPolicy, escalation: Escalation, now_ms: int) -> Advance:
    """Every step whose time has come, each once, however late; then the next round or a reminder."""
    policy, after = numbered.policy, escalation
    tellings: list[Telling] = []
    while after.step < len(policy.steps) and _step_due_ms(policy, after) <= now_ms:
        step = policy.steps[after.step]
        reason = _reason(numbered, after)
        tellings.append(Telling("step", after.step, after.round, step.target, reason))
        after = replace(after, step=after.step + 1, told_ms=now_ms)
    if not tellings and _reminder_due_ms(policy, after) <= now_ms:
        tellings.append(Telling("reminder", after.step, after.round, None, f"{numbered.title}: still open"))
        after = replace(after, told_ms=now_ms)
    if after.step == len(policy.steps) and policy.repeat_seconds is not None and after.round < policy.repeat_limit:
        after = replace(after, step=0, round=after.round + 1, round_ms=now_ms + 1000 * policy.repeat_seconds)
    return Advance(replace(after, due_ms=_next_ms(policy, after)), tuple(tellings))


def _reason(numbered: NumberedPolicy, escalation: Escalation) -> str:
    step = f", step {escalation.step + 1}" if len(numbered.policy.steps) > 1 else ""
    repeat = f", repeat {escalation.round}: nobody acknowledged" if escalation.round else ""
    return f"{numbered.title}{step}{repeat}"


def _step_due_ms(policy: Policy, escalation: Escalation) -> int:
    return escalation.round_ms + 1000 * policy.steps[escalation.step].after_seconds


_NEVER = 2**62


def _reminder_due_ms(policy: Policy, escalation: Escalation) -> int:
    if escalation.told_ms is None:
        return _NEVER
    return escalation.told_ms + 1000 * (policy.reminder_seconds or DEFAULT_REMINDER_SECONDS)


def _next_ms(policy: Policy, escalation: Escalation) -> int | None:
    step_ms = _step_due_ms(policy, escalation) if escalation.step < len(policy.steps) else _NEVER
    next_ms = min(step_ms, _reminder_due_ms(policy, escalation))
    return None if next_ms == _NEVER else next_ms


def dump_escalation(escalation: Escalation) -> dict[str, Any]:
    return {name: getattr(escalation, name) for name in Escalation.__slots__}


def load_escalation(data: dict[str, Any]) -> Escalation:
    return Escalation(**{name: data[name] for name in Escalation.__slots__ if name in data})
