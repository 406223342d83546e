"""Which monitors fail in which region, and what the other regions say of them: is it the region?"""

from collections.abc import Iterator, Mapping

from farwatch_incidents.rules import regions as region_rules
from farwatch_incidents.rules.config import MonitorConfig
from farwatch_incidents.rules.draft import MonitorState
from farwatch_incidents.rules.regions import RegionState, Step
from farwatch_incidents.rules.suspicion import CLEAR_SAMPLE, WINDOW_MS, count_disputes, decide_suspicion
from farwatch_incidents.rules.votes import LocalState

DISPUTES_JUDGED = 500


class Failing:
    """By region: the monitors that fail there, with the slot at which that began."""

    def __init__(self) -> None:
        self._since: dict[str, dict[int, int]] = {}

    def keep(self, monitor_id: int, region: str, local: LocalState) -> None:
        failing = self._since.setdefault(region, {})
        if local.is_failing:
            failing[monitor_id] = local.failing_since_ms
        else:
            failing.pop(monitor_id, None)

    def forget(self, monitor_id: int) -> None:
        for failing in self._since.values():
            failing.pop(monitor_id, None)

    def judge(
        self,
        regions: Mapping[str, RegionState],
        states: Mapping[int, MonitorState],
        configs: Mapping[int, MonitorConfig],
        now_ms: int,
    ) -> Iterator[tuple[RegionState, Step]]:
        """Regions that begin or cease to be suspect."""
        for region, failing in self._since.items():
            state = regions.get(region)
            if state is None or state.unhealthy or (len(failing) < CLEAR_SAMPLE and state.suspect is None):
                continue
            since_ms = (state.suspect_since_ms if state.suspect else now_ms) - WINDOW_MS
            recent = [monitor_id for monitor_id, began_ms in failing.items() if began_ms >= since_ms]
            disputes = count_disputes(
                _seen_elsewhere(states[each], configs.get(each), region, regions) for each in recent[:DISPUTES_JUDGED]
            )
            suspect = decide_suspicion(disputes, suspect=state.suspect is not None)
            if suspect and state.suspect is None:
                reason = f"Region {region} has no vote: {disputes.sentence}"
                yield state, region_rules.suspected(state, reason, now_ms)
            elif not suspect and state.suspect is not None:
                reason = f"Region {region} votes again: it no longer stands alone with its failures"
                yield state, region_rules.cleared(state, reason, now_ms)


def _seen_elsewhere(
    state: MonitorState, config: MonitorConfig | None, region: str, regions: Mapping[str, RegionState]
) -> tuple[int, int]:
    """How many trusted regions see the monitor up, and failing, at about the same slot. Up counts only if they looked
    since it began to fail here: the first to see an outage would be suspected by all others otherwise."""
    here = state.local[region]
    up = failing = 0
    for other, local in state.local.items():
        other_region = regions.get(other)
        if other == region or config is None or other_region is None or not other_region.may_vote:
            continue
        if local.vote != "unknown" and abs(local.slot_ms - here.slot_ms) <= config.interval_ms:
            failing += local.is_failing
            up += not local.is_failing and local.slot_ms >= here.failing_since_ms
    return up, failing
