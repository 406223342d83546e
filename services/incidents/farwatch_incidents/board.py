"""What one fold knows, in memory: every monitor, every region, the clocks. No I/O: messages and time go in, and what
has to be written comes out as `Changes`."""

from collections.abc import Callable, Iterable
from dataclasses import replace

from farwatch_events.events import DomainEvent, VerdictChanged
from farwatch_events.live import LiveMonitor
from farwatch_events.results import CheckResult, ErrorClass, Heartbeat, ResultBatch
from farwatch_events.subjects import PUSH_REGION
from farwatch_incidents.changes import Changes, Line
from farwatch_incidents.history import DAY_MS, HOUR_MS, history_row
from farwatch_incidents.rules import monitor as rules
from farwatch_incidents.rules import regions as region_rules
from farwatch_incidents.rules.codec import last_check
from farwatch_incidents.rules.config import Maintenance, MonitorConfig, maintenance_of
from farwatch_incidents.rules.deadlines import DueQueue, advance_push_clock
from farwatch_incidents.rules.identity import Place
from farwatch_incidents.rules.incident import MAINTENANCE
from farwatch_incidents.rules.monitor import Around, Decision, MonitorState
from farwatch_incidents.rules.quorum import expires_at
from farwatch_incidents.rules.reasons import lasting
from farwatch_incidents.rules.regions import RegionState
from farwatch_incidents.rules.suspicion import CLEAR_SAMPLE, WINDOW_MS, count_disputes, decide_suspicion
from farwatch_incidents.rules.votes import UNSEEN, LocalState

CONFIRMATION_SHARE = 0.05
CONFIRMATION_BURST = 20.0
REVIEWS_A_STEP = 1000
DISPUTES_JUDGED = 500
FUTURE_MS = DAY_MS


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


class Board:
    """`now_ms` is the JetStream time of the newest message seen, carried on by `tick`; it never runs backwards."""

    def __init__(self, keep_raw_days: int = 7) -> None:
        self.now_ms = 0
        self.push_clock_ms = 0
        self.next_incident_id = 1
        self.configs: dict[int, MonitorConfig] = {}
        self.states: dict[int, MonitorState] = {}
        self.regions: dict[str, RegionState] = {}
        self.enabled_regions: set[str] = set()
        self.windows: tuple[Maintenance, ...] = ()
        self.changes = Changes()
        self._keep_raw_ms = keep_raw_days * DAY_MS
        self._askable = Askable()
        self._regions_of: dict[int, tuple[str, ...]] = {}
        self._review: dict[int, None] = {}
        self._suppressed: set[int] = set()
        self._failing: dict[str, dict[int, int]] = {}
        self._expiry: dict[str, DueQueue] = {}
        self._pushes = DueQueue()
        self._push_seen_ms = 0

    # -- building up -------------------------------------------------------------------------------------------------

    def adopt(self, state: MonitorState) -> None:
        """Takes a stored state as it is."""
        self.states[state.monitor_id] = state
        if state.incident and state.incident.suppressed:
            self._suppressed.add(state.monitor_id)
        for region, local in state.local.items():
            self._keep_indexes(state.monitor_id, region, local)

    def take_changes(self) -> Changes:
        changes, self.changes = self.changes, Changes()
        return changes

    def state_of(self, monitor_id: int) -> MonitorState:
        return self.states.get(monitor_id) or MonitorState(monitor_id, active_since_ms=self.now_ms)

    # -- configuration -----------------------------------------------------------------------------------------------

    def set_config(self, config: MonitorConfig) -> None:
        """A monitor as it is configured now. Pausing and resuming are told by `pause` and `resume`."""
        before = self.configs.get(config.monitor_id)
        if before == config:
            return
        self.configs[config.monitor_id] = config
        self._regions_of.pop(config.monitor_id, None)
        state = self.state_of(config.monitor_id)
        if config.monitor_id not in self.states:
            self.states[config.monitor_id] = state
        if config.is_push and config.enabled:
            self._arm(config, changed=before is not None)
        for region, local in state.local.items():
            self._hasten_expiry(config, region, local)
        if before is not None:
            self._review[config.monitor_id] = None

    def _hasten_expiry(self, config: MonitorConfig, region: str, local: LocalState) -> None:
        if local.slot_ms and not config.is_push:
            queue = self._expiry.setdefault(region, DueQueue())
            queue.hasten(config.monitor_id, region, expires_at(config, local) + 1)

    def pause(self, monitor_id: int) -> None:
        self._end(monitor_id, rules.pause)

    def resume(self, monitor_id: int) -> None:
        self._end(monitor_id, rules.resume)
        config = self.configs.get(monitor_id)
        if config and config.is_push:
            self._arm(config, changed=True)

    def delete(self, monitor_id: int) -> None:
        self._end(monitor_id, rules.delete)
        self.configs.pop(monitor_id, None)
        self._regions_of.pop(monitor_id, None)
        if self.states.pop(monitor_id, None) is not None:
            self.changes.gone_monitors.add(monitor_id)
        self.changes.monitors.discard(monitor_id)
        self.changes.local = {key for key in self.changes.local if key[0] != monitor_id}
        for failing in self._failing.values():
            failing.pop(monitor_id, None)

    def _end(self, monitor_id: int, how: Callable[[MonitorState, MonitorConfig, Around], Decision]) -> None:
        state, config = self.states.get(monitor_id), self.configs.get(monitor_id)
        if state is None or config is None:
            return
        self._apply(how(state, config, self._around(config)))
        for region, local in self.states[monitor_id].local.items():
            self.changes.local.add((monitor_id, region))
            self._keep_indexes(monitor_id, region, local)
        self.changes.monitors.add(monitor_id)

    def set_regions(self, enabled: Iterable[str]) -> None:
        """The regions that monitors without a list of their own are checked from."""
        wanted = set(enabled)
        if wanted == self.enabled_regions:
            return
        for region in self.enabled_regions - wanted:
            if region != PUSH_REGION and self.regions.pop(region, None) is not None:
                self.changes.gone_regions.add(region)
        self.enabled_regions = wanted
        self._regions_of.clear()
        self._review.update(dict.fromkeys(self.states))

    def set_windows(self, windows: Iterable[Maintenance]) -> None:
        self.windows = tuple(windows)

    # -- messages ----------------------------------------------------------------------------------------------------

    def at(self, timestamp_ms: int) -> None:
        self.now_ms = max(self.now_ms, timestamp_ms)

    def hear_heartbeat(self, heartbeat: Heartbeat) -> None:
        region = heartbeat.region
        if region == PUSH_REGION:
            self._run_push_clock()
        before = self.regions.get(region) or RegionState(region, since_ms=self.now_ms)
        self._set_region(before, region_rules.hear_heartbeat(before, heartbeat, self.now_ms))
        self._expire(region)
        if region == PUSH_REGION:
            self._miss_pushes()

    def hear_result(self, region: str, batch: ResultBatch, result: CheckResult) -> None:
        if region == PUSH_REGION:
            self._run_push_clock()
        state = self.regions.get(region)
        if state is None or not state.heard:
            since = RegionState(region, heard=True, last_seen_ms=self.now_ms, since_ms=self.now_ms)
            self._set_region(state or since, (since, ()))
        self._fold(region, result, healthy=batch.healthy)

    def _fold(self, region: str, result: CheckResult, *, healthy: bool) -> None:
        config = self.configs.get(result.monitor_id)
        counts = self.changes.counts
        if config is None or not self.now_ms - self._keep_raw_ms < result.slot_ms < self.now_ms + FUTURE_MS:
            counts.unknown += 1
            return
        before = self.state_of(result.monitor_id)
        decision = rules.decide_result(before, config, region, result, self._around(config), healthy=healthy)
        if decision.place is Place.DROPPED:
            counts.dropped += 1
            return
        counts.folded += 1
        counts.late += decision.place is Place.LATE
        self._apply(decision)
        self._record(config, region, result, decision, healthy=healthy)

    def _record(
        self, config: MonitorConfig, region: str, result: CheckResult, decision: Decision, *, healthy: bool
    ) -> None:
        key = (result.monitor_id, region)
        changes, local = self.changes, decision.state.local[region]
        if config.is_push and decision.place is Place.NEWEST and result.error_class is not ErrorClass.MISSED:
            local = self._set_deadline(config, local, self.push_clock_ms + config.push_period_ms)
        self._keep_indexes(result.monitor_id, region, local)
        if result.kind == "scheduled":
            self._askable.earn(region)
        changes.history.append(history_row(region, result, healthy=healthy))
        changes.days.add(result.slot_ms // DAY_MS)
        if result.slot_ms // HOUR_MS < self.now_ms // HOUR_MS:
            changes.closed_hours.add(result.slot_ms // HOUR_MS)
        changes.local.add(key)
        if decision.place is Place.NEWEST:
            changes.last_checks[key] = last_check(result, region)
        changes.live[result.monitor_id] = (region, result)
        if result.request_id:
            changes.live_checks.append((region, result))

    # -- time --------------------------------------------------------------------------------------------------------

    def tick(self, now_ms: int, observed_ms: int) -> None:
        """Once a second. `observed_ms` passed since the last tick in which messages would have been seen."""
        self.at(now_ms)
        for state in list(self.regions.values()):
            self._set_region(state, region_rules.pass_time(state, observed_ms, self.now_ms))
        self._judge_regions()
        self._end_suppression()
        self.review_some()

    def review_some(self) -> None:
        """A bounded number of the monitors that something around them changed for."""
        for monitor_id in list(self._review)[:REVIEWS_A_STEP]:
            del self._review[monitor_id]
            state, config = self.states.get(monitor_id), self.configs.get(monitor_id)
            if state is not None and config is not None:
                self._apply(rules.review(state, config, self._around(config)))

    @property
    def has_reviews(self) -> bool:
        return bool(self._review)

    def _expire(self, region: str) -> None:
        queue = self._expiry.get(region)
        if queue is None:
            return
        watermark_ms = self.regions[region].watermark_ms
        for monitor_id, _ in queue.pop_due(watermark_ms, self._expiry_moment):
            self._review[monitor_id] = None

    def _expiry_moment(self, monitor_id: int, region: str) -> int | None:
        config, state = self.configs.get(monitor_id), self.states.get(monitor_id)
        local = state.local.get(region) if state else None
        return expires_at(config, local) + 1 if config and local and local.slot_ms else None

    def _judge_regions(self) -> None:
        for region, failing in self._failing.items():
            state = self.regions.get(region)
            if state is None or state.unhealthy or (len(failing) < CLEAR_SAMPLE and state.suspect is None):
                continue
            since_ms = (state.suspect_since_ms if state.suspect else self.now_ms) - WINDOW_MS
            recent = [monitor_id for monitor_id, began_ms in failing.items() if began_ms >= since_ms]
            disputes = count_disputes(self._seen_elsewhere(each, region) for each in recent[:DISPUTES_JUDGED])
            suspect = decide_suspicion(disputes, suspect=state.suspect is not None)
            if suspect and state.suspect is None:
                reason = f"Region {region} has no vote: {disputes.sentence}"
                self._set_region(state, region_rules.suspected(state, reason, self.now_ms))
            elif not suspect and state.suspect is not None:
                reason = f"Region {region} votes again: it no longer stands alone with its failures"
                self._set_region(state, region_rules.cleared(state, reason, self.now_ms))

    def _seen_elsewhere(self, monitor_id: int, region: str) -> tuple[int, int]:
        """How many trusted regions see the monitor up, and failing, at about the same slot."""
        state, config = self.states[monitor_id], self.configs.get(monitor_id)
        here = state.local[region]
        up = failing = 0
        for other, local in state.local.items():
            other_region = self.regions.get(other)
            if other == region or config is None or other_region is None or not other_region.may_vote:
                continue
            if local.vote != "unknown" and abs(local.slot_ms - here.slot_ms) <= config.interval_ms:
                failing += local.is_failing
                up += not local.is_failing
        return up, failing

    def _end_suppression(self) -> None:
        for monitor_id in list(self._suppressed):
            state, config = self.states.get(monitor_id), self.configs.get(monitor_id)
            if state is None or config is None or state.incident is None or state.incident.suppressed is None:
                self._suppressed.discard(monitor_id)
                continue
            self._apply(rules.unsuppress(state, config, self._around(config)))

    # -- push --------------------------------------------------------------------------------------------------------

    def _run_push_clock(self) -> None:
        self.push_clock_ms = advance_push_clock(self.push_clock_ms, self._push_seen_ms, self.now_ms)
        self._push_seen_ms = self.now_ms

    def _arm(self, config: MonitorConfig, *, changed: bool) -> None:
        local = self.state_of(config.monitor_id).local.get(PUSH_REGION, UNSEEN)
        if changed or local.deadline_ms == 0:
            self._set_deadline(config, local, self.push_clock_ms + config.push_period_ms)
        self._pushes.hasten(config.monitor_id, PUSH_REGION, self.push_clock_ms)

    def _set_deadline(self, config: MonitorConfig, local: LocalState, deadline_ms: int) -> LocalState:
        local = replace(local, deadline_ms=deadline_ms)
        state = self.state_of(config.monitor_id)
        self.states[config.monitor_id] = replace(state, local={**state.local, PUSH_REGION: local})
        self.changes.local.add((config.monitor_id, PUSH_REGION))
        self._pushes.watch(config.monitor_id, PUSH_REGION, deadline_ms)
        return local

    def _miss_pushes(self) -> None:
        for monitor_id, _ in self._pushes.pop_due(self.push_clock_ms, self._push_moment):
            config = self.configs[monitor_id]
            local = self.states[monitor_id].local[PUSH_REGION]
            silent_ms = self.push_clock_ms - local.deadline_ms + config.push_period_ms
            self._fold(PUSH_REGION, _missed(config, silent_ms, self.now_ms), healthy=True)
            local = self.states[monitor_id].local[PUSH_REGION]
            self._set_deadline(config, local, max(local.deadline_ms, self.push_clock_ms) + config.interval_ms)

    def _push_moment(self, monitor_id: int, region: str) -> int | None:
        config, state = self.configs.get(monitor_id), self.states.get(monitor_id)
        if config is None or state is None or not config.is_push or not config.enabled:
            return None
        local = state.local.get(region)
        return local.deadline_ms if local and local.deadline_ms else None

    def live_of(self, monitor_id: int, region: str, result: CheckResult | None, *, turned: bool) -> LiveMonitor:
        """What browsers are told of a monitor."""
        state = self.state_of(monitor_id)
        return LiveMonitor(
            monitor_id=monitor_id,
            slot_ms=result.slot_ms if result else 0,
            region=region,
            verdict=state.verdict,
            verdict_changed=turned,
            outcome=result.outcome if result else "up",
            latency_ms=result.latency_ms if result else None,
            incident_id=state.incident.incident_id if state.incident else None,
        )

    # -- commands ----------------------------------------------------------------------------------------------------

    def decide(self, monitor_id: int, how: Callable[[MonitorState, MonitorConfig, Around], Decision]) -> Decision:
        """Applies a decision of a person. The monitor has to exist."""
        config = self.configs[monitor_id]
        decision = how(self.states[monitor_id], config, self._around(config))
        self._apply(decision)
        return decision

    def announce(self, *events: DomainEvent) -> None:
        self.changes.events.extend(events)

    # -- applying ----------------------------------------------------------------------------------------------------

    def _around(self, config: MonitorConfig) -> Around:
        monitor_id = config.monitor_id
        regions = self._regions_of.get(monitor_id)
        if regions is None:
            regions = self._regions_of[monitor_id] = config.regions_among(self.enabled_regions)
        window = maintenance_of(config, self.windows, self.now_ms) if self.windows else None
        suppressed = MAINTENANCE if window else None
        return Around(self.now_ms, self.regions, regions, self._askable, self.next_incident_id, suppressed)

    def _apply(self, decision: Decision) -> None:
        state, changes = decision.state, self.changes
        before = self.states.get(state.monitor_id)
        self.states[state.monitor_id] = state
        if decision.events or before is None or before.flapping is not state.flapping:
            changes.events.extend(decision.events)
            changes.monitors.add(state.monitor_id)
        for region in decision.asked:
            self._askable.spend(region)
            changes.local.add((state.monitor_id, region))
        if decision.incident is not None:
            self._apply_incident(decision)
        if any(isinstance(event, VerdictChanged) for event in decision.events):
            changes.turned.add(state.monitor_id)
            changes.live.setdefault(state.monitor_id, ("", None))

    def _apply_incident(self, decision: Decision) -> None:
        incident = decision.incident
        if incident is None:
            return
        self.changes.incidents[incident.incident_id] = incident
        first = incident.entries - len(decision.entries) + 1
        for number, entry in enumerate(decision.entries):
            self.changes.lines.append(Line(incident.incident_id, first + number, entry))
        self.next_incident_id = max(self.next_incident_id, incident.incident_id + 1)
        if incident.suppressed and incident.state != "resolved":
            self._suppressed.add(incident.monitor_id)

    def _keep_indexes(self, monitor_id: int, region: str, local: LocalState) -> None:
        failing = self._failing.setdefault(region, {})
        if local.is_failing:
            failing[monitor_id] = local.failing_since_ms
        else:
            failing.pop(monitor_id, None)
        config = self.configs.get(monitor_id)
        if config is not None and local.slot_ms and not config.is_push:
            queue = self._expiry.setdefault(region, DueQueue())
            queue.watch(monitor_id, region, expires_at(config, local) + 1)

    def _set_region(self, before: RegionState, step: region_rules.Step) -> None:
        after, events = step
        self.regions[after.region] = after
        self.changes.events.extend(events)
        if events or after.last_seen_ms != before.last_seen_ms or after.heard != before.heard:
            self.changes.regions.add(after.region)
        if after.may_vote != before.may_vote or after.heard != before.heard:
            for monitor_id, config in self.configs.items():
                if after.region in self._around(config).regions:
                    self._review[monitor_id] = None


def _missed(config: MonitorConfig, silent_ms: int, now_ms: int) -> CheckResult:
    return CheckResult(
        monitor_id=config.monitor_id,
        config_version=config.config_version,
        slot_ms=now_ms,
        outcome="down",
        started_ms=now_ms,
        finished_ms=now_ms,
        error_class=ErrorClass.MISSED,
        error=f"no push came for {lasting(silent_ms // 1000)}",
    )
