"""What is scheduled, and where: monitors, their serialised parts, and the regions that can take checks. Pure."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pydantic import ValidationError

from farwatch_events.monitor import read_stored_monitor
from farwatch_events.subjects import PUSH_REGION
from farwatch_scheduler.chunks import Fragment, make_fragment
from farwatch_scheduler.ring import Rings


@dataclass(frozen=True, slots=True)
class Monitor:
    """`regions` empty means all."""

    monitor_id: int
    config_version: int
    interval_ms: int
    regions: tuple[str, ...]
    fragment: Fragment


@dataclass(frozen=True, slots=True)
class Row:
    """A row of config.monitors."""

    monitor_id: int
    config_version: int
    type: str
    enabled: bool
    deleted: bool
    spec: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Unscheduled:
    """Why a monitor has no checks; `wrong` when that is a mistake and not what somebody asked for."""

    why: str
    wrong: bool = False


def decide_scheduled(row: Row) -> Monitor | Unscheduled:
    if row.deleted:
        return Unscheduled("the monitor was deleted")
    if row.type == "push":
        return Unscheduled("push monitors are not checked: they call us")
    if not row.enabled:
        return Unscheduled("the monitor is paused")
    try:
        spec = read_stored_monitor(row.spec)
    except ValidationError as error:
        first = error.errors(include_input=False, include_url=False)[0]
        return Unscheduled(f"its specification is not valid: {first['loc']}: {first['msg']}", wrong=True)
    return Monitor(
        monitor_id=row.monitor_id,
        config_version=row.config_version,
        interval_ms=spec.interval_ms,
        regions=tuple(spec.regions),
        fragment=make_fragment(row.monitor_id, row.config_version, spec),
    )


class Catalogue:
    def __init__(self) -> None:
        self.rings = Rings()
        self._monitors: dict[int, Monitor] = {}
        self._open: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self._monitors)

    def get(self, monitor_id: int) -> Monitor | None:
        return self._monitors.get(monitor_id)

    def put(self, monitor: Monitor) -> None:
        self._monitors[monitor.monitor_id] = monitor
        self.rings.put(monitor.monitor_id, monitor.interval_ms)

    def remove(self, monitor_id: int) -> None:
        self._monitors.pop(monitor_id, None)
        self.rings.remove(monitor_id)

    def apply(self, row: Row) -> Monitor | Unscheduled:
        """Puts or removes the monitor, as its row says."""
        decision = decide_scheduled(row)
        if isinstance(decision, Monitor):
            self.put(decision)
        else:
            self.remove(row.monitor_id)
        return decision

    def outdated(self, versions: Mapping[int, int]) -> list[int]:
        """Which monitors differ from the configuration versions given: to be read, or gone and to be removed."""
        changed = [each for each, version in versions.items() if self._version(each) != version]
        return changed + [each for each in self._monitors if each not in versions]

    def _version(self, monitor_id: int) -> int | None:
        monitor = self._monitors.get(monitor_id)
        return None if monitor is None else monitor.config_version

    @property
    def open_regions(self) -> tuple[str, ...]:
        return self._open

    def set_open_regions(self, regions: Iterable[str]) -> None:
        """The regions that are enabled and have their streams. The region of pushes never takes checks."""
        self._open = tuple(sorted(set(regions) - {PUSH_REGION}))

    def regions_of(self, monitor: Monitor) -> list[str]:
        """Where the monitor can be checked at this moment."""
        return [region for region in self._open if not monitor.regions or region in monitor.regions]

    def by_region(self, monitor_ids: Sequence[int]) -> dict[str, list[Fragment]]:
        """The parts of these monitors for each open region, in the order given; monitors that went are left out."""
        groups: dict[str, list[Fragment]] = {region: [] for region in self._open}
        for monitor_id in monitor_ids:
            monitor = self._monitors.get(monitor_id)
            if monitor is None:
                continue
            for region in monitor.regions or self._open:
                if region in groups:
                    groups[region].append(monitor.fragment)
        return {region: fragments for region, fragments in groups.items() if fragments}
