"""What is scheduled, and where: monitors, their serialised parts, and the regions that can take checks. Pure."""

from collections.abc import Container, Iterable, Sequence
from dataclasses import dataclass

from pydantic import ValidationError

from farwatch_events.subjects import PUSH_REGION
from farwatch_scheduler.monitors import Monitor, Row, Shapes, make_monitor
from farwatch_scheduler.ring import Rings


@dataclass(frozen=True, slots=True)
class Unscheduled:
    """Why a monitor has no checks; `wrong` when that is a mistake and not what somebody asked for."""

    why: str
    wrong: bool = False


def decide_scheduled(row: Row, shapes: Shapes) -> Monitor | Unscheduled:
    if row.deleted:
        return Unscheduled("the monitor was deleted")
    if row.type == "push":
        return Unscheduled("push monitors are not checked: they call us")
    if not row.enabled:
        return Unscheduled("the monitor is paused")
    try:
        shape = shapes.of(row)
    except ValidationError as error:
        first = error.errors(include_input=False, include_url=False)[0]
        return Unscheduled(f"its specification is not valid: {first['loc']}: {first['msg']}", wrong=True)
    return make_monitor(row, shape)


class Catalogue:
    def __init__(self) -> None:
        self.rings = Rings()
        self._monitors: dict[int, Monitor] = {}
        self._open: tuple[str, ...] = ()
        self._shapes = Shapes()

    def __len__(self) -> int:
        return len(self._monitors)

    def get(self, monitor_id: int) -> Monitor | None:
        return self._monitors.get(monitor_id)

    def put(self, monitor: Monitor) -> None:
        self._monitors[monitor.monitor_id] = monitor
        self.rings.put(monitor.monitor_id, monitor.shape.interval_ms)

    def remove(self, monitor_id: int) -> None:
        self._monitors.pop(monitor_id, None)
        self.rings.remove(monitor_id)

    def apply(self, row: Row) -> Monitor | Unscheduled:
        """Puts or removes the monitor, as its row says."""
        decision = decide_scheduled(row, self._shapes)
        if isinstance(decision, Monitor):
            self.put(decision)
        else:
            self.remove(row.monitor_id)
        return decision

    def outdated(self, versions: Iterable[tuple[int, int]]) -> list[int]:
        """Which of these monitors have another configuration version than the one given, or are not there at all."""
        return [each for each, version in versions if self._version(each) != version]

    def others(self, monitor_ids: Container[int]) -> list[int]:
        """Those that are not among these."""
        return [each for each in self._monitors if each not in monitor_ids]

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
        return [region for region in self._open if not monitor.shape.regions or region in monitor.shape.regions]

    def by_region(self, monitor_ids: Sequence[int]) -> dict[str, list[Monitor]]:
        """These monitors for each open region, in the order given; monitors that went are left out."""
        groups: dict[str, list[Monitor]] = {region: [] for region in self._open}
        for monitor_id in monitor_ids:
            monitor = self._monitors.get(monitor_id)
            if monitor is None:
                continue
            for region in monitor.shape.regions or self._open:
                if region in groups:
                    groups[region].append(monitor)
        return {region: monitors for region, monitors in groups.items() if monitors}
