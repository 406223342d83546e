"""Push monitors: when the next push of each is due, on a clock that counts only time in which one could have come."""

from dataclasses import replace

from farwatch_events.results import CheckResult, ErrorClass
from farwatch_incidents.rules.config import MonitorConfig
from farwatch_incidents.rules.deadlines import DueQueue, Moment, advance_push_clock
from farwatch_incidents.rules.reasons import lasting
from farwatch_incidents.rules.votes import LocalState


class Pushes:
    def __init__(self) -> None:
        self.clock_ms = 0
        self._seen_ms = 0
        self._due = DueQueue()

    def run(self, now_ms: int) -> None:
        """A message of region push came."""
        self.clock_ms = advance_push_clock(self.clock_ms, self._seen_ms, now_ms)
        self._seen_ms = now_ms

    def expect(self, config: MonitorConfig, local: LocalState) -> LocalState:
        """From now on the monitor has its whole period again."""
        return self._until(config, local, self.clock_ms + config.push_period_ms)

    def expect_after_miss(self, config: MonitorConfig, local: LocalState) -> LocalState:
        return self._until(config, local, max(local.deadline_ms, self.clock_ms) + config.interval_ms)

    def _until(self, config: MonitorConfig, local: LocalState, deadline_ms: int) -> LocalState:
        self._due.watch(config.monitor_id, "", deadline_ms)
        return replace(local, deadline_ms=deadline_ms)

    def hasten(self, monitor_id: int) -> None:
        """Look soon: its deadline may be an earlier one now."""
        self._due.hasten(monitor_id, "", self.clock_ms)

    def missed(self, moment: Moment) -> list[int]:
        """Monitors whose deadline has passed."""
        return [monitor_id for monitor_id, _ in self._due.pop_due(self.clock_ms, moment)]

    def miss(self, config: MonitorConfig, local: LocalState, now_ms: int) -> CheckResult:
        """The result that stands for the push that did not come."""
        silent_ms = self.clock_ms - local.deadline_ms + config.push_period_ms
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
