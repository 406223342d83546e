"""From the regions' votes to one verdict."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

from farwatch_events.events import RegionVote, Verdict, Vote
from farwatch_incidents.rules.config import MonitorConfig
from farwatch_incidents.rules.regions import RegionState
from farwatch_incidents.rules.votes import LocalState

MINORITY_SLOTS = 2
"""A minority has to see the monitor down for so many slots before it is degraded "from there only"."""


@dataclass(frozen=True, slots=True)
class Ballot:
    """A region in the vote. `counted` makes it a voter; `says` is None while it is a voter whose answer is awaited
    or too old to meet the others'. `why_not` says why it is no voter, or why it says nothing; `ran_out` is a vote
    that no newer one followed."""

    region: str
    local: LocalState | None
    counted: bool
    says: Vote | None = None
    why_not: str | None = None
    ran_out: bool = False


@dataclass(frozen=True, slots=True)
class Ruling:
    """`rule` names the rule that decided, with its numbers. `is_down` stays set until the quorum says up."""

    verdict: Verdict
    rule: str
    is_down: bool


def collect_ballots(
    config: MonitorConfig,
    regions: tuple[str, ...],
    local_states: Mapping[str, LocalState],
    world: Mapping[str, RegionState],
    active_since_ms: int,
) -> tuple[Ballot, ...]:
    """One ballot a region of the monitor. `active_since_ms` is when the monitor began to be checked: until a region
    had its chance since then, its first answer is awaited."""
    drafts = [
        _draft(config, region, local_states.get(region), world.get(region), active_since_ms) for region in regions
    ]
    drafts = _await_those_behind(config, drafts, world)
    newest_ms = max((d.local.slot_ms for d in drafts if d.says is not None and d.local is not None), default=0)
    return tuple(_meet(draft, newest_ms - config.interval_ms) for draft in drafts)


def _await_those_behind(config: MonitorConfig, drafts: list[Ballot], world: Mapping[str, RegionState]) -> list[Ballot]:
    """When checks begin again after a time in which nobody asked for any, the first region that answers would be the
    only voter: those whose vote ran out meanwhile are waited for until they had their chance."""
    resumed_ms = min((d.local.run_since_ms for d in drafts if d.says is not None and d.local), default=None)
    if resumed_ms is None or config.is_push:
        return drafts
    return [
        replace(draft, counted=True)
        if draft.ran_out and world[draft.region].watermark_ms <= resumed_ms + config.expiry_ms
        else draft
        for draft in drafts
    ]


def _draft(
    config: MonitorConfig, region: str, local: LocalState | None, state: RegionState | None, active_since_ms: int
) -> Ballot:
    if state is None or not state.heard:
        return Ballot(region, local, counted=False, why_not="no prober has reported yet")
    if state.silent:
        return Ballot(region, local, counted=False, why_not="silent")
    if state.suspect is not None:
        return Ballot(region, local, counted=False, why_not="suspect")
    if local is None or local.slot_ms == 0:
        awaited = config.is_push or state.watermark_ms <= active_since_ms + config.expiry_ms
        return Ballot(region, local, counted=awaited, why_not="no result yet")
    if is_expired(config, local, state):
        return Ballot(region, local, counted=False, why_not="its last result is too old", ran_out=True)
    if local.vote == "unknown":
        return Ballot(region, local, counted=False, why_not=local.error or "undecided", ran_out=local.stale)
    return Ballot(region, local, counted=True, says=local.vote)


def is_expired(config: MonitorConfig, local: LocalState, state: RegionState) -> bool:
    return not config.is_push and state.watermark_ms > expires_at(config, local)


def expires_at(config: MonitorConfig, local: LocalState) -> int:
    """The region's watermark beyond which the vote no longer counts."""
    return local.slot_ms + config.expiry_ms


def newest_that_meets(config: MonitorConfig, slot_ms: int, local_states: Iterable[LocalState]) -> int:
    """The newest slot of those votes that decide together with the one of `slot_ms`, straight or through others. They
    run out together: a minority whose last slot came one later would be the quorum otherwise."""
    for other_ms in sorted(each.slot_ms for each in local_states if each.vote != "unknown"):
        if slot_ms < other_ms <= slot_ms + config.interval_ms:
            slot_ms = other_ms
    return slot_ms


def _meet(ballot: Ballot, oldest_ms: int) -> Ballot:
    """Results more than an interval apart do not decide together. The older region stays a voter that is waited for,
    so that the newer one alone never makes a quorum."""
    if ballot.says is None or ballot.local is None or ballot.local.slot_ms >= oldest_ms:
        return ballot
    return Ballot(ballot.region, ballot.local, counted=True, why_not="older than the others' results")


def quorum_of(voters: int) -> int:
    """All of one or two, more than half of more."""
    return voters if voters <= 2 else voters // 2 + 1


def decide_verdict(ballots: tuple[Ballot, ...], current: Verdict, *, is_down: bool) -> Ruling:
    voters = sum(ballot.counted for ballot in ballots)
    needed = quorum_of(voters)
    down = sum(ballot.says == "down" for ballot in ballots)
    degraded = sum(ballot.says == "degraded" for ballot in ballots)
    answered = degraded + sum(ballot.says == "up" for ballot in ballots)
    if voters == 0:
        never = current == "pending" and all(b.local is None or b.local.slot_ms == 0 for b in ballots)
        return Ruling("pending" if never else "unknown", "no voters", is_down)
    if down >= needed:
        return Ruling("down", f"{down} of {voters} voters down, {needed} needed", is_down=True)
    if is_down and answered < needed:
        verdict = "down" if down else current
        return Ruling(verdict, f"{answered} of {voters} voters up again, {needed} needed", is_down=True)
    if answered == 0:
        return Ruling(current, "awaiting other regions", is_down)
    if any(b.says == "down" and b.local and b.local.down_slots >= MINORITY_SLOTS for b in ballots):
        return Ruling("degraded", f"{down} of {voters} voters down for {MINORITY_SLOTS} slots", is_down=False)
    if degraded and down + degraded >= needed:
        return Ruling("degraded", f"{degraded} of {voters} voters degraded, {needed} needed", is_down=False)
    return Ruling("up", f"{answered} of {voters} voters up", is_down=False)


def as_votes(ballots: tuple[Ballot, ...]) -> tuple[RegionVote, ...]:
    """What is stored with a verdict: every region, counted or not."""
    return tuple(
        RegionVote(
            region=ballot.region,
            vote=ballot.local.vote if ballot.local else "unknown",
            slot_ms=ballot.local.slot_ms if ballot.local else 0,
            counted=ballot.says is not None,
            why_not=ballot.why_not,
            error_class=ballot.local.error_class if ballot.local else None,
            error=ballot.local.error if ballot.local else None,
        )
        for ballot in ballots
    )
