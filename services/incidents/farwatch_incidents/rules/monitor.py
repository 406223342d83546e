"""One monitor: (state, what happened, now) -> (state', events, timeline). Every path ends in `_conclude`."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Literal

from farwatch_events.events import (
    Cause,
    FlappingEnded,
    FlappingStarted,
    LeadUp,
    RegionVote,
    Severity,
    Verdict,
    VerdictChanged,
    VoteChanged,
)
from farwatch_events.guard import accept
from farwatch_events.results import CheckResult
from farwatch_incidents.rules import incident as incidents
from farwatch_incidents.rules.asking import ask_others
from farwatch_incidents.rules.config import MonitorConfig
from farwatch_incidents.rules.draft import Around, Decision, Draft, MonitorState
from farwatch_incidents.rules.flapping import (
    POSSIBLE_CHANGES,
    Flapping,
    note_change,
    percent_changed,
    reconsider,
)
from farwatch_incidents.rules.identity import Place
from farwatch_incidents.rules.incident import Entry, Finding
from farwatch_incidents.rules.moments import note_moments
from farwatch_incidents.rules.quorum import Ballot, Ruling, as_votes, collect_ballots, decide_verdict
from farwatch_incidents.rules.reasons import explain, explain_vote
from farwatch_incidents.rules.votes import UNSEEN, LocalState, expect_no_more, hear


def decide_result(
    state: MonitorState, config: MonitorConfig, region: str, result: CheckResult, around: Around, *, healthy: bool
) -> Decision:
    """Takes one result of one region in."""
    before = state.local.get(region, UNSEEN)
    heard = hear(before, config, result, healthy=healthy, now_ms=around.now_ms)
    if heard.place is Place.DROPPED:
        return Decision(state, place=heard.place)
    state = replace(state, local={**state.local, region: heard.state})
    if not heard.counted or region not in around.regions:
        return Decision(state, place=heard.place)
    draft = Draft(state, config, around)
    if result.outcome == "down":
        draft.failed_ms = max(result.slot_ms, min(result.started_ms, around.now_ms))
    _note_vote(draft, region, before, heard.state, result)
    _conclude(draft, result)
    note_moments(draft, region, heard, result)
    if state.flapping.flag:
        _end_flapping(draft, result.slot_ms)
    return draft.done(heard.place)


def stop_waiting(state: MonitorState, config: MonitorConfig, around: Around, regions: Sequence[str]) -> Decision:
    """No result came for too long although the regions' probers live: their votes become unknown, with the reason.
    All at once: one after the other, those left over would for a moment be a quorum of themselves."""
    silenced = {region: expect_no_more(state.local[region], around.now_ms) for region in regions}
    draft = Draft(replace(state, local={**state.local, **silenced}), config, around)
    for region, after in silenced.items():
        _note_vote(draft, region, state.local[region], after, None)
    _conclude(draft, None)
    return draft.done()


def accept_content(state: MonitorState) -> MonitorState:
    """What the content guard found to be new is right: from now on it belongs to the page, in every region."""
    local = {region: replace(each, guard=accept(each.guard)) for region, each in state.local.items()}
    return replace(state, local=local)


def review(state: MonitorState, config: MonitorConfig, around: Around) -> Decision:
    """Decides anew without a result: a vote expired, a region fell silent, the configuration changed."""
    draft = Draft(state, config, around)
    if config.enabled:
        _conclude(draft, None)
    return draft.done()


def acknowledge(state: MonitorState, config: MonitorConfig, around: Around, actor: str) -> Decision:
    draft = Draft(state, config, around)
    if state.incident and (life := incidents.acknowledge(state.incident, actor, around.now_ms)):
        draft.happen(life)
    return draft.done()


def note(state: MonitorState, config: MonitorConfig, around: Around, actor: str, text: str) -> Decision:
    draft = Draft(state, config, around)
    if state.incident:
        draft.happen(incidents.note(state.incident, actor, text, around.now_ms))
    return draft.done()


def resolve_by_hand(state: MonitorState, config: MonitorConfig, around: Around, actor: str, text: str = "") -> Decision:
    """Closes the incident and holds: no new one until the monitor was up once."""
    draft = Draft(state, config, around)
    if state.incident:
        reason = f"Resolved by hand: {text}" if text else "Resolved by hand"
        draft.happen(incidents.resolve(state.incident, "manual", reason, around.now_ms, actor))
        draft.state = replace(draft.state, held=state.verdict != "up")
    return draft.done()


def pause(state: MonitorState, config: MonitorConfig, around: Around) -> Decision:
    return _end(state, config, around, "paused", "Paused")


def delete(state: MonitorState, config: MonitorConfig, around: Around) -> Decision:
    return _end(state, config, around, "deleted", "The monitor was deleted")


def resume(state: MonitorState, config: MonitorConfig, around: Around) -> Decision:
    """Begins at pending; what was seen before the pause says nothing."""
    return _end(state, config, around, "paused", "Resumed: waiting for the first result")


def _end(
    state: MonitorState, config: MonitorConfig, around: Around, how: Literal["paused", "deleted"], reason: str
) -> Decision:
    """Closes an incident without a recovery, and forgets the votes but not which results were seen."""
    draft = Draft(state, config, around)
    if state.incident:
        draft.happen(incidents.resolve(state.incident, how, reason, around.now_ms))
    _change_verdict(draft, Ruling("pending", how, is_down=False), reason, (), around.now_ms)
    local = {
        region: LocalState(
            scheduled=each.scheduled, confirmation=each.confirmation, manual=each.manual, guard=each.guard
        )
        for region, each in state.local.items()
    }
    draft.state = replace(draft.state, local=local, is_down=False, held=False, active_since_ms=around.now_ms)
    return draft.done()


def unsuppress(state: MonitorState, config: MonitorConfig, around: Around) -> Decision:
    """Maintenance is over and the incident still open: people are told now."""
    draft = Draft(state, config, around)
    if state.incident and state.incident.suppressed and _suppressed(state, around) is None:
        draft.happen(incidents.unsuppress(state.incident, around.now_ms))
    return draft.done()


def join_group(
    state: MonitorState, config: MonitorConfig, around: Around, group_id: int, by: str, key: str, reason: str
) -> Decision:
    draft = Draft(state, config, around)
    if state.incident:
        draft.happen(incidents.join_group(state.incident, group_id, by, key, reason, around.now_ms))
    return draft.done()


def _suppressed(state: MonitorState, around: Around) -> str | None:
    return around.suppressed or (incidents.FLAPPING if state.flapping.flag else None)


def _note_vote(draft: Draft, region: str, before: LocalState, after: LocalState, result: CheckResult | None) -> None:
    if before.vote == after.vote and before.slot_ms:
        return
    sentence = explain_vote(region, after)
    event = VoteChanged(
        at_ms=draft.around.now_ms,
        monitor_id=draft.state.monitor_id,
        region=region,
        before=before.vote if before.slot_ms else None,
        after=after.vote,
        slot_ms=after.slot_ms,
        reason=sentence,
        error_class=result.error_class if result else None,
        error=result.error if result else after.error,
        attempts=result.attempts if result else 0,
    )
    draft.events.append(event)
    if draft.state.incident:
        draft.entries.append(incidents.vote_entry(event))


def _conclude(draft: Draft, result: CheckResult | None) -> None:
    """The votes decide, the verdict follows, and the incident follows the verdict."""
    state, around = draft.state, draft.around
    ballots = collect_ballots(draft.config, around.regions, state.local, around.world, state.active_since_ms)
    ruling = decide_verdict(ballots, state.verdict, is_down=state.is_down)
    if ruling.verdict != state.verdict or ruling.is_down != state.is_down:
        slot_ms = result.slot_ms if result else max((b.local.slot_ms for b in ballots if b.local), default=0)
        _change_verdict(draft, ruling, explain(ruling, ballots, state.verdict), as_votes(ballots), slot_ms)
    _follow_with_incident(draft, ballots)
    ask_others(draft, ruling, ballots)


def _change_verdict(draft: Draft, ruling: Ruling, reason: str, votes: tuple[RegionVote, ...], slot_ms: int) -> None:
    before, now_ms = draft.state, draft.around.now_ms
    draft.state = replace(before, is_down=ruling.is_down)
    if ruling.verdict == before.verdict:
        return
    draft.state = replace(
        draft.state,
        verdict=ruling.verdict,
        since_ms=now_ms,
        reason=reason,
        rule=ruling.rule,
        votes=votes,
        held=before.held and ruling.verdict != "up",
        flapping=_flap(before, ruling.verdict, slot_ms, draft.config.interval_ms),
    )
    event = VerdictChanged(
        at_ms=now_ms,
        monitor_id=before.monitor_id,
        before=before.verdict,
        after=ruling.verdict,
        slot_ms=slot_ms,
        rule=ruling.rule,
        reason=reason,
        votes=list(votes),
    )
    draft.events.append(event)
    if before.incident and ruling.verdict == "unknown":
        draft.entries.append(Entry(now_ms, "verdict", reason, event=event))
    if draft.state.flapping.flag and not before.flapping.flag:
        percent = percent_changed(draft.state.flapping, slot_ms, draft.config.interval_ms)
        draft.events.append(
            FlappingStarted(
                at_ms=now_ms,
                monitor_id=before.monitor_id,
                percent=round(percent, 1),
                reason=f"Flapping: {percent:.0f}% of the last {POSSIBLE_CHANGES} checks changed the verdict",
            )
        )


def _end_flapping(draft: Draft, slot_ms: int) -> None:
    state, interval_ms = draft.state, draft.config.interval_ms
    flapping = reconsider(state.flapping, slot_ms, interval_ms)
    draft.state = replace(state, flapping=flapping)
    if flapping.flag or not state.flapping.flag:
        return
    percent = percent_changed(flapping, slot_ms, interval_ms)
    draft.events.append(
        FlappingEnded(
            at_ms=draft.around.now_ms,
            monitor_id=state.monitor_id,
            percent=round(percent, 1),
            reason=f"Steady again: {percent:.0f}% of the last {POSSIBLE_CHANGES} checks changed the verdict",
        )
    )


def _flap(before: MonitorState, verdict: Verdict, slot_ms: int, interval_ms: int) -> Flapping:
    """Only changes between confirmed verdicts count: not knowing is no change of the monitor."""
    if before.verdict in ("pending", "unknown") or verdict in ("pending", "unknown"):
        return before.flapping
    return note_change(before.flapping, slot_ms, interval_ms)


def _follow_with_incident(draft: Draft, ballots: tuple[Ballot, ...]) -> None:
    state, now_ms = draft.state, draft.around.now_ms
    if state.verdict == "up" and state.incident:
        draft.happen(incidents.resolve(state.incident, "recovered", state.reason, now_ms))
    elif state.verdict == "down" or state.verdict == "degraded":
        if state.incident is None and not state.held:
            _open(draft, state.verdict, ballots)
        elif state.incident and state.verdict == "down" and state.incident.severity == "degraded":
            draft.happen(incidents.raise_severity(state.incident, _finding(draft, "down", ballots), now_ms))


def _open(draft: Draft, severity: Severity, ballots: tuple[Ballot, ...]) -> None:
    around, state = draft.around, draft.state
    found = replace(_finding(draft, severity, ballots), lead_up=_lead_up(ballots))
    draft.entries.extend(incidents.lead_up_entry(vote) for vote in found.lead_up)
    suppressed = around.suppressed or (incidents.FLAPPING if draft.flapped_before else None)
    life = incidents.open_incident(
        around.next_incident_id, state.monitor_id, draft.config.name, found, suppressed, around.now_ms
    )
    draft.happen(life)


def _lead_up(ballots: tuple[Ballot, ...]) -> tuple[LeadUp, ...]:
    votes = [
        LeadUp(
            at_ms=ballot.local.voted_ms,
            region=ballot.region,
            vote=ballot.local.vote,
            slot_ms=ballot.local.slot_ms,
            sentence=explain_vote(ballot.region, ballot.local),
        )
        for ballot in ballots
        if ballot.local and ballot.says in ("down", "degraded")
    ]
    return tuple(sorted(votes, key=lambda vote: vote.at_ms))


def _finding(draft: Draft, severity: Severity, ballots: tuple[Ballot, ...]) -> Finding:
    bad = [b for b in ballots if b.local and b.says == "down"]
    bad = bad or [b for b in ballots if b.local and b.says == "degraded"]
    first = min((b.local for b in bad if b.local), key=lambda local: local.voted_ms, default=UNSEEN)
    evidence = first.evidence or next((b.local.evidence for b in bad if b.local and b.local.evidence), None)
    return Finding(
        severity=severity,
        reason=draft.state.reason,
        cause=Cause(error_class=first.error_class, error=first.error),
        regions=tuple(ballot.region for ballot in bad),
        votes=as_votes(ballots),
        evidence=evidence,
        failed_ms=draft.failed_ms or max((b.local.slot_ms for b in bad if b.local), default=0),
    )
