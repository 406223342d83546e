"""Who is asked to look at once: short of a quorum those who saw the monitor up, and whatever stands before a monitor
that was found down. When, and how often."""

from collections.abc import Container, Iterator, Mapping
from dataclasses import replace

from farwatch_events.events import ConfirmationRequested, DomainEvent, IncidentOpened, IncidentSeverityRaised
from farwatch_incidents.rules.config import MonitorConfig
from farwatch_incidents.rules.draft import Around, Decision, Draft, MonitorState
from farwatch_incidents.rules.quorum import Ballot, Ruling
from farwatch_incidents.rules.reasons import explain_vote
from farwatch_incidents.rules.votes import LocalState

CONFIRMATION_SHARE = 0.05
CONFIRMATION_BURST = 20.0
CONFIRMATION_RESERVE = 20.0
"""Beyond that, for parents alone: a storm that asks about its children must not keep the parent from being seen."""
CONFIRMATION_PATIENCE_MS = 15_000
"""After this and the longest check an unanswered confirmation no longer holds the next one back."""
STEPS_ABOVE = 10
"""Parents, theirs, and so on: as far as alerts are held for them."""


class Askable:
    """Confirmations a region has room for: at most one in twenty of its checks, with a small reserve."""

    def __init__(self) -> None:
        self._room: dict[str, float] = {}

    def __contains__(self, region: object) -> bool:
        return self._room.get(str(region), CONFIRMATION_BURST) >= 1.0

    def has_reserve(self, region: str) -> bool:
        return self._room.get(region, CONFIRMATION_BURST) >= 1.0 - CONFIRMATION_RESERVE

    def earn(self, region: str) -> None:
        room = self._room.get(region, CONFIRMATION_BURST)
        self._room[region] = min(CONFIRMATION_BURST, room + CONFIRMATION_SHARE)

    def spend(self, region: str) -> None:
        self._room[region] = self._room.get(region, CONFIRMATION_BURST) - 1.0


class Reserve(Container[str]):
    """Of the same room, with what is kept for parents."""

    def __init__(self, askable: Askable) -> None:
        self._askable = askable

    def __contains__(self, region: object) -> bool:
        return self._askable.has_reserve(str(region))


def ask_others(draft: Draft, ruling: Ruling, ballots: tuple[Ballot, ...]) -> None:
    """Short of a quorum, each region that voted up is asked for one try at once; again while its tries fail."""
    if ruling.verdict in ("down", "unknown"):
        return
    failed = [b for b in ballots if b.says == "down" and b.local and b.local.down_slots <= 1]
    if not failed:
        return
    failed_slot_ms = max(b.local.slot_ms for b in failed if b.local)
    seen = "; ".join(explain_vote(b.region, b.local) for b in failed if b.local)
    for ballot in ballots:
        local = ballot.local
        if ballot.says not in ("up", "degraded") or local is None or ballot.region not in draft.around.askable:
            continue
        if _needs_asking(local, failed_slot_ms, draft.config, draft.around.now_ms):
            _ask(draft, ballot.region, local, failed_slot_ms, f"{ballot.region} voted up, but {seen}")


def _needs_asking(local: LocalState, failed_slot_ms: int, config: MonitorConfig, now_ms: int) -> bool:
    if local.asked_slot_ms:
        return _ran_out(local, config, now_ms)
    looked_since = local.slot_ms > failed_slot_ms or (local.confirmed and local.slot_ms == failed_slot_ms)
    return local.is_failing or not looked_since


def _ask(
    draft: Draft, region: str, local: LocalState, failed_slot_ms: int, reason: str, *, all_tries: bool = False
) -> None:
    asked = replace(local, asked_slot_ms=failed_slot_ms, asked_at_ms=draft.around.now_ms)
    draft.state = replace(draft.state, local={**draft.state.local, region: asked})
    draft.asked.append(region)
    draft.events.append(
        ConfirmationRequested(
            at_ms=draft.around.now_ms,
            monitor_id=draft.state.monitor_id,
            region=region,
            failed_slot_ms=failed_slot_ms,
            reason=reason,
            all_tries=all_tries,
        )
    )


# -- parents ---------------------------------------------------------------------------------------------------------


def fell_ms(events: tuple[DomainEvent, ...]) -> int:
    """When the check began by which the monitor was found down, if people are to be told of it; 0 if not."""
    for event in events:
        match event:
            case IncidentOpened(severity="down", suppressed=None) | IncidentSeverityRaised(severity="down"):
                return event.failed_ms
    return 0


def find_above(config: MonitorConfig, configs: Mapping[int, MonitorConfig]) -> Iterator[MonitorConfig]:
    """What the monitor stands behind, nearest first, each once; itself never, even if it stands in a circle."""
    seen, level = {config.monitor_id}, [config]
    for _ in range(STEPS_ABOVE):
        ids = dict.fromkeys(parent for each in level for parent in each.parents if parent not in seen)
        seen.update(ids)
        level = [found for parent in ids if (found := configs.get(parent)) is not None]
        yield from level


def may_be_asked(config: MonitorConfig, state: MonitorState) -> bool:
    """Nobody can ask a push monitor or a paused one, and there is no need to where it is down already."""
    return config.enabled and not config.is_push and not state.is_down


def ask_parent(state: MonitorState, config: MonitorConfig, around: Around, child: str, failed_ms: int) -> Decision:
    """A monitor behind this one was found down by a check that began at `failed_ms`. Each region that has not looked
    at this one since is asked for one whole check, unless it was asked already and may still answer."""
    draft = Draft(state, config, around)
    if not may_be_asked(config, state):
        return draft.done()
    for region in around.regions:
        local, there = state.local.get(region), around.world.get(region)
        if local is None or there is None or not there.may_vote or region not in around.askable_first:
            continue
        if _is_behind(local, failed_ms, config, around.now_ms):
            reason = f"{region} has not seen it up since {child}, which stands behind it, failed"
            _ask(draft, region, local, failed_ms, reason, all_tries=True)
    return draft.done()


def _is_behind(local: LocalState, failed_ms: int, config: MonitorConfig, now_ms: int) -> bool:
    if not local.slot_ms or local.vote == "down" or (local.slot_ms >= failed_ms and not local.is_failing):
        return False
    return not local.asked_slot_ms or _ran_out(local, config, now_ms)


def _ran_out(local: LocalState, config: MonitorConfig, now_ms: int) -> bool:
    return now_ms - local.asked_at_ms > config.max_check_ms + CONFIRMATION_PATIENCE_MS
