"""Push monitors on the ledger: who has called, who should have, and what follows when nobody did."""

from farwatch_events.results import CheckResult
from farwatch_events.subjects import PUSH_REGION
from farwatch_incidents.ledger import Ledger
from farwatch_incidents.pushes import Pushes
from farwatch_incidents.rules.config import MonitorConfig
from farwatch_incidents.rules.votes import UNSEEN, LocalState


class PushWatch:
    def __init__(self, ledger: Ledger) -> None:
        self.pushes = Pushes()
        self._ledger = ledger

    def run(self, started_ms: int = 0) -> None:
        """A message of region push came, from a process that started then."""
        now_ms = self._ledger.now_ms
        dark_from_ms = self.pushes.run(now_ms, started_ms)
        if dark_from_ms is None:
            return
        for config in [each for each in self._ledger.configs.values() if each.is_push and each.enabled]:
            local = self._local(config.monitor_id)
            if local.deadline_ms:
                self._put(config, self.pushes.forgive(config, local, dark_from_ms, now_ms))

    def begin_run(self, call: CheckResult) -> None:
        """A start that comes after the end of its run, or of a paused monitor, starts nothing."""
        config = self._ledger.configs.get(call.monitor_id)
        if config is None or not config.is_push or not config.enabled:
            return
        local = self._local(call.monitor_id)
        if call.slot_ms > max(local.slot_ms, local.run_started_ms):
            self._put(config, self.pushes.begin(config, local, call))

    def arm(self, config: MonitorConfig, *, changed: bool) -> None:
        local = self._local(config.monitor_id)
        if changed or local.deadline_ms == 0:
            self._put(config, self.pushes.expect(config, local, self._ledger.now_ms))
        self.pushes.hasten(config.monitor_id)

    def finish(self, config: MonitorConfig, call: CheckResult) -> LocalState:
        """After its vote was counted."""
        return self._put(config, self.pushes.finish(config, self._local(config.monitor_id), call, self._ledger.now_ms))

    def missed(self) -> list[CheckResult]:
        """The results that stand for pushes that did not come; `after_miss` follows each."""
        ledger = self._ledger
        return [
            self.pushes.miss(ledger.configs[each], self._local(each), ledger.now_ms)
            for each in self.pushes.missed(self._moment)
        ]

    def after_miss(self, monitor_id: int) -> None:
        config = self._ledger.configs[monitor_id]
        self._put(config, self.pushes.expect_after_miss(config, self._local(monitor_id), self._ledger.now_ms))

    def _moment(self, monitor_id: int, _: str) -> int | None:
        config, local = self._ledger.local_of(monitor_id, PUSH_REGION)
        if config is None or local is None or not config.is_push or not config.enabled:
            return None
        return local.deadline_ms or None

    def _local(self, monitor_id: int) -> LocalState:
        return self._ledger.state_of(monitor_id).local.get(PUSH_REGION, UNSEEN)

    def _put(self, config: MonitorConfig, local: LocalState) -> LocalState:
        self._ledger.put(config.monitor_id, PUSH_REGION, local)
        return local
