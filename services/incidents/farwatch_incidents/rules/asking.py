"""Short of a quorum, those who saw the monitor up are asked to look at once: when, and how often."""

from dataclasses import replace

from farwatch_events.events import ConfirmationRequested
from farwatch_incidents.rules.config import MonitorConfig
from farwatch_incidents.rules.draft import Draft
from farwatch_incidents.rules.quorum import Ballot, Ruling
from farwatch_incidents.rules.reasons import explain_vote
from farwatch_incidents.rules.votes import LocalState

CONFIRMATION_SHARE = 0.05
CONFIRMATION_BURST = 20.0
CONFIRMATION_PATIENCE_MS = 15_000
"""After this and the longest check an unanswered confirmation no longer holds the next one back."""


class Askable:
    """Confirmations a region has room for: at most one in twenty of its checks, with a small reserve."""

    def __init__(self) -> None:
        self._room: dict[str, float] = {}

    def __contains__(self, region: object) -> bool:
        return self._room.get(str(region), CONFIRMATION_BURST) >= 1.0

    def earn(self, region: str) -> None:
        room = self._room.get(region, CONFIRMATION_BURST)
        self._room[region] = min(CONFIRMATION_BURST, room + CONFIRMATION_SHARE)

    def spend(self, region: str) -> None:
        self._room[region] = self._room.get(region, CONFIRMATION_BURST) - 1.0


def ask_others(draft: Draft, ruling: Ruling, ballots: tuple[Ballot, ...]) -> None:
    """Short of a quorum, each region that voted up is asked for one try at once; again while its tries fail."""
    if ruling.verdict in ("down", "unknown"):
        return
    failed = [b for b in ballots if b.says == "down" and b.local and b.local.down_slots <= 1]
    if not failed:
        return
    failed_slot_ms = max(b.local.slot_ms for b in failed if b.local)
    for ballot in ballots:
        local = ballot.local
        if ballot.says not in ("up", "degraded") or local is None or ballot.region not in draft.around.askable:
            continue
        if _needs_asking(local, failed_slot_ms, draft.config, draft.around.now_ms):
            _ask(draft, ballot.region, local, failed_slot_ms, failed)


def _needs_asking(local: LocalState, failed_slot_ms: int, config: MonitorConfig, now_ms: int) -> bool:
    if local.asked_slot_ms:
        return now_ms - local.asked_at_ms > config.max_check_ms + CONFIRMATION_PATIENCE_MS
    looked_since = local.slot_ms > failed_slot_ms or (local.confirmed and local.slot_ms == failed_slot_ms)
    return local.is_failing or not looked_since


def _ask(draft: Draft, region: str, local: LocalState, failed_slot_ms: int, failed: list[Ballot]) -> None:
    asked = replace(local, asked_slot_ms=failed_slot_ms, asked_at_ms=draft.around.now_ms)
    draft.state = replace(draft.state, local={**draft.state.local, region: asked})
    draft.asked.append(region)
    draft.events.append(
        ConfirmationRequested(
            at_ms=draft.around.now_ms,
            monitor_id=draft.state.monitor_id,
            region=region,
            failed_slot_ms=failed_slot_ms,
            reason=f"{region} voted up, but {'; '.join(explain_vote(b.region, b.local) for b in failed if b.local)}",
        )
    )
