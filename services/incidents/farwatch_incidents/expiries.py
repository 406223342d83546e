"""When votes stop counting: by the watermark of their region, and by the clock when nobody asks for checks at all."""

from farwatch_incidents.rules.config import MonitorConfig
from farwatch_incidents.rules.deadlines import DueQueue, Moment
from farwatch_incidents.rules.quorum import expires_at
from farwatch_incidents.rules.votes import LocalState

BLIND_MS = 10_000
"""After a longer time in which the fold did not watch, every vote has its whole patience again: results of that time
may still be on their way."""
STALE_A_STEP = 1_000


class Expiries:
    def __init__(self) -> None:
        self._by_watermark: dict[str, DueQueue] = {}
        self._by_clock = DueQueue()
        self._watched_ms = 0
        self._resumed_ms = 0

    def watch(self, config: MonitorConfig, region: str, local: LocalState) -> None:
        if not local.slot_ms or config.is_push:
            return
        queue = self._by_watermark.setdefault(region, DueQueue())
        queue.watch(config.monitor_id, region, expires_at(config, local) + 1)
        self._by_clock.watch(config.monitor_id, region, self.stale_at(config, local.slot_ms))

    def hasten(self, config: MonitorConfig, region: str, local: LocalState) -> None:
        """As watch, when the moment may have moved to an earlier one."""
        if not local.slot_ms or config.is_push:
            return
        queue = self._by_watermark.setdefault(region, DueQueue())
        queue.hasten(config.monitor_id, region, expires_at(config, local) + 1)
        self._by_clock.hasten(config.monitor_id, region, self.stale_at(config, local.slot_ms))

    def stale_at(self, config: MonitorConfig, slot_ms: int) -> int:
        return max(slot_ms, self._resumed_ms) + config.patience_ms

    def passed(self, region: str, watermark_ms: int, moment: Moment) -> list[int]:
        """Monitors whose vote in the region is behind its watermark by now."""
        queue = self._by_watermark.get(region)
        return [] if queue is None else [monitor_id for monitor_id, _ in queue.pop_due(watermark_ms, moment)]

    def pass_time(self, now_ms: int, *, watching: bool) -> None:
        if not watching:
            return
        if now_ms - self._watched_ms > BLIND_MS:
            self._resumed_ms = now_ms
        self._watched_ms = now_ms

    def is_watching(self, now_ms: int) -> bool:
        """Whether what is stale by the clock is so in truth."""
        return now_ms - self._watched_ms <= BLIND_MS

    def stale(self, now_ms: int, moment: Moment) -> list[tuple[int, str]]:
        """Votes that nothing newer came for in too long."""
        return self._by_clock.pop_due(now_ms, moment, STALE_A_STEP)
