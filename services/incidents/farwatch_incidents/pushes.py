"""Push monitors: when the next push of each is due, on a clock that counts only time in which one could have come."""

from dataclasses import replace
from datetime import UTC, datetime
from typing import NamedTuple

from farwatch_events.cron import find_zone
from farwatch_events.results import CheckResult, ErrorClass
from farwatch_incidents.rules import pushing
from farwatch_incidents.rules.config import MonitorConfig
from farwatch_incidents.rules.deadlines import LONGEST_PAUSE_MS, DueQueue, Moment, advance_push_clock
from farwatch_incidents.rules.reasons import lasting
from farwatch_incidents.rules.votes import LocalState


class Dark(NamedTuple):
    """Time in which nobody could push, and for how much of it the clock of the pushes stood still."""

    from_ms: int
    to_ms: int
    still_ms: int


class Pushes:
    """Deadlines are moments of `clock_ms`, which stands still in dark time; a schedule's moments are put on it as far
    ahead as they are by the clock on the wall."""

    def __init__(self) -> None:
        self.clock_ms = 0
        self._seen_ms = 0
        self._due = DueQueue()

    def go_on(self, clock_ms: int, seen_ms: int) -> None:
        """As the fold before left it at `seen_ms`: a longer break between the two was dark too."""
        self.clock_ms, self._seen_ms = clock_ms, seen_ms

    def run(self, now_ms: int, started_ms: int = 0, beat_ms: int = 0) -> Dark | None:
        """A message of region push came. A heartbeat has when its process started and when the one before it came.
        Returns the time in which nobody could push, None when somebody always could. An api that is back within the
        longest pause was away nevertheless, also where a call came before its heartbeat, and one that was away when
        the fold began was away since it was last heard."""
        before_ms, self._seen_ms = self._seen_ms, max(self._seen_ms, now_ms)
        before_clock_ms = self.clock_ms
        self.clock_ms = advance_push_clock(before_clock_ms, before_ms, now_ms)
        from_ms = min(before_ms, beat_ms or before_ms)
        away = now_ms - from_ms > LONGEST_PAUSE_MS or from_ms < started_ms <= now_ms
        if from_ms <= 0 or not away:
            return None
        return Dark(from_ms, now_ms, max(0, now_ms - before_ms) - (self.clock_ms - before_clock_ms))

    def expect(self, config: MonitorConfig, local: LocalState, now_ms: int) -> LocalState:
        """From now on the monitor has its whole period again, or until its next moment; a call of it came just now."""
        return self._until(config, replace(pushing.without_run(local), unheard=()), self._ahead(config, now_ms))

    def arm(self, config: MonitorConfig, local: LocalState, now_ms: int) -> LocalState:
        """As `expect`, of a monitor that has not called since it became what it is."""
        return replace(self.expect(config, local, now_ms), unheard=pushing.anytime(config, now_ms))

    def begin(self, config: MonitorConfig, local: LocalState, call: CheckResult) -> LocalState:
        """A run starts, and its end is waited for in place of the next push where there is a limit for it."""
        run_id = (call.push and call.push.run_id) or ""
        local = replace(local, run_started_ms=call.slot_ms, run_id=run_id)
        limit_ms = config.plan.run_limit_ms
        return local if limit_ms is None else self._until(config, local, self.clock_ms + limit_ms)

    def finish(self, config: MonitorConfig, local: LocalState, call: CheckResult, now_ms: int) -> LocalState:
        """The end of another run than the one waited for is a sign of life and no more."""
        if pushing.is_running(config, local) and not pushing.ends_run(local, call):
            return local
        return self.expect(config, local, now_ms)

    def forgive(self, config: MonitorConfig, local: LocalState, dark: Dark) -> LocalState:
        """What to wait for now that somebody listens again: a push that may have been lost is not waited for. The
        moments of a schedule did not stand still with the clock."""
        deadline_ms = local.deadline_ms
        if config.plan.cron is not None and not pushing.is_running(config, local):
            deadline_ms -= dark.still_ms
        lost = pushing.lost_in(config, local, (dark.from_ms, dark.to_ms))
        if lost is not None:
            due_ms = pushing.due_after_loss(config, lost, dark.to_ms)
            deadline_ms = max(deadline_ms, self.clock_ms + due_ms - dark.to_ms + config.grace_ms)
            local = pushing.note_lost(config, local, lost)
        return local if deadline_ms == local.deadline_ms else self._until(config, local, deadline_ms)

    def expect_after_miss(self, config: MonitorConfig, local: LocalState, now_ms: int) -> LocalState:
        due_ms = pushing.due_after_miss(config, self._was_due_ms(config, local, now_ms), now_ms)
        local = replace(pushing.without_run(local), unheard=pushing.anytime(config, now_ms))
        return self._until(config, local, self.clock_ms + due_ms - now_ms + config.grace_ms)

    def _ahead(self, config: MonitorConfig, now_ms: int) -> int:
        return self.clock_ms + pushing.due_after(config, now_ms) - now_ms + config.grace_ms

    def _was_due_ms(self, config: MonitorConfig, local: LocalState, now_ms: int) -> int:
        return now_ms - (self.clock_ms - local.deadline_ms) - config.grace_ms

    def _until(self, config: MonitorConfig, local: LocalState, deadline_ms: int) -> LocalState:
        if deadline_ms < local.deadline_ms:
            self._due.hasten(config.monitor_id, "", deadline_ms)
        else:
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
        return CheckResult(
            monitor_id=config.monitor_id,
            config_version=config.config_version,
            slot_ms=now_ms,
            outcome="down",
            started_ms=now_ms,
            finished_ms=now_ms,
            error_class=ErrorClass.MISSED,
            error=self._why_missed(config, local, now_ms),
        )

    def _why_missed(self, config: MonitorConfig, local: LocalState, now_ms: int) -> str:
        plan = config.plan
        if pushing.is_running(config, local):
            return f"started but did not finish within {lasting((plan.run_limit_ms or 0) // 1000)}"
        if plan.cron is None:
            silent_ms = self.clock_ms - local.deadline_ms + config.push_period_ms
            return f"no push came for {lasting(silent_ms // 1000)}"
        due_ms = self._was_due_ms(config, local, now_ms)
        due = datetime.fromtimestamp(due_ms / 1000, find_zone(plan.time_zone) or UTC)
        return f"no push came that was due at {due:%Y-%m-%d %H:%M} ({plan.time_zone})"
