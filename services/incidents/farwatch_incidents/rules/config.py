"""What the rules need to know of a monitor's configuration and of maintenance windows."""

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any

from farwatch_events.assertions import Assertion
from farwatch_events.maintenance import Weekly, occurrences
from farwatch_events.subjects import PUSH_REGION

SHORTEST_EXTRA_MS = 30_000
"""A scheduler that takes over, and catches up, needs a moment even where intervals are short."""


@dataclass(frozen=True, slots=True)
class PushPlan:
    """What a push monitor has beside interval and grace. `cron` takes the interval's place; `run_limit_ms` is how long
    a run may take that was started, None when its end is not waited for."""

    cron: str | None = None
    time_zone: str = "UTC"
    run_limit_ms: int | None = None
    assertions: tuple[Assertion, ...] = ()
    degraded_ms: int | None = None


NO_PLAN = PushPlan()


@dataclass(frozen=True, slots=True)
class MonitorConfig:
    """`regions` empty means: every enabled region. `max_check_ms` is the longest one check can take. `parents` are what
    it stands behind."""

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
    plan: PushPlan = NO_PLAN
    parents: tuple[int, ...] = ()

    @property
    def is_push(self) -> bool:
        return self.push_grace_ms is not None

    @property
    def grace_ms(self) -> int:
        return self.push_grace_ms or 0

    @property
    def push_period_ms(self) -> int:
        """A push monitor without a schedule must call again within this time."""
        return self.interval_ms + self.grace_ms

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


SPEC_FIELDS = (
    "type", "name", "interval_seconds", "timeout_seconds", "retries", "retry_interval_seconds", "regions", "tags",
    "grace_seconds", "parents",
)  # fmt: skip
"""What the rules need of a stored specification, in the order of `config_of`."""
PUSH_FIELDS = ("cron", "time_zone", "run_limit_seconds", "assertions", "degraded_ms")
"""And of a push monitor, as an object after those."""


def config_of(monitor_id: int, spec: Sequence[Any], config_version: int, *, enabled: bool) -> MonitorConfig:
    """From the values of SPEC_FIELDS as they were stored, None for a field that was not: the whole specification, of
    a hundred thousand monitors, takes a minute to parse. Raises ValueError or TypeError for what is no monitor."""
    kind, name, interval, timeout, retries, pause, regions, tags, grace, parents, *push = spec
    if not isinstance(kind, str) or not isinstance(name, str):
        raise ValueError("a monitor has a type and a name")
    interval, retries = int(interval or 60), 1 if retries is None else int(retries)
    timeout = min(10.0, max(1.0, round(0.8 * interval, 1))) if timeout is None else float(timeout)
    longest = timeout * (retries + 1) + (2.0 if pause is None else float(pause)) * retries
    is_push = kind == "push"
    return MonitorConfig(
        monitor_id=monitor_id,
        name=name,
        config_version=config_version,
        interval_ms=interval * 1000,
        max_check_ms=round(min(longest, interval + timeout) * 1000),
        retries=0 if is_push else retries,
        regions=tuple(regions or ()),
        tags=frozenset(tags or ()),
        enabled=enabled,
        push_grace_ms=(30 if grace is None else int(grace)) * 1000 if is_push else None,
        plan=_plan_of(push[0]) if is_push and push and push[0] else NO_PLAN,
        parents=tuple(int(parent) for parent in parents or ()),
    )


def _plan_of(fields: Mapping[str, Any]) -> PushPlan:
    limit, slow = fields.get("run_limit_seconds"), fields.get("degraded_ms")
    return PushPlan(
        cron=fields.get("cron"),
        time_zone=fields.get("time_zone") or "UTC",
        run_limit_ms=None if limit is None else int(limit) * 1000,
        assertions=tuple(Assertion.model_validate(each) for each in fields.get("assertions") or ()),
        degraded_ms=None if slow is None else int(slow),
    )


@dataclass(frozen=True, slots=True)
class Maintenance:
    """A planned window. `ends_ms` is when it was cancelled, if that came first. A weekly one stands for the whole
    series until `expand` makes windows of it."""

    maintenance_id: int
    name: str
    starts_ms: int
    ends_ms: int
    all_monitors: bool = False
    monitor_ids: frozenset[int] = field(default_factory=frozenset)
    tags: frozenset[str] = field(default_factory=frozenset)
    weekly: Weekly | None = None

    def concerns(self, monitor_id: int, tags: frozenset[str]) -> bool:
        return self.all_monitors or monitor_id in self.monitor_ids or not self.tags.isdisjoint(tags)


AHEAD_MS = 24 * 3_600_000


def expand(series: Maintenance, now_ms: int) -> Iterator[Maintenance]:
    """The occurrences that are not over and begin within a day; a one-off window is its own only one."""
    if series.weekly is None:
        yield series
        return
    for begins, ends in occurrences(series.weekly, datetime.fromtimestamp(now_ms / 1000, UTC)):
        starts_ms, ends_ms = round(begins.timestamp() * 1000), round(ends.timestamp() * 1000)
        if starts_ms >= min(series.ends_ms, now_ms + AHEAD_MS):
            return
        if starts_ms >= series.starts_ms:
            yield replace(series, starts_ms=starts_ms, ends_ms=min(ends_ms, series.ends_ms), weekly=None)


def maintenance_of(config: MonitorConfig, windows: Iterable[Maintenance], now_ms: int) -> Maintenance | None:
    """The window that the monitor is in now, None outside of any."""
    for window in windows:
        if window.starts_ms <= now_ms < window.ends_ms and window.concerns(config.monitor_id, config.tags):
            return window
    return None
