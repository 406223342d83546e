"""When votes stop counting: by the watermark of their region, and by the clock when nobody asks for checks at all."""

from dataclasses import replace
from functools import partial

from farwatch_incidents.ledger import Ledger
from farwatch_incidents.rules import monitor as rules
from farwatch_incidents.rules.absences import Absences
from farwatch_incidents.rules.config import MonitorConfig
from farwatch_incidents.rules.deadlines import DueQueue
from farwatch_incidents.rules.quorum import expires_at, newest_that_meets
from farwatch_incidents.rules.votes import LocalState

BLIND_MS = 10_000
"""A longer time in which the fold did not watch does not count towards the age of a vote: nobody could renew it."""
STALE_A_STEP = 1_000


class Expiries:
    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger
        self._by_watermark: dict[str, DueQueue] = {}
        self._by_clock = DueQueue()
        self.absences = Absences(BLIND_MS)

    def watch(self, config: MonitorConfig, region: str, local: LocalState) -> None:
        if not local.slot_ms or config.is_push:
            return
        monitor_id = config.monitor_id
        queue = self._by_watermark.get(region)
        if queue is None:
            queue = self._by_watermark[region] = DueQueue()
        if (monitor_id, region) not in queue:
            queue.watch(monitor_id, region, expires_at(config, local) + 1)
        if (monitor_id, region) not in self._by_clock:
            self._by_clock.watch(monitor_id, region, self._stale_at(config, local.slot_ms))

    def hasten(self, config: MonitorConfig, region: str, local: LocalState) -> None:
        """As watch, when the moment may have moved to an earlier one."""
        if not local.slot_ms or config.is_push:
            return
        queue = self._by_watermark.setdefault(region, DueQueue())
        queue.hasten(config.monitor_id, region, expires_at(config, local) + 1)
        self._by_clock.hasten(config.monitor_id, region, self._stale_at(config, local.slot_ms))

    # -- by the watermark --------------------------------------------------------------------------------------------

    def passed(self, region: str) -> list[int]:
        """Monitors whose vote in the region is behind its watermark by now."""
        queue = self._by_watermark.get(region)
        if queue is None:
            return []
        watermark_ms = self._ledger.regions[region].watermark_ms
        return [monitor_id for monitor_id, _ in queue.pop_due(watermark_ms, self._expiry_moment)]

    def _expiry_moment(self, monitor_id: int, region: str) -> int | None:
        config, local = self._ledger.local_of(monitor_id, region)
        return expires_at(config, local) + 1 if config and local and local.slot_ms else None

    # -- by the clock ------------------------------------------------------------------------------------------------

    def pass_time(self, *, watching: bool) -> None:
        if watching:
            self.absences.watch(self._ledger.now_ms)
        if self.absences.is_watching(self._ledger.now_ms):
            self._stop_waiting()

    def _stop_waiting(self) -> None:
        """Votes of living regions that no newer result came for: nobody asks for checks any more."""
        ledger = self._ledger
        due = self._by_clock.pop_due(ledger.now_ms, self._stale_moment, STALE_A_STEP)
        for monitor_id in dict.fromkeys(monitor_id for monitor_id, _ in due):
            self._end_stale(monitor_id)
        for monitor_id, region in due:
            local = ledger.states[monitor_id].local[region]
            if local.vote != "unknown":  # of a silent region, which is not to be told of every monitor
                self.watch(ledger.configs[monitor_id], region, replace(local, slot_ms=ledger.now_ms))

    def end_stale(self, monitor_id: int) -> bool:
        """Whether there were any that ended. None does while the fold does not watch: what looks stale may have been
        renewed by a result that is still on its way."""
        return self.absences.is_watching(self._ledger.now_ms) and self._end_stale(monitor_id)

    def _end_stale(self, monitor_id: int) -> bool:
        """All of the monitor's, whether or not the queue has come to each."""
        ledger = self._ledger
        regions = ledger.regions_of(ledger.configs[monitor_id])
        stale = [each for each in regions if ledger.is_live(each) and self._is_stale(monitor_id, each)]
        if stale:
            ledger.decide(monitor_id, partial(rules.stop_waiting, regions=stale))
        for region in stale:
            ledger.changes.local.add((monitor_id, region))
            ledger.failing.keep(monitor_id, region, ledger.states[monitor_id].local[region])
        return bool(stale)

    def _is_stale(self, monitor_id: int, region: str) -> bool:
        moment_ms = self._stale_moment(monitor_id, region)
        return moment_ms is not None and moment_ms <= self._ledger.now_ms

    def _stale_moment(self, monitor_id: int, region: str) -> int | None:
        """None where nothing is waited for: paused, no vote to lose, not asked from there, a push."""
        config, local = self._ledger.local_of(monitor_id, region)
        if config is None or config.is_push or not config.enabled:
            return None
        if local is None or not local.slot_ms or local.vote == "unknown":
            return None
        own_ms = self._stale_at(config, local.slot_ms)
        if own_ms > self._ledger.now_ms:
            return own_ms
        return self._stale_at(config, newest_that_meets(config, local.slot_ms, self._votes_of(config)))

    def _stale_at(self, config: MonitorConfig, slot_ms: int) -> int:
        return slot_ms + config.patience_ms + self.absences.after(slot_ms)

    def _votes_of(self, config: MonitorConfig) -> list[LocalState]:
        """Of the regions it is checked from and that live."""
        ledger = self._ledger
        local = ledger.states[config.monitor_id].local
        return [local[each] for each in ledger.regions_of(config) if each in local and ledger.is_live(each)]
