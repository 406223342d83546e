"""Push monitors on the ledger: who has called, who should have, and what follows when nobody did."""

from farwatch_events.results import CheckResult, Heartbeat
from farwatch_events.subjects import PUSH_REGION
from farwatch_incidents.ledger import Ledger
from farwatch_incidents.pushes import Pushes
from farwatch_incidents.rules.config import MonitorConfig
from farwatch_incidents.rules.votes import UNSEEN, LocalState


class PushWatch:
    def __init__(self, ledger: Ledger) -> None:
        self.pushes = Pushes()
        self._ledger = ledger

    def run(self, heartbeat: Heartbeat | None = None) -> None:
        """A message of region push came."""
        now_ms = self._ledger.now_ms
        if heartbeat is None:
            dark = self.pushes.run(now_ms)
        else:
            heard = self._ledger.regions.get(PUSH_REGION)
            dark = self.pushes.run(now_ms, heartbeat.started_ms, heard.last_seen_ms if heard else 0)
        if dark is None:
            return
        for config in [each for each in self._ledger.configs.values() if each.is_push and each.enabled]:
            local = self._local(config.monitor_id)
            if local.deadline_ms:
                self._put(config, self.pushes.forgive(config, local, dark))

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
            self._put(config, self.pushes.arm(config, local, self._ledger.now_ms))
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
