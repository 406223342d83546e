"""Push monitors: when the next push is due, and what a call is worth once it is known how long the run took. Pure."""

from collections.abc import Sequence
from dataclasses import replace

from farwatch_events.assertions import Assertion
from farwatch_events.cron import next_after
from farwatch_events.results import CheckResult, ErrorClass
from farwatch_incidents.rules.config import MonitorConfig
from farwatch_incidents.rules.votes import LocalState
from farwatch_runtime.expectations import Facts, Finding, Rule, evaluate
from farwatch_runtime.patterns import PatternError

EARLY_MS = 5_000
"""A job whose clock is ahead calls before its moment: that is this moment's call, and not one of the last."""
NEVER_MS = 100 * 365 * 86_400_000
KEPT_SPANS = 8

Span = tuple[int, int]
"""From, to: milliseconds of the clock on the wall."""


def due_after(config: MonitorConfig, at_ms: int) -> int:
    """When the next push is due after a sign of life at `at_ms`; both by the clock on the wall."""
    plan = config.plan
    if plan.cron is None:
        return at_ms + config.interval_ms
    return _or_never(next_after(plan.cron, plan.time_zone, at_ms + EARLY_MS), at_ms)


def due_after_miss(config: MonitorConfig, missed_ms: int, now_ms: int) -> int:
    """When the one after that is due which was due at `missed_ms`. Those whose grace is over too are passed over."""
    plan = config.plan
    if plan.cron is None:
        return max(missed_ms, now_ms - config.grace_ms) + config.interval_ms
    due_ms = _or_never(next_after(plan.cron, plan.time_zone, missed_ms), now_ms)
    if due_ms + config.grace_ms > now_ms:
        return due_ms
    return _or_never(next_after(plan.cron, plan.time_zone, now_ms - config.grace_ms), now_ms)


def _or_never(moment_ms: int | None, now_ms: int) -> int:
    return now_ms + NEVER_MS if moment_ms is None else moment_ms


def lost_in(config: MonitorConfig, local: LocalState, dark: Span) -> Span | None:
    """When in dark time, in which nobody could take a call, one may have come. None when none can have."""
    if is_running(config, local):
        return dark
    if config.plan.cron is not None:
        return dark if _is_any_due(config, dark) else None
    starts = local.unheard or ((local.slot_ms, local.slot_ms),)
    reached = [_next_within(config, each, dark) for each in starts]
    lost = [each for each in reached if each is not None]
    return (min(first for first, _ in lost), max(last for _, last in lost)) if lost else None


def _is_any_due(config: MonitorConfig, dark: Span) -> bool:
    """Whether a moment of the schedule lies so that its call may fall into the dark time, in time as it is."""
    return due_after(config, dark[0] - config.grace_ms - EARLY_MS - 1000) - EARLY_MS <= dark[1]


def _next_within(config: MonitorConfig, last: Span, dark: Span) -> Span | None:
    """When in dark time a call may come that follows one in `last`, as early as it may be late, and earlier by its run:
    the last call may have been the end of it. Where yet another fits in, it may be any time up to the end."""
    run_ms = config.plan.run_limit_ms or 0
    soonest_ms = config.interval_ms - run_ms - max(config.grace_ms, EARLY_MS)
    first_ms = max(dark[0], last[0] + soonest_ms)
    last_ms = min(dark[1], last[1] + config.push_period_ms + run_ms)
    if first_ms > last_ms:
        return None
    return first_ms, dark[1] if first_ms + soonest_ms <= dark[1] else last_ms


def note_lost(config: MonitorConfig, local: LocalState, lost: Span) -> LocalState:
    """A job with an interval may have called then, and goes on from there. What nothing can follow any more is left
    out, and of more than KEPT_SPANS the oldest become one."""
    if config.plan.cron is not None:
        return local
    reach_ms = config.push_period_ms + (config.plan.run_limit_ms or 0)
    starts = local.unheard or ((local.slot_ms, local.slot_ms),)
    spans = (*(each for each in starts if each[1] + reach_ms >= lost[0]), lost)
    if len(spans) > KEPT_SPANS:
        spans = ((spans[0][0], spans[1][1]), *spans[2:])
    return replace(local, unheard=spans)


def due_after_loss(config: MonitorConfig, lost: Span, now_ms: int) -> int:
    """When the next call is due after one that may have been lost. That may have been the start of a run, and neither
    its end nor the call after it is late before the run has had its limit."""
    run_ms = config.plan.run_limit_ms or 0
    if config.plan.cron is None:
        return lost[1] + config.interval_ms + run_ms
    return due_after(config, now_ms + run_ms if _is_any_due(config, lost) else now_ms)


def anytime(config: MonitorConfig, now_ms: int) -> tuple[Span, ...]:
    """The spans of a job with an interval of which nobody knows when it calls, other than that it does."""
    return () if config.plan.cron is not None else ((now_ms - config.interval_ms, now_ms),)


def waits_alike(one: MonitorConfig, other: MonitorConfig) -> bool:
    """Whether what is waited for is the same: a new name gives nobody a new period."""

    def awaited(config: MonitorConfig) -> tuple[object, ...]:
        plan = config.plan
        return (
            config.enabled,
            config.interval_ms,
            config.push_grace_ms,
            plan.cron,
            plan.time_zone,
            plan.run_limit_ms,
        )

    return awaited(one) == awaited(other)


def is_running(config: MonitorConfig, local: LocalState) -> bool:
    """Whether the end of a run is waited for, rather than the next push."""
    return local.run_started_ms > 0 and config.plan.run_limit_ms is not None


def ends_run(local: LocalState, result: CheckResult) -> bool:
    """Whether the call is the end of the run that was started last. Names count only where both have one."""
    if not 0 < local.run_started_ms <= result.slot_ms:
        return False
    named = result.push.run_id if result.push else None
    return not named or not local.run_id or named == local.run_id


def complete(config: MonitorConfig, local: LocalState, result: CheckResult) -> CheckResult:
    """The call with the duration of its run, judged by what is expected of it."""
    if result.latency_ms is None and ends_run(local, result):
        duration_ms = float(result.slot_ms - local.run_started_ms)
        result = result.model_copy(update={"latency_ms": duration_ms, "started_ms": local.run_started_ms})
    code = result.push.exit_code if result.push else None
    if code is not None and any(each.subject == "exit_code" for each in config.plan.assertions):
        result = result.model_copy(update={"outcome": "up", "error_class": None, "error": None})
    return _judged(config, result) if result.outcome == "up" else result


def _judged(config: MonitorConfig, result: CheckResult) -> CheckResult:
    rules = _rules_of(config)
    if not rules:
        return result
    call = result.push
    seen = {"latency": result.latency_ms, "exit_code": call.exit_code if call else None}
    try:
        findings = evaluate(rules, Facts(seen, text=call.message if call else ""))
    except PatternError as error:
        words = f"The pattern of an assertion {error}"
        return result.model_copy(update={"outcome": "unknown", "error_class": ErrorClass.INTERNAL, "error": words})
    return result.model_copy(update={"assertions": [each.result for each in findings], **_verdict(findings)})


def _rules_of(config: MonitorConfig) -> tuple[Rule, ...]:
    own = tuple(Rule(each) for each in config.plan.assertions)
    slow_ms = config.plan.degraded_ms
    if slow_ms is None:
        return own
    expected = Assertion(subject="latency", operator="less_than", value=slow_ms, severity="degraded")
    return (*own, Rule(expected, ErrorClass.TIMEOUT, _slow_words))


def _slow_words(facts: Facts) -> str:
    return f"Slow: took {facts.values['latency']:,.0f} ms"


def _verdict(findings: Sequence[Finding]) -> dict[str, object]:
    failed = [each for each in findings if each.sentence]
    fatal = [each for each in failed if each.result.severity == "down"]
    if fatal:
        others = f" (and {len(fatal) - 1} more)" if len(fatal) > 1 else ""
        return {"outcome": "down", "error_class": fatal[0].rule.error_class, "error": fatal[0].sentence + others}
    return {"outcome": "degraded", "reasons": [each.sentence for each in failed]} if failed else {}


def without_run(local: LocalState) -> LocalState:
    return replace(local, run_started_ms=0, run_id="")
