"""One region's say on one monitor: what a result makes of it."""

from dataclasses import dataclass, replace
from datetime import UTC, datetime

from farwatch_events.events import Vote
from farwatch_events.guard import UNLEARNED, Guard
from farwatch_events.results import NO_VOTE, CheckResult, ErrorClass, Evidence, Kind
from farwatch_incidents.rules.config import MonitorConfig
from farwatch_incidents.rules.content import learn
from farwatch_incidents.rules.identity import EMPTY, OTHER_CAPACITY, SCHEDULED_CAPACITY, Place, Window, place

_RANK: dict[Kind, int] = {"scheduled": 0, "confirmation": 1, "manual": 2}
"""Of two results with one slot the later kind counts, whatever order they arrive in."""

DEGRADED_IN_A_ROW = 2
"""From up. After down one is enough: a slow answer is no full recovery."""


@dataclass(frozen=True, slots=True)
class LocalState:
    """What one region knows of one monitor. `slot_ms` and `rank` are of the newest result that counted.

    `failed_tries` are consecutive, across slots; `down_slots` counts scheduled slots for which the vote stayed down.
    `failing_since_ms` is the slot of the first failure since the last success, 0 while the last try succeeded;
    `answered` is whether there ever was a success. `asked_slot_ms` is the failure elsewhere that a confirmation was
    asked for, 0 when none is outstanding. `shares` is what others may fail with too: "address 192.0.2.1", "certificate
    CN=a". `run_since_ms` is the slot since which results came without a gap in which votes expire; `stale` is one that
    nobody renewed. `deadline_ms` is when the next push is due, on the push clock; `run_started_ms` is when its run
    began that has not ended, 0 when none has, `run_id` its name if it has one; `unheard` are spans of time in which it
    may have called since its last call and nobody heard it; `guard` is what was learned of the page.
    """

    vote: Vote = "unknown"
    voted_ms: int = 0
    slot_ms: int = 0
    rank: int = 0
    config_version: int = 0
    failed_tries: int = 0
    attempts: int = 0
    degraded_run: int = 0
    down_slots: int = 0
    failing_since_ms: int = 0
    answered: bool = False
    shares: tuple[str, ...] = ()
    run_since_ms: int = 0
    stale: bool = False
    error_class: ErrorClass | None = None
    error: str | None = None
    evidence: Evidence | None = None
    confirmed: bool = False
    asked_slot_ms: int = 0
    asked_at_ms: int = 0
    deadline_ms: int = 0
    run_started_ms: int = 0
    run_id: str = ""
    unheard: tuple[tuple[int, int], ...] = ()
    guard: Guard = UNLEARNED
    scheduled: Window = EMPTY
    confirmation: Window = EMPTY
    manual: Window = EMPTY

    @property
    def is_failing(self) -> bool:
        return self.failing_since_ms > 0


UNSEEN = LocalState()


@dataclass(frozen=True, slots=True)
class Heard:
    """What a result did to the region's state. `moments` are "first_failure" and "first_success", in their order."""

    place: Place
    state: LocalState
    counted: bool = False
    moments: tuple[str, ...] = ()


def hear(state: LocalState, config: MonitorConfig, result: CheckResult, *, healthy: bool, now_ms: int) -> Heard:
    """Takes one result in. Not counted: dropped, late, of an older configuration, of a paused monitor, or a slot that
    was skipped and changes nothing."""
    standing, known = _identify(state, result)
    if standing is Place.DROPPED:
        return Heard(standing, state)
    if standing is Place.LATE or result.config_version < config.config_version or not config.enabled:
        return Heard(standing, known)
    if (result.slot_ms, _RANK[result.kind]) < (state.slot_ms, state.rank):
        return Heard(Place.LATE, known)
    if healthy and result.error_class is ErrorClass.SKIPPED and is_unmoved(state, config, result.slot_ms):
        return Heard(standing, known)
    return _count(known, config, result, healthy, now_ms)


def is_unmoved(state: LocalState, config: MonitorConfig, slot_ms: int) -> bool:
    """Whether a skipped slot leaves the vote as it is. Nobody looked, so it says nothing against a vote, nor does it
    renew one: that ages as it would without the slot. And where there was none yet, the first is still awaited.
    Unknown at once, and known with the next result, cost an overloaded Farwatch two events more."""
    if not state.slot_ms:
        return True
    return state.vote != "unknown" and slot_ms - state.slot_ms <= config.expiry_ms


def _identify(state: LocalState, result: CheckResult) -> tuple[Place, LocalState]:
    if result.kind == "scheduled":
        standing, window = place(state.scheduled, result.slot_ms, SCHEDULED_CAPACITY)
        return standing, state if standing is Place.DROPPED else replace(state, scheduled=window)
    if result.kind == "confirmation":
        standing, window = place(state.confirmation, result.slot_ms, OTHER_CAPACITY)
        return standing, state if standing is Place.DROPPED else replace(state, confirmation=window)
    standing, window = place(state.manual, result.slot_ms, OTHER_CAPACITY)
    return standing, state if standing is Place.DROPPED else replace(state, manual=window)


def _count(before: LocalState, config: MonitorConfig, result: CheckResult, healthy: bool, now_ms: int) -> Heard:
    outcome = "unknown" if not healthy or result.error_class in NO_VOTE else result.outcome
    if before.config_version != result.config_version:
        before = replace(before, failed_tries=0, degraded_run=0)
    if outcome == "unknown":
        after = replace(before, vote="unknown", error_class=result.error_class, error=_unknown_error(result, healthy))
    elif outcome == "down":
        after = _failed(before, config, result)
    else:
        after = _answered(before, result, outcome)
    scheduled = result.kind == "scheduled"
    down_slots = before.down_slots + scheduled if after.vote == "down" else 0
    asked = before.asked_slot_ms if scheduled and result.slot_ms <= before.asked_slot_ms else 0
    goes_on = before.slot_ms > 0 and result.slot_ms - before.slot_ms <= config.expiry_ms
    after = replace(
        after,
        slot_ms=result.slot_ms,
        rank=_RANK[result.kind],
        config_version=result.config_version,
        attempts=result.attempts,
        down_slots=down_slots,
        asked_slot_ms=asked if result.kind != "manual" else before.asked_slot_ms,
        confirmed=result.kind == "confirmation",
        run_since_ms=before.run_since_ms if goes_on else result.slot_ms,
        stale=False,
        guard=learn(before.guard, result, outcome),
        voted_ms=before.voted_ms if after.vote == before.vote and before.slot_ms else now_ms,
    )
    return Heard(Place.NEWEST, after, counted=True, moments=_moments(before, result, outcome))


def expect_no_more(state: LocalState, now_ms: int) -> LocalState:
    """Nobody asked for a check in so long that the vote says nothing any more, although the region's probers live."""
    moment = f"{datetime.fromtimestamp(state.slot_ms / 1000, UTC):%Y-%m-%d %H:%M:%S} UTC"
    return replace(
        state,
        vote="unknown",
        stale=True,
        error_class=None,
        error=f"not checked since {moment}",
        down_slots=0,
        voted_ms=now_ms,
    )


def _shared(result: CheckResult) -> tuple[str, ...]:
    """The certificate comes first: eleven sites with one expired certificate may well be at one address."""
    certificate, shared = result.certificate, []
    blamed = result.error_class is ErrorClass.TLS or any("certificate" in reason.lower() for reason in result.reasons)
    if certificate is not None and blamed:
        shared.append(f"certificate {certificate.subject or certificate.issuer} ({certificate.not_after_ms})")
    address = result.address or (result.evidence.address if result.evidence else None)
    if address:
        shared.append(f"address {address}")
    return tuple(shared)


def _unknown_error(result: CheckResult, healthy: bool) -> str | None:
    return result.error if healthy else "the prober says it is unhealthy"


def _failed(before: LocalState, config: MonitorConfig, result: CheckResult) -> LocalState:
    fresh, unbroken = _trailing_failures(result)
    failed_tries = fresh + before.failed_tries if unbroken else fresh
    vote: Vote = before.vote
    if failed_tries > config.retries:
        vote = "down"
    return replace(
        before,
        vote=vote,
        failed_tries=failed_tries,
        degraded_run=0,
        failing_since_ms=before.failing_since_ms or result.slot_ms,
        error_class=result.error_class,
        error=result.error,
        shares=_shared(result),
        evidence=before.evidence if before.is_failing and before.evidence else result.evidence,
    )


def _trailing_failures(result: CheckResult) -> tuple[int, bool]:
    """How many tries failed at the end, and whether that is all of them."""
    if not result.tries:
        return max(1, result.attempts), True
    failures = 0
    for each in reversed(result.tries):
        if each.error_class is None:
            return max(1, failures), False
        failures += 1
    return failures, True


def _answered(before: LocalState, result: CheckResult, outcome: str) -> LocalState:
    run = before.degraded_run + 1 if outcome == "degraded" else 0
    slow = outcome == "degraded" and (before.vote in ("degraded", "down") or run >= DEGRADED_IN_A_ROW)
    return replace(
        before,
        vote="degraded" if slow else "up",
        failed_tries=0,
        degraded_run=run,
        failing_since_ms=0,
        answered=True,
        error_class=result.error_class,
        error="; ".join(result.reasons) or result.error if outcome == "degraded" else None,
        shares=_shared(result) if outcome == "degraded" else (),
        evidence=None,
    )


def _moments(before: LocalState, result: CheckResult, outcome: str) -> tuple[str, ...]:
    if outcome == "unknown":
        return ()
    if outcome == "down":
        return ("first_failure",) if before.answered and not before.is_failing else ()
    if before.is_failing:
        return ("first_success",)
    saved_by_retry = any(each.error_class is not None for each in result.tries)
    if not saved_by_retry:
        return ()
    return ("first_failure", "first_success") if before.answered else ("first_success",)
