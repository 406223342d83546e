"""What one fold knows, in memory: every monitor, every region, the clocks. No I/O: messages and time go in, and what
has to be written comes out as `Changes`."""

from collections.abc import Callable, Iterable
from dataclasses import replace
from functools import partial
from itertools import islice

from farwatch_events.events import DomainEvent, IncidentOpened, VerdictChanged
from farwatch_events.live import LiveMonitor
from farwatch_events.results import CheckResult, ErrorClass, Heartbeat, ResultBatch
from farwatch_events.subjects import PUSH_REGION
from farwatch_incidents.changes import Changes, Line
from farwatch_incidents.disputes import Failing
from farwatch_incidents.expiries import Expiries
from farwatch_incidents.history import DAY_MS, HOUR_MS, history_row
from farwatch_incidents.pushes import Pushes
from farwatch_incidents.rules import monitor as rules
from farwatch_incidents.rules import regions as region_rules
from farwatch_incidents.rules.asking import Askable
from farwatch_incidents.rules.codec import last_check
from farwatch_incidents.rules.config import Maintenance, MonitorConfig, maintenance_of
from farwatch_incidents.rules.content import tell_differences
from farwatch_incidents.rules.draft import Around, Decision, MonitorState
from farwatch_incidents.rules.grouping import Bond, Groups, bonds_of
from farwatch_incidents.rules.identity import Place
from farwatch_incidents.rules.incident import MAINTENANCE, Incident
from farwatch_incidents.rules.pushing import complete, waits_alike
from farwatch_incidents.rules.quorum import expires_at, newest_that_meets
from farwatch_incidents.rules.regions import RegionState
from farwatch_incidents.rules.votes import UNSEEN, LocalState

REVIEWS_A_STEP = 1000
FUTURE_MS = DAY_MS


class Board:
    """`now_ms` is the JetStream time of the newest message seen, carried on by `tick`; it never runs backwards."""

    def __init__(self, keep_raw_days: int = 7) -> None:
        self.now_ms = 0
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
        self._failing = Failing()
        self._expiries = Expiries()
        self._groups = Groups()
        self.pushes = Pushes()

    # -- building up -------------------------------------------------------------------------------------------------

    def adopt(self, state: MonitorState) -> None:
        """Takes a stored state as it is."""
        self.states[state.monitor_id] = state
        if state.incident and state.incident.suppressed:
            self._suppressed.add(state.monitor_id)
        if state.incident:
            self._groups.opened(state.incident, _bonds(state, state.incident))
        for region, local in state.local.items():
            self._failing.keep(state.monitor_id, region, local)

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
            self._arm(config, changed=before is not None and not waits_alike(before, config))
        for region, local in state.local.items():
            self._expiries.hasten(config, region, local)
        if before is not None:
            self._review[config.monitor_id] = None

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
        self._failing.forget(monitor_id)

    def accept_content(self, monitor_id: int) -> None:
        """Takes effect with the next result."""
        if (state := self.states.get(monitor_id)) is not None:
            self.states[monitor_id] = rules.accept_content(state)
            self.changes.local.update((monitor_id, region) for region in state.local)

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
        self.review_all()

    def set_windows(self, windows: Iterable[Maintenance]) -> None:
        self.windows = tuple(windows)

    # -- messages ----------------------------------------------------------------------------------------------------

    def at(self, timestamp_ms: int) -> None:
        self.now_ms = max(self.now_ms, timestamp_ms)

    def hear_heartbeat(self, heartbeat: Heartbeat) -> None:
        region = heartbeat.region
        if region == PUSH_REGION:
            self._run_pushes(heartbeat.started_ms)
        before = self.regions.get(region) or RegionState(region, since_ms=self.now_ms)
        self._set_region(before, region_rules.hear_heartbeat(before, heartbeat, self.now_ms))
        for monitor_id in self._expiries.passed(region, self.regions[region].watermark_ms, self._expiry_moment):
            self._review[monitor_id] = None
        if region == PUSH_REGION:
            self._miss_pushes()

    def hear_result(self, region: str, batch: ResultBatch, result: CheckResult) -> None:
        if region == PUSH_REGION:
            self._run_pushes()
        state = self.regions.get(region)
        if state is None or not state.heard:
            since = RegionState(region, heard=True, last_seen_ms=self.now_ms, since_ms=self.now_ms)
            self._set_region(state or since, (since, ()))
        if result.push is not None and result.push.signal == "start":
            self._begin_run(result)
        else:
            self._fold(region, result, healthy=batch.healthy)

    def _fold(self, region: str, result: CheckResult, *, healthy: bool) -> None:
        config = self.configs.get(result.monitor_id)
        counts = self.changes.counts
        if config is None or not self.now_ms - self._keep_raw_ms < result.slot_ms < self.now_ms + FUTURE_MS:
            counts.unknown += 1
            return
        before = self.state_of(result.monitor_id)
        if config.is_push and result.error_class is not ErrorClass.MISSED:
            result = complete(config, before.local.get(region, UNSEEN), result)
        if result.page is not None:
            result = tell_differences(before.local.get(region, UNSEEN).guard, result)
        decision = rules.decide_result(before, config, region, result, self._around(config), healthy=healthy)
        if decision.place is Place.DROPPED:
            counts.dropped += 1
            return
        counts.folded += 1
        counts.late += decision.place is Place.LATE
        first = len(self.changes.events)
        self._apply(decision)
        self.changes.blame(first, f"result:{result.monitor_id}/{region}/{result.slot_ms}/{result.kind}")
        self._record(config, region, result, decision, healthy=healthy)

    def _record(
        self, config: MonitorConfig, region: str, result: CheckResult, decision: Decision, *, healthy: bool
    ) -> None:
        key = (result.monitor_id, region)
        changes, local = self.changes, decision.state.local[region]
        if config.is_push and decision.place is Place.NEWEST and result.error_class is not ErrorClass.MISSED:
            local = self._set_push(config, self.pushes.finish(config, local, result, self.now_ms))
        self._keep_indexes(result.monitor_id, region, local)
        if result.kind == "scheduled":
            self._askable.earn(region)
        changes.history.append(history_row(region, result, healthy=healthy))
        changes.days.add(result.slot_ms // DAY_MS)
        if result.slot_ms // HOUR_MS < self.now_ms // HOUR_MS:
            changes.closed_hours.add(result.slot_ms // HOUR_MS)
        changes.local.add(key)
        if decision.place is Place.NEWEST:
            changes.last_checks[key] = last_check(result, region, local.guard)
        changes.live[result.monitor_id] = (region, result)
        if result.request_id:
            changes.live_checks.append((region, result))

    # -- time --------------------------------------------------------------------------------------------------------

    def tick(self, now_ms: int, observed_ms: int) -> None:
        """Once a second. `observed_ms` passed since the last tick in which messages would have been seen."""
        self.at(now_ms)
        for state in list(self.regions.values()):
            self._set_region(state, region_rules.pass_time(state, observed_ms, self.now_ms))
        for region, step in list(self._failing.judge(self.regions, self.states, self.configs, self.now_ms)):
            self._set_region(region, step)
        self._expiries.pass_time(self.now_ms, watching=observed_ms > 0)
        self._stop_waiting()
        self._end_suppression()
        self.review_some()

    def review_all(self) -> None:
        """Also after a start: what was still to be reviewed was not stored."""
        self._review.update(dict.fromkeys(self.states))

    def review_some(self) -> None:
        """A bounded number of the monitors that something around them changed for."""
        for monitor_id in list(islice(self._review, REVIEWS_A_STEP)):
            del self._review[monitor_id]
            state, config = self.states.get(monitor_id), self.configs.get(monitor_id)
            if state is None or config is None:
                continue
            if self._expiries.is_watching(self.now_ms) and self._end_stale_votes(monitor_id):
                continue  # a region that returns would decide with its old votes, alone if nobody else was asked
            self._apply(rules.review(state, config, self._around(config)))

    @property
    def has_reviews(self) -> bool:
        return bool(self._review)

    def _expiry_moment(self, monitor_id: int, region: str) -> int | None:
        config, local = self._local(monitor_id, region)
        return expires_at(config, local) + 1 if config and local and local.slot_ms else None

    def _stale_moment(self, monitor_id: int, region: str) -> int | None:
        """None where nothing is waited for: paused, no vote to lose, not asked from there, a push."""
        config, local = self._local(monitor_id, region)
        if config is None or config.is_push or not config.enabled:
            return None
        if local is None or not local.slot_ms or local.vote == "unknown":
            return None
        own_ms = self._expiries.stale_at(config, local.slot_ms)
        if own_ms > self.now_ms:
            return own_ms
        return self._expiries.stale_at(config, newest_that_meets(config, local.slot_ms, self._votes_of(config)))

    def _local(self, monitor_id: int, region: str) -> tuple[MonitorConfig | None, LocalState | None]:
        state = self.states.get(monitor_id)
        return self.configs.get(monitor_id), state.local.get(region) if state else None

    def _votes_of(self, config: MonitorConfig) -> list[LocalState]:
        """Of the regions it is checked from and that live."""
        local = self.states[config.monitor_id].local
        return [local[each] for each in self._around(config).regions if each in local and self._is_live(each)]

    def _stop_waiting(self) -> None:
        """Votes of living regions that no newer result came for: nobody asks for checks any more."""
        due = self._expiries.stale(self.now_ms, self._stale_moment)
        for monitor_id in dict.fromkeys(monitor_id for monitor_id, _ in due):
            self._end_stale_votes(monitor_id)
        for monitor_id, region in due:
            local = self.states[monitor_id].local[region]
            if local.vote != "unknown":  # of a silent region, which is not to be told of every monitor
                self._expiries.watch(self.configs[monitor_id], region, replace(local, slot_ms=self.now_ms))

    def _end_stale_votes(self, monitor_id: int) -> bool:
        """Whether there were any. All of the monitor's, whether or not the queue has come to each."""
        config, state = self.configs[monitor_id], self.states[monitor_id]
        around = self._around(config)
        stale = [each for each in around.regions if self._is_live(each) and self._is_stale(monitor_id, each)]
        if stale:
            self._apply(rules.stop_waiting(state, config, stale, around))
        for region in stale:
            self.changes.local.add((monitor_id, region))
            self._failing.keep(monitor_id, region, self.states[monitor_id].local[region])
        return bool(stale)

    def _is_stale(self, monitor_id: int, region: str) -> bool:
        moment_ms = self._stale_moment(monitor_id, region)
        return moment_ms is not None and moment_ms <= self.now_ms

    def _is_live(self, region: str) -> bool:
        state = self.regions.get(region)
        return state is not None and state.is_live

    def _end_suppression(self) -> None:
        for monitor_id in list(self._suppressed):
            state, config = self.states.get(monitor_id), self.configs.get(monitor_id)
            if state is None or config is None or state.incident is None or state.incident.suppressed is None:
                self._suppressed.discard(monitor_id)
                continue
            self._apply(rules.unsuppress(state, config, self._around(config)))

    # -- push --------------------------------------------------------------------------------------------------------

    def _run_pushes(self, started_ms: int = 0) -> None:
        dark_from_ms = self.pushes.run(self.now_ms, started_ms)
        if dark_from_ms is None:
            return
        for config in [each for each in self.configs.values() if each.is_push and each.enabled]:
            local = self.state_of(config.monitor_id).local.get(PUSH_REGION, UNSEEN)
            if local.deadline_ms:
                self._set_push(config, self.pushes.forgive(config, local, dark_from_ms, self.now_ms))

    def _begin_run(self, call: CheckResult) -> None:
        """A start that comes after the end of its run, or of a paused monitor, starts nothing."""
        config = self.configs.get(call.monitor_id)
        if config is None or not config.is_push or not config.enabled:
            return
        local = self.state_of(call.monitor_id).local.get(PUSH_REGION, UNSEEN)
        if call.slot_ms > max(local.slot_ms, local.run_started_ms):
            self._set_push(config, self.pushes.begin(config, local, call))

    def _arm(self, config: MonitorConfig, *, changed: bool) -> None:
        local = self.state_of(config.monitor_id).local.get(PUSH_REGION, UNSEEN)
        if changed or local.deadline_ms == 0:
            self._set_push(config, self.pushes.expect(config, local, self.now_ms))
        self.pushes.hasten(config.monitor_id)

    def _set_push(self, config: MonitorConfig, local: LocalState) -> LocalState:
        state = self.state_of(config.monitor_id)
        self.states[config.monitor_id] = replace(state, local={**state.local, PUSH_REGION: local})
        self.changes.local.add((config.monitor_id, PUSH_REGION))
        return local

    def _miss_pushes(self) -> None:
        for monitor_id in self.pushes.missed(self._push_moment):
            config, local = self.configs[monitor_id], self.states[monitor_id].local[PUSH_REGION]
            self._fold(PUSH_REGION, self.pushes.miss(config, local, self.now_ms), healthy=True)
            local = self.states[monitor_id].local[PUSH_REGION]
            self._set_push(config, self.pushes.expect_after_miss(config, local, self.now_ms))

    def _push_moment(self, monitor_id: int, _: str) -> int | None:
        config, local = self._local(monitor_id, PUSH_REGION)
        if config is None or local is None or not config.is_push or not config.enabled:
            return None
        return local.deadline_ms or None

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
        if incident.state == "resolved":
            self._groups.closed(incident.incident_id)
        elif any(isinstance(entry.event, IncidentOpened) for entry in decision.entries):
            self._group(decision.state, incident)

    def _group(self, state: MonitorState, incident: Incident) -> None:
        """Puts an incident that has just opened to those that broke with it."""
        self._groups.opened(incident, _bonds(state, incident))
        found = self._groups.find(incident.incident_id)
        if found is None:
            return
        bond = found.bond
        join = partial(rules.join_group, group_id=found.group_id, by=bond.by, key=bond.key, reason=found.reason)
        if found.founder is not None:
            self.decide(found.founder, join)
            self._groups.joined(found.first, found.group_id)
        self.decide(incident.monitor_id, join)
        self._groups.joined(incident.incident_id, found.group_id)

    def _keep_indexes(self, monitor_id: int, region: str, local: LocalState) -> None:
        self._failing.keep(monitor_id, region, local)
        config = self.configs.get(monitor_id)
        if config is not None:
            self._expiries.watch(config, region, local)

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


def _bonds(state: MonitorState, incident: Incident) -> tuple[Bond, ...]:
    return bonds_of(incident, [local for region in incident.regions if (local := state.local.get(region))])
