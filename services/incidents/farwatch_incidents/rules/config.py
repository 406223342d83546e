"""What the rules need to know of a monitor's configuration and of maintenance windows."""

from collections.abc import Collection, Iterable
from dataclasses import dataclass, field

from farwatch_events.monitor import MonitorSpec, PushMonitor
from farwatch_events.subjects import PUSH_REGION

SHORTEST_EXTRA_MS = 30_000
"""A scheduler that takes over, and catches up, needs a moment even where intervals are short."""


@dataclass(frozen=True, slots=True)
class MonitorConfig:
    """`regions` empty means: every enabled region. `max_check_ms` is the longest one check can take."""

    monitor_id: int
    name: str
    config_version: int
    interval_ms: int
    max_check_ms: int
    retries: int
    regions: tuple[str, ...] = ()
    tags: frozenset[str] = field(default_factory=frozenset)
    enabled: bool = True
    push_grace_ms: int | None = None
    """None for everything but push monitors."""

    @property
    def is_push(self) -> bool:
        return self.push_grace_ms is not None

    @property
    def push_period_ms(self) -> int:
        """A push monitor must call again within this time."""
        return self.interval_ms + (self.push_grace_ms or 0)

    @property
    def expiry_ms(self) -> int:
        """A vote is fresh until its region's watermark is further ahead than this."""
        return 2 * self.interval_ms + self.max_check_ms

    @property
    def patience_ms(self) -> int:
        """A vote without a newer result says nothing after this, whatever the watermark: nobody asks for checks."""
        return self.expiry_ms + max(self.interval_ms, SHORTEST_EXTRA_MS)

    def regions_among(self, enabled: Collection[str]) -> tuple[str, ...]:
        if self.is_push:
            return (PUSH_REGION,)
        return self.regions or tuple(sorted(region for region in enabled if region != PUSH_REGION))


def config_of(monitor_id: int, spec: MonitorSpec, config_version: int, *, enabled: bool) -> MonitorConfig:
    push = spec if isinstance(spec, PushMonitor) else None
    return MonitorConfig(
        monitor_id=monitor_id,
        name=spec.name,
        config_version=config_version,
        interval_ms=spec.interval_ms,
        max_check_ms=round(spec.max_check_seconds * 1000),
        retries=0 if push else spec.retries,
        regions=tuple(spec.regions),
        tags=frozenset(spec.tags),
        enabled=enabled,
        push_grace_ms=push.grace_seconds * 1000 if push else None,
    )


@dataclass(frozen=True, slots=True)
class Maintenance:
    """A planned window. `ends_ms` is when it was cancelled, if that came first."""

    maintenance_id: int
    name: str
    starts_ms: int
    ends_ms: int
    all_monitors: bool = False
    monitor_ids: frozenset[int] = field(default_factory=frozenset)
    tags: frozenset[str] = field(default_factory=frozenset)

    def concerns(self, monitor_id: int, tags: frozenset[str]) -> bool:
        return self.all_monitors or monitor_id in self.monitor_ids or not self.tags.isdisjoint(tags)


def maintenance_of(config: MonitorConfig, windows: Iterable[Maintenance], now_ms: int) -> Maintenance | None:
    """The window that the monitor is in now, None outside of any."""
    for window in windows:
        if window.starts_ms <= now_ms < window.ends_ms and window.concerns(config.monitor_id, config.tags):
            return window
    return None
