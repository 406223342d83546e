"""What is known around a batch of events or timers, loaded once for all of them."""

from collections.abc import Collection, Mapping, Sequence

from farwatch_events.events import DomainEvent, FirstFailure, FirstSuccess
from farwatch_events.matching import NumberedPolicy, NumberedSilence
from farwatch_notifier import gather
from farwatch_notifier.above import Above, load_above
from farwatch_notifier.facts import ChannelFacts, DeliveryState, Facts, IncidentFacts, Intent, Prior
from farwatch_notifier.facts import MonitorFacts as Monitor
from farwatch_notifier.policy.deciding import thread_of
from farwatch_store import Connection

Troubles = dict[str, IncidentFacts]


async def load_troubles(
    connection: Connection, threads: Collection[str], monitor_ids: Collection[int] = (), first_ms: int = 0
) -> Troubles:
    """By thread: incidents and drills, and incidents of these monitors that were not over at `first_ms`."""
    incidents = await gather.load_incidents(connection, numbers(threads, "incident-"), list(monitor_ids), first_ms)
    drills = await gather.load_drills(connection, numbers(threads, "drill-"))
    return {each.thread: each for each in [*incidents.values(), *drills]}


class Batch:
    """Deliveries decided in the batch are known to its later events. `troubles` are incidents and drills by thread."""

    def __init__(
        self,
        channels: tuple[ChannelFacts, ...],
        monitors: Mapping[int, Monitor],
        troubles: Troubles,
        prior: dict[str, list[Prior]],
        windows: Sequence[gather.Window],
        policies: tuple[NumberedPolicy, ...],
        silences: tuple[NumberedSilence, ...],
        above: Above,
        untrusted: frozenset[str],
    ) -> None:
        self.channels = channels
        self.policies = policies
        self.troubles = troubles
        self._monitors = monitors
        self._prior = prior
        self._windows = windows
        self._silences = silences
        self._above = above
        self._untrusted = untrusted
        self._by_monitor: dict[int, list[IncidentFacts]] = {}
        for each in troubles.values():
            if not each.drill:
                self._by_monitor.setdefault(each.monitor_id, []).append(each)

    @classmethod
    async def load(
        cls, connection: Connection, threads: Collection[str], monitor_ids: Collection[int], first_ms: int, now_ms: int
    ) -> "Batch":
        """`first_ms` is the time of the earliest event; incidents that ended before it do not matter."""
        wanted = sorted(monitor_ids)
        troubles = await load_troubles(connection, threads, wanted, first_ms)
        monitors = await gather.load_monitors(connection, wanted)
        with_parents = [each.id for each in monitors.values() if each.parents]
        return cls(
            await gather.load_channels(connection),
            monitors,
            troubles,
            await gather.load_prior(connection, sorted({*threads, *troubles})),
            await gather.load_windows(connection, first_ms),
            await gather.load_policies(connection),
            await gather.load_silences(connection, min(first_ms, now_ms)),
            await load_above(connection, with_parents),
            await gather.load_untrusted(connection),
        )

    def facts_of(self, event: DomainEvent) -> Facts:
        monitor_id, thread = getattr(event, "monitor_id", 0), thread_of(event)
        speaks_for = self._open_incident(event) if isinstance(event, FirstFailure | FirstSuccess) else None
        return self._facts(monitor_id, thread, speaks_for or self.troubles.get(thread), event.at_ms)

    def facts_at(self, thread: str, monitor_id: int, now_ms: int) -> Facts:
        """For a timer: the trouble as it stands now."""
        return self._facts(monitor_id, thread, self.troubles.get(thread), now_ms)

    def _facts(self, monitor_id: int, thread: str, incident: IncidentFacts | None, at_ms: int) -> Facts:
        monitor = self._monitors.get(monitor_id)
        windows = [w.name for w in self._windows if monitor is not None and w.holds(monitor, at_ms)]
        return Facts(
            channels=self.channels,
            monitor=monitor,
            incident=incident,
            prior=tuple(self._prior.get(thread, ())),
            maintenance=windows[0] if windows else None,
            policies=self.policies,
            silences=self._silences,
            parent=self._above.down_of(monitor_id),
            above=self._above.looks_of(monitor_id),
            untrusted=self._untrusted,
        )

    def _open_incident(self, event: FirstFailure | FirstSuccess) -> IncidentFacts | None:
        mine = self._by_monitor.get(event.monitor_id, [])
        return next((each for each in mine if each.is_open_at(event.at_ms)), None)

    def remember(self, intent: Intent) -> None:
        state: DeliveryState = "suppressed" if intent.suppressed else "pending"
        moment = intent.item_moment or intent.moment
        self._prior.setdefault(intent.thread, []).append(Prior(intent.channel_id, moment, state, intent.sent_in))


def numbers(threads: Collection[str], prefix: str) -> list[int]:
    """["incident-3", "drill-2"] with "incident-" -> [3]"""
    found = (thread.removeprefix(prefix) for thread in threads if thread.startswith(prefix))
    return sorted(int(number) for number in found if number.isdigit())
