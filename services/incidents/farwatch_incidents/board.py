"""What one fold knows and does: messages and time go in, and what has to be written comes out as `Changes`. No I/O."""

from collections.abc import Iterable

from farwatch_events.live import LiveMonitor
from farwatch_events.results import CheckResult, ErrorClass, Heartbeat, ResultBatch
from farwatch_events.subjects import PUSH_REGION
from farwatch_incidents.expiries import Expiries
from farwatch_incidents.history import DAY_MS, HOUR_MS, history_row
from farwatch_incidents.ledger import Decide, Ledger
from farwatch_incidents.push_watch import PushWatch
from farwatch_incidents.pushes import Pushes
from farwatch_incidents.reviews import Reviews
from farwatch_incidents.rules import monitor as rules
from farwatch_incidents.rules import regions as region_rules
from farwatch_incidents.rules.codec import last_check
from farwatch_incidents.rules.config import Maintenance, MonitorConfig
from farwatch_incidents.rules.content import tell_differences
from farwatch_incidents.rules.identity import Place
from farwatch_incidents.rules.pushing import complete, waits_alike
from farwatch_incidents.rules.regions import RegionState
from farwatch_incidents.rules.steady import stay
from farwatch_incidents.rules.votes import UNSEEN, LocalState

FUTURE_MS = DAY_MS


class Board(Ledger):
    def __init__(self, keep_raw_days: int = 7) -> None:
        super().__init__()
        self._keep_raw_ms = keep_raw_days * DAY_MS
        self._expiries = Expiries(self)
        self._reviews = Reviews(self, self._expiries)
        self._push = PushWatch(self)

    @property
    def pushes(self) -> Pushes:
        return self._push.pushes

    def go_on(self, now_ms: int, push_clock_ms: int = 0, dark: Iterable[tuple[int, int]] = ()) -> None:
        """As the fold before left it at `now_ms`. `dark` are times before that in which there was no Farwatch."""
        self.now_ms = now_ms
        self.pushes.go_on(push_clock_ms, now_ms)
        self._expiries.absences.go_on(now_ms, list(dark))

    # -- configuration -----------------------------------------------------------------------------------------------

    def set_config(self, config: MonitorConfig) -> None:
        """A monitor as it is configured now. Pausing and resuming are told by `pause` and `resume`."""
        before = self.configs.get(config.monitor_id)
        if before == config:
            return
        self.set_monitor(config)
        if config.is_push and config.enabled:
            self._push.arm(config, changed=before is not None and not waits_alike(before, config))
        for region, local in self.states[config.monitor_id].local.items():
            self._expiries.hasten(config, region, local)
        if before is not None:
            self._reviews.ask([config.monitor_id])

    def pause(self, monitor_id: int) -> None:
        self._end(monitor_id, rules.pause)

    def resume(self, monitor_id: int) -> None:
        self._end(monitor_id, rules.resume)
        config = self.configs.get(monitor_id)
        if config and config.is_push:
            self._push.arm(config, changed=True)

    def delete(self, monitor_id: int) -> None:
        self._end(monitor_id, rules.delete)
        self.forget_monitor(monitor_id)

    def accept_content(self, monitor_id: int) -> None:
        """Takes effect with the next result."""
        if (state := self.states.get(monitor_id)) is not None:
            self.states[monitor_id] = rules.accept_content(state)
            self.changes.local.update((monitor_id, region) for region in state.local)

    def _end(self, monitor_id: int, how: Decide) -> None:
        if monitor_id not in self.states or monitor_id not in self.configs:
            return
        self.decide(monitor_id, how)
        for region, local in self.states[monitor_id].local.items():
            self.changes.local.add((monitor_id, region))
            self._keep_indexes(self.configs[monitor_id], region, local)
        self.changes.monitors.add(monitor_id)

    def set_regions(self, enabled: Iterable[str]) -> None:
        """The regions that monitors without a list of their own are checked from."""
        wanted = set(enabled)
        if wanted == self.enabled_regions:
            return
        for region in self.enabled_regions - wanted:
            if region != PUSH_REGION and self.regions.pop(region, None) is not None:
                self.changes.gone_regions.add(region)
        self.enable_regions(wanted)
        self.review_all()

    def set_windows(self, windows: Iterable[Maintenance]) -> None:
        self.windows = tuple(windows)

    # -- messages ----------------------------------------------------------------------------------------------------

    def hear_heartbeat(self, heartbeat: Heartbeat) -> None:
        region = heartbeat.region
        if region == PUSH_REGION:
            self._push.run(heartbeat)
        before = self.regions.get(region) or RegionState(region, since_ms=self.now_ms)
        self._set_region(before, region_rules.hear_heartbeat(before, heartbeat, self.now_ms))
        self._reviews.ask(self._expiries.passed(region))
        if region == PUSH_REGION:
            for missed in self._push.missed():
                self._fold(PUSH_REGION, missed, healthy=True)
                self._push.after_miss(missed.monitor_id)

    def hear_result(self, region: str, batch: ResultBatch, result: CheckResult) -> None:
        if region == PUSH_REGION:
            self._push.run()
        state = self.regions.get(region)
        if state is None or not state.heard:
            since = RegionState(region, heard=True, last_seen_ms=self.now_ms, since_ms=self.now_ms)
            self._set_region(state or since, (since, ()))
        if result.push is not None and result.push.signal == "start":
            self._push.begin_run(result)
        else:
            self._fold(region, result, healthy=batch.healthy)

    def _fold(self, region: str, result: CheckResult, *, healthy: bool) -> None:
        config = self.configs.get(result.monitor_id)
        counts = self.changes.counts
        if config is None or not self.now_ms - self._keep_raw_ms < result.slot_ms < self.now_ms + FUTURE_MS:
            counts.unknown += 1
            return
        local = stay(
            self.states[result.monitor_id],
            config,
            region,
            result,
            self.regions_of(config),
            self.regions,
            healthy=healthy,
        )
        if local is None:
            self._decide_result(config, region, result, healthy=healthy)
            return
        self.put(result.monitor_id, region, local)
        self._expiries.watch(config, region, local)
        self._record(region, result, local, healthy=healthy, newest=True)

    def _decide_result(self, config: MonitorConfig, region: str, result: CheckResult, *, healthy: bool) -> None:
        before, counts = self.states[result.monitor_id], self.changes.counts
        is_call = config.is_push and result.error_class is not ErrorClass.MISSED
        if is_call:
            result = complete(config, before.local.get(region, UNSEEN), result)
        if result.page is not None:
            result = tell_differences(before.local.get(region, UNSEEN).guard, result)
        decision = rules.decide_result(before, config, region, result, self.around(config), healthy=healthy)
        if decision.place is Place.DROPPED:
            counts.dropped += 1
            return
        counts.late += decision.place is Place.LATE
        first = len(self.changes.events)
        self.apply(decision)
        self.changes.blame(first, f"result:{result.monitor_id}/{region}/{result.slot_ms}/{result.kind}")
        newest, local = decision.place is Place.NEWEST, decision.state.local[region]
        if is_call and newest:
            local = self._push.finish(config, result)
        self.changes.local.add((result.monitor_id, region))
        self._keep_indexes(config, region, local)
        self._record(region, result, local, healthy=healthy, newest=newest)

    def _record(self, region: str, result: CheckResult, local: LocalState, *, healthy: bool, newest: bool) -> None:
        changes = self.changes
        changes.counts.folded += 1
        if result.kind == "scheduled":
            self.askable.earn(region)
            changes.counts.answered[region] += 1
            changes.counts.skipped[region] += result.error_class is ErrorClass.SKIPPED
        changes.history.append(history_row(region, result, healthy=healthy))
        changes.days.add(result.slot_ms // DAY_MS)
        if result.slot_ms // HOUR_MS < self.now_ms // HOUR_MS:
            changes.closed_hours.add(result.slot_ms // HOUR_MS)
        if newest:
            changes.last_checks[result.monitor_id, region] = last_check(result, region, local.guard)
        changes.live[result.monitor_id] = (region, result)
        if result.request_id:
            changes.live_checks.append((region, result))

    def _keep_indexes(self, config: MonitorConfig, region: str, local: LocalState) -> None:
        self.failing.keep(config.monitor_id, region, local)
        self._expiries.watch(config, region, local)

    # -- time --------------------------------------------------------------------------------------------------------

    def tick(self, now_ms: int, observed_ms: int) -> None:
        """Once a second. `observed_ms` passed since the last tick in which messages would have been seen."""
        self.at(now_ms)
        for state in list(self.regions.values()):
            self._set_region(state, region_rules.pass_time(state, observed_ms, self.now_ms))
        for region, step in list(self.failing.judge(self.regions, self.states, self.configs, self.now_ms)):
            self._set_region(region, step)
        self._expiries.pass_time(watching=observed_ms > 0)
        self._reviews.end_suppression()
        self._reviews.take_some()

    def review_all(self) -> None:
        """Also after a start: what was still to be reviewed was not stored."""
        self._reviews.ask(self.states)

    def review_some(self) -> None:
        self._reviews.take_some()

    @property
    def has_reviews(self) -> bool:
        return bool(self._reviews)

    def _set_region(self, before: RegionState, step: region_rules.Step) -> None:
        after, events = step
        self.regions[after.region] = after
        self.changes.events.extend(events)
        if events or after.last_seen_ms != before.last_seen_ms or after.heard != before.heard:
            self.changes.regions.add(after.region)
        if after.may_vote != before.may_vote or after.heard != before.heard:
            self._reviews.ask_for_region(after.region)

    # -- telling -----------------------------------------------------------------------------------------------------

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
