"""The ordinary result, which nearly all are: up as before, and nobody says otherwise. It changes no vote, no verdict
and no incident, so what the rules would leave of it is worked out at once, at a tenth of their cost. The same goes for
a skipped slot, of which there are many when there is no time."""

from collections.abc import Mapping
from dataclasses import replace

from farwatch_events.results import CheckResult, ErrorClass
from farwatch_incidents.rules.config import MonitorConfig
from farwatch_incidents.rules.draft import MonitorState
from farwatch_incidents.rules.identity import SCHEDULED_CAPACITY, extend
from farwatch_incidents.rules.regions import RegionState
from farwatch_incidents.rules.votes import UNSEEN, LocalState, is_unmoved


def stay(
    state: MonitorState,
    config: MonitorConfig,
    region: str,
    result: CheckResult,
    regions: tuple[str, ...],
    world: Mapping[str, RegionState],
    *,
    healthy: bool,
) -> LocalState | None:
    """The region's state after a result that changes nothing else: that of `decide_result`, which would tell nothing.
    None where it might; then `decide_result` has to be asked."""
    if result.error_class is ErrorClass.SKIPPED:
        return _pass_over(state.local.get(region, UNSEEN), config, result) if healthy else None
    before = state.local.get(region)
    if before is None or not healthy or not _is_plain(result) or not _follows(before, config, result):
        return None
    if not _is_settled(state) or not _is_unopposed(state, region, regions):
        return None
    here = world.get(region)
    if here is None or not here.may_vote or here.watermark_ms > result.slot_ms + config.expiry_ms:
        return None
    return _renewed(before, config, result)


def _pass_over(before: LocalState, config: MonitorConfig, result: CheckResult) -> LocalState | None:
    if result.kind != "scheduled" or not _is_newest(before, config, result):
        return None
    if not is_unmoved(before, config, result.slot_ms):
        return None
    return replace(before, scheduled=extend(before.scheduled, result.slot_ms, SCHEDULED_CAPACITY))


def _is_plain(result: CheckResult) -> bool:
    """Up at the first try, and nothing to be learned."""
    if result.outcome != "up" or result.kind != "scheduled" or result.error_class is not None:
        return False
    if result.page is not None or result.push is not None:
        return False
    return all(each.error_class is None for each in result.tries)


def _follows(before: LocalState, config: MonitorConfig, result: CheckResult) -> bool:
    """Whether it is the newest, and the vote was up without a failure since."""
    if before.vote != "up" or before.failing_since_ms or not before.slot_ms or before.asked_slot_ms:
        return False
    return _is_newest(before, config, result)


def _is_newest(before: LocalState, config: MonitorConfig, result: CheckResult) -> bool:
    if not config.enabled or config.is_push or result.config_version < config.config_version:
        return False
    return result.slot_ms > before.slot_ms and result.slot_ms > before.scheduled.newest_ms


def _is_settled(state: MonitorState) -> bool:
    return state.verdict == "up" and state.incident is None and not state.is_down and not state.flapping.flag


def _is_unopposed(state: MonitorState, region: str, regions: tuple[str, ...]) -> bool:
    """Nobody else says down or degraded, whether or not it counts: one who says up is enough then."""
    if len(regions) == 1:
        return regions[0] == region
    local = state.local
    return region in regions and all(
        other == region or other not in local or local[other].vote in ("up", "unknown") for other in regions
    )


def _renewed(before: LocalState, config: MonitorConfig, result: CheckResult) -> LocalState:
    slot_ms = result.slot_ms
    return LocalState(
        vote="up",
        voted_ms=before.voted_ms,
        slot_ms=slot_ms,
        config_version=result.config_version,
        attempts=result.attempts,
        answered=True,
        run_since_ms=before.run_since_ms if slot_ms - before.slot_ms <= config.expiry_ms else slot_ms,
        asked_at_ms=before.asked_at_ms,
        deadline_ms=before.deadline_ms,
        run_started_ms=before.run_started_ms,
        run_id=before.run_id,
        unheard=before.unheard,
        guard=before.guard,
        scheduled=extend(before.scheduled, slot_ms, SCHEDULED_CAPACITY),
        confirmation=before.confirmation,
        manual=before.manual,
    )
