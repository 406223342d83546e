"""What stands, in memory: every monitor's configuration and state, every region, the time; and what has changed since
the last commit."""

from collections.abc import Callable
from functools import partial

from farwatch_events.events import DomainEvent, IncidentOpened, VerdictChanged
from farwatch_incidents.changes import Changes, Line
from farwatch_incidents.disputes import Failing
from farwatch_incidents.rules import monitor as rules
from farwatch_incidents.rules.asking import Askable, Reserve, ask_parent, fell_ms, find_above, may_be_asked
from farwatch_incidents.rules.config import Maintenance, MonitorConfig, maintenance_of
from farwatch_incidents.rules.draft import Around, Decision, MonitorState
from farwatch_incidents.rules.grouping import Bond, Groups, bonds_of
from farwatch_incidents.rules.incident import MAINTENANCE, Incident
from farwatch_incidents.rules.regions import RegionState
from farwatch_incidents.rules.votes import LocalState

Decide = Callable[[MonitorState, MonitorConfig, Around], Decision]


class Ledger:
    """`now_ms` is the JetStream time of the newest message seen, carried on by ticks; it never runs backwards.
    `suppressed` are monitors with an incident that nobody was told of."""

    def __init__(self) -> None:
        self.now_ms = 0
        self.next_incident_id = 1
        self.configs: dict[int, MonitorConfig] = {}
        self.states: dict[int, MonitorState] = {}
        self.regions: dict[str, RegionState] = {}
        self.enabled_regions: set[str] = set()
        self.windows: tuple[Maintenance, ...] = ()
        self.changes = Changes()
        self.askable = Askable()
        self._askable_first = Reserve(self.askable)
        self.failing = Failing()
        self.suppressed: set[int] = set()
        self._regions_of: dict[int, tuple[str, ...]] = {}
        self._groups = Groups()

    def at(self, timestamp_ms: int) -> None:
        self.now_ms = max(self.now_ms, timestamp_ms)

    def adopt(self, state: MonitorState) -> None:
        """Takes a stored state as it is."""
        self.states[state.monitor_id] = state
        if state.incident and state.incident.suppressed:
            self.suppressed.add(state.monitor_id)
        if state.incident:
            self._groups.opened(state.incident, _bonds(state, state.incident))
        for region, local in state.local.items():
            self.failing.keep(state.monitor_id, region, local)

    def take_changes(self) -> Changes:
        changes, self.changes = self.changes, Changes()
        return changes

    def announce(self, *events: DomainEvent) -> None:
        self.changes.events.extend(events)

    # -- asking ------------------------------------------------------------------------------------------------------

    def state_of(self, monitor_id: int) -> MonitorState:
        return self.states.get(monitor_id) or MonitorState(monitor_id, active_since_ms=self.now_ms)

    def local_of(self, monitor_id: int, region: str) -> tuple[MonitorConfig | None, LocalState | None]:
        state = self.states.get(monitor_id)
        return self.configs.get(monitor_id), state.local.get(region) if state else None

    def is_live(self, region: str) -> bool:
        state = self.regions.get(region)
        return state is not None and state.is_live

    def regions_of(self, config: MonitorConfig) -> tuple[str, ...]:
        """Those that the monitor is checked from."""
        regions = self._regions_of.get(config.monitor_id)
        if regions is None:
            regions = self._regions_of[config.monitor_id] = config.regions_among(self.enabled_regions)
        return regions

    def around(self, config: MonitorConfig) -> Around:
        window = maintenance_of(config, self.windows, self.now_ms) if self.windows else None
        suppressed = MAINTENANCE if window else None
        regions = self.regions_of(config)
        return Around(
            self.now_ms, self.regions, regions, self.askable, self._askable_first, self.next_incident_id, suppressed
        )

    # -- changing ----------------------------------------------------------------------------------------------------

    def set_monitor(self, config: MonitorConfig) -> None:
        self.configs[config.monitor_id] = config
        self._regions_of.pop(config.monitor_id, None)
        self.states[config.monitor_id] = self.state_of(config.monitor_id)

    def forget_monitor(self, monitor_id: int) -> None:
        self.configs.pop(monitor_id, None)
        self._regions_of.pop(monitor_id, None)
        if self.states.pop(monitor_id, None) is not None:
            self.changes.gone_monitors.add(monitor_id)
        self.changes.monitors.discard(monitor_id)
        self.changes.local = {key for key in self.changes.local if key[0] != monitor_id}
        self.failing.forget(monitor_id)

    def enable_regions(self, wanted: set[str]) -> None:
        self.enabled_regions = wanted
        self._regions_of.clear()

    def put(self, monitor_id: int, region: str, local: LocalState) -> None:
        """A region's state that brings nothing else about. The only change that is made in place: a copy of the whole
        for each result was most of what a result costs."""
        self.states[monitor_id].local[region] = local
        self.changes.local.add((monitor_id, region))

    def decide(self, monitor_id: int, how: Decide) -> Decision:
        """Applies a decision. The monitor has to exist."""
        decision = how(self.states[monitor_id], config := self.configs[monitor_id], self.around(config))
        self.apply(decision)
        return decision

    def apply(self, decision: Decision) -> None:
        state, changes = decision.state, self.changes
        before = self.states.get(state.monitor_id)
        self.states[state.monitor_id] = state
        if decision.events or before is None or before.flapping is not state.flapping:
            changes.events.extend(decision.events)
            changes.monitors.add(state.monitor_id)
        for region in decision.asked:
            self.askable.spend(region)
            changes.local.add((state.monitor_id, region))
        if decision.incident is not None:
            self._apply_incident(decision, decision.incident)
        if any(isinstance(event, VerdictChanged) for event in decision.events):
            changes.turned.add(state.monitor_id)
            changes.live.setdefault(state.monitor_id, ("", None))

    def _apply_incident(self, decision: Decision, incident: Incident) -> None:
        self.changes.incidents[incident.incident_id] = incident
        first = incident.entries - len(decision.entries) + 1
        for number, entry in enumerate(decision.entries):
            self.changes.lines.append(Line(incident.incident_id, first + number, entry))
        self.next_incident_id = max(self.next_incident_id, incident.incident_id + 1)
        if incident.suppressed and incident.state != "resolved":
            self.suppressed.add(incident.monitor_id)
        if incident.state == "resolved":
            self._groups.closed(incident.incident_id)
        elif any(isinstance(entry.event, IncidentOpened) for entry in decision.entries):
            self._group(decision.state, incident)
        if incident.state != "resolved" and (failed_ms := fell_ms(decision.events)):
            self._ask_parents(self.configs[incident.monitor_id], failed_ms)

    def _ask_parents(self, child: MonitorConfig, failed_ms: int) -> None:
        for parent in find_above(child, self.configs):
            if may_be_asked(parent, self.state_of(parent.monitor_id)):
                self.decide(parent.monitor_id, partial(ask_parent, child=child.name, failed_ms=failed_ms))

    def _group(self, state: MonitorState, incident: Incident) -> None:
        """Puts an incident that has just opened to those that broke with it."""
        self._groups.opened(incident, _bonds(state, incident))
        found = self._groups.find(incident.incident_id)
        if found is None:
            return
        bond = found.bond
        join = partial(rules.join_group, group_id=found.group_id, by=bond.by, key=bond.key, reason=found.reason)
        if found.founder is not None:
            self.decide(found.founder, join)
            self._groups.joined(found.first, found.group_id)
        self.decide(incident.monitor_id, join)
        self._groups.joined(incident.incident_id, found.group_id)


def _bonds(state: MonitorState, incident: Incident) -> tuple[Bond, ...]:
    return bonds_of(incident, [local for region in incident.regions if (local := state.local.get(region))])
