"""Asks the canaries every few seconds: the configured name servers, and what FARWATCH_CANARIES names.

And before a failure is believed: a prober's network may be gone long before its canaries' turn comes. Then own monitors
that were steadily up are asked along.
"""

import asyncio
import secrets
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from typing import Any, get_args

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from farwatch_prober import dnswire
from farwatch_prober.dial import DialFault, dial
from farwatch_prober.nameserver import ServerFault
from farwatch_prober.outcome import ProbeFailure
from farwatch_prober.policy import AddressPolicy
from farwatch_prober.reporting import Report
from farwatch_prober.resolver import Resolver
from farwatch_prober.selfcheck import (
    ENOUGH_MONITORS,
    FAILURES_THAT_COUNT,
    WELL,
    Canary,
    CanaryKind,
    Condition,
    decide_condition,
    decide_names,
    evolve_canary,
    is_in_doubt,
    rests_on_names,
)
from farwatch_prober.steady import Pool, Sighting, Watched, choose
from farwatch_runtime.clock import now_ms

PERIOD_SECONDS = 5.0
PATIENCE_SECONDS = 3.0
BETWEEN_ROUNDS_SECONDS = 0.5
"""At least, so that neither a flood of failures nor one short blip is worth more than a few questions."""
ROUNDS_IN_DOUBT = 4
MONITOR_REST_SECONDS = 5.0
"""Between two questions to one own monitor, but for the second when all is silent. No interval is shorter."""
SIGHT_COUNTS_MS = 1000
"""A steady monitor that was up so shortly ago need not be asked."""
ADMISSION_MS = 100
"""How often a monitor that is not known yet is looked at, so that the usual check pays nothing for it."""

Ask = Callable[[], Awaitable[bool]]


class CanaryMetrics(Collector):
    """What the canaries tell Prometheus, read when it asks."""

    def __init__(self, canaries: "Canaries") -> None:
        self._canaries = canaries

    def collect(self) -> Iterator[Metric]:
        proven = GaugeMetricFamily("farwatch_prober_canaries", "Canaries that have ever answered", labels=["kind"])
        for kind, number in self._canaries.counts().items():
            proven.add_metric([kind], number)
        yield proven
        yield GaugeMetricFamily(
            "farwatch_prober_names_healthy", "1 while it believes that a name is missing",
            value=float(self._canaries.names_condition.healthy),
        )  # fmt: skip
        yield CounterMetricFamily(
            "farwatch_checks_disbelieved", "Failures that were not believed since the canaries failed too",
            value=self._canaries.disbelieved,
        )  # fmt: skip


class Standing:
    """A condition, and since when it is as good or as bad."""

    def __init__(self, what: str, now_ms: Callable[[], int], log: Any) -> None:
        self._what, self._now_ms, self._log = what, now_ms, log
        self._since_ms = 0
        self.condition = WELL

    def take(self, condition: Condition) -> None:
        if condition.healthy != self.condition.healthy:
            self._log.warning(self._what, healthy=condition.healthy, reason=condition.reason)
            self._since_ms = self._now_ms()
        self.condition = condition

    def covers(self, started_ms: int) -> bool:
        """Whether it has been well all the while."""
        return self.condition.healthy and started_ms >= self._since_ms


class Canaries:
    """Without a `policy` any address may be asked."""

    def __init__(
        self,
        resolver: Resolver,
        endpoints: Sequence[tuple[str, int]],
        *,
        enabled: bool,
        log: Any,
        now_ms: Callable[[], int] = now_ms,
        policy: AddressPolicy | None = None,
        source_address: str | None = None,
    ) -> None:
        self._now_ms = now_ms
        self._resolver, self._policy, self._source_address = resolver, policy, source_address
        self._endpoints = tuple(endpoints)
        self._enabled = enabled
        self._log = log
        self._states: dict[str, Canary] = {}
        self._pool = Pool()
        self._chosen: dict[str, Watched] = {}
        self._asked_at: dict[str, float] = {}
        self._sighted_ms = self._next_admission_ms = 0
        self._round: asyncio.Task[None] | None = None
        self._next: asyncio.Task[None] | None = None
        self._round_ended_at = -BETWEEN_ROUNDS_SECONDS
        self._network = Standing("prober_health_changed", now_ms, log)
        self._names = Standing("name_servers_health_changed", now_ms, log)
        self._is_doubtful = self._is_failure_waiting = False
        self.disbelieved = 0

    @property
    def condition(self) -> Condition:
        return self._network.condition

    @property
    def names_condition(self) -> Condition:
        return self._names.condition

    def counts(self) -> Mapping[CanaryKind, int]:
        """How many of each kind have ever answered."""
        found: dict[CanaryKind, int] = dict.fromkeys(get_args(CanaryKind), 0)
        for canary in self._states.values():
            found[canary.kind] += canary.ever_answered
        return found

    async def run(self) -> None:
        while self._enabled:
            await self._ask_anew()
            await asyncio.sleep(PERIOD_SECONDS)

    # -- what own monitors show --------------------------------------------------------------------------------------

    def saw(self, report: Report, believed: bool) -> None:
        """The end of a check. For all but a few monitors this is nothing but a look into a table."""
        due = report.due
        if due.monitor_id not in self._pool.known:
            if report.finished_ms < self._next_admission_ms or report.outcome.error_class is not None:
                return
            self._next_admission_ms = report.finished_ms + ADMISSION_MS
        if not self._enabled or due.kind != "scheduled":
            return
        outcome = report.outcome.outcome if believed else "unknown"
        self._pool.see(
            Sighting(due.monitor_id, due.config_version, due.spec, outcome, report.outcome.address, report.finished_ms)
        )
        if report.outcome.error_class is None:
            self._sight(due.monitor_id, report.finished_ms)

    def _sight(self, monitor_id: int, at_ms: int) -> None:
        known = self._pool.known.get(monitor_id)
        if known is None or not known.is_steady:
            return
        self._sighted_ms = at_ms
        name = _name_of(known)
        if name in self._chosen:
            self._states[name] = evolve_canary(self._states[name], True)
            self._network.take(decide_condition(self._states.values()))

    def _choose(self) -> None:
        """Those that are chosen stay so while they are steady; nobody is forgotten for a silence of our own."""
        if self.condition.healthy and not self._is_doubtful:
            self._pool.forget(self._now_ms())
        before = [each.monitor_id for each in self._chosen.values()]
        self._chosen = {_name_of(each): each for each in choose(self._pool.known.values(), before)}
        kept = {name: state for name, state in self._states.items() if state.kind != "monitor"}
        for name in self._chosen:
            kept[name] = self._states.get(name) or Canary(name, "monitor", ever_answered=True)
        self._states = kept
        self._asked_at = {name: at for name, at in self._asked_at.items() if name in self._chosen}

    # -- what is believed --------------------------------------------------------------------------------------------

    async def trusts(self, report: Report) -> bool:
        """Whether this failure on the way may be laid at the target's door."""
        names = rests_on_names(report.due.spec, report.outcome.error_class)
        return await self.believes(report.started_ms, names=names)

    async def believes(self, started_ms: int, *, names: bool = False) -> bool:
        """Whether what failed since then may be laid at the target's door: the canaries, asked now, still answer, and
        have done so all the while; with `names`, one of the name servers too. Of everything that fails at once all
        wait for the same few questions."""
        if not self._enabled or not any(canary.ever_answered for canary in self._states.values()):
            return True
        for _ in range(ROUNDS_IN_DOUBT):
            self._is_failure_waiting = True
            await self._ask_anew()
            if not self.condition.healthy or not (self._is_doubtful or (names and self._are_names_doubtful())):
                break
        believed = self._network.covers(started_ms) and (not names or self._names.covers(started_ms))
        self.disbelieved += not believed
        return believed

    def _are_names_doubtful(self) -> bool:
        servers = [each for each in self._states.values() if each.kind == "name server" and each.ever_answered]
        return bool(servers) and all(each.failures > 0 for each in servers) and self.names_condition.healthy

    # -- rounds of questions -----------------------------------------------------------------------------------------

    async def _ask_anew(self) -> None:
        """A round that begins after this call; whoever comes while one is under way shares the next."""
        if self._next is None:
            self._next = asyncio.create_task(self._ask_after(self._round), name="canaries")
        await asyncio.shield(self._next)

    async def _ask_after(self, before: asyncio.Task[None] | None) -> None:
        loop = asyncio.get_running_loop()
        if before is not None:
            await asyncio.wait({before})
        await asyncio.sleep(self._round_ended_at + BETWEEN_ROUNDS_SECONDS - loop.time())
        self._round, self._next = self._next, None
        await self.ask_all()
        self._round_ended_at = loop.time()

    async def ask_all(self) -> None:
        """One round. Own monitors are asked only for a failure's sake, or while everything seems silent."""
        self._choose()
        from_memory = not (self._is_doubtful and self._chosen)
        asked = self._questions(from_memory=from_memory)
        self._is_failure_waiting = False
        answers = await asyncio.gather(*(ask() for _, ask in asked.values()))
        for (name, (kind, _)), answered in zip(asked.items(), answers, strict=True):
            if kind != "monitor" or name in self._states:
                self._states[name] = evolve_canary(self._states.get(name, Canary(name, kind)), answered)
        self._states = {name: state for name, state in self._states.items() if name in asked or name in self._chosen}
        for name in asked:
            canary = self._states.get(name)
            if canary is not None and not canary.ever_answered and canary.failures == FAILURES_THAT_COUNT:
                self._log.info("canary_off", canary=canary.name, why="it never answered, so it proves nothing")
        self._is_doubtful = is_in_doubt(
            [self._states[name] for name in asked if name in self._states], from_memory=from_memory
        )
        self._network.take(decide_condition(self._states.values()))
        self._names.take(decide_names(self._states.values()))

    def _questions(self, *, from_memory: bool) -> dict[str, tuple[CanaryKind, Ask]]:
        asked: dict[str, tuple[CanaryKind, Ask]] = {}
        for server in self._resolver.servers():
            question = _NameServerQuestion(self._resolver, server.address, server.port, from_memory)
            asked[f"name server {server}"] = "name server", question
        for host, port in self._endpoints:
            asked[f"{host}:{port}"] = "place", _Connection(self._resolver, host, port, None, self._source_address)
        for name, watched in self._monitors_to_ask().items():
            self._asked_at[name] = asyncio.get_running_loop().time()
            place = watched.place
            connection = _Connection(self._resolver, place.host, place.port, self._policy, self._source_address)
            asked[name] = "monitor", connection
        return asked

    def _monitors_to_ask(self) -> dict[str, Watched]:
        """One for a failure's sake, the one that was left alone for longest; all of them while all seems silent."""
        if self._is_doubtful or not self.condition.healthy:
            return {name: each for name, each in self._chosen.items() if self._may_ask(name)}
        seen_lately = self._now_ms() - self._sighted_ms <= SIGHT_COUNTS_MS
        if not self._is_failure_waiting or seen_lately or len(self._chosen) < ENOUGH_MONITORS:
            return {}
        scout = min(self._chosen, key=self._last_asked_at)
        is_all_there_is = all(not each.ever_answered for each in self._states.values() if each.kind != "monitor")
        return {scout: self._chosen[scout]} if is_all_there_is or self._has_rested(scout) else {}

    def _may_ask(self, name: str) -> bool:
        """Once more at once, as one failure may be chance."""
        return self._states[name].failures < FAILURES_THAT_COUNT or self._has_rested(name)

    def _has_rested(self, name: str) -> bool:
        return asyncio.get_running_loop().time() - self._last_asked_at(name) >= MONITOR_REST_SECONDS

    def _last_asked_at(self, name: str) -> float:
        return self._asked_at.get(name, float("-inf"))


def _name_of(watched: Watched) -> str:
    return f"own monitor {watched.place}"


class _NameServerQuestion:
    """Does it know the root? Anything but a real answer, a local stub's SERVFAIL too, is no sign of a network.

    Not `from_memory` it is asked for a name that nobody has asked for before, so that it has to look for it.
    """

    def __init__(self, resolver: Resolver, address: str, port: int, from_memory: bool) -> None:
        self._resolver, self._address, self._port = resolver, address, port
        self._name = "" if from_memory else f"farwatch-{secrets.token_hex(6)}"

    async def __call__(self) -> bool:
        ask = self._resolver.ask_server
        try:
            reply = await ask(self._address, self._port, self._name, dnswire.NS, PATIENCE_SECONDS)
        except ServerFault:
            return False
        return reply.rcode in (dnswire.NOERROR, dnswire.NXDOMAIN)


class _Connection:
    def __init__(
        self, resolver: Resolver, host: str, port: int, policy: AddressPolicy | None, source_address: str | None
    ) -> None:
        self._resolver, self._host, self._port = resolver, host, port
        self._policy, self._source_address = policy, source_address

    async def __call__(self) -> bool:
        deadline = asyncio.get_running_loop().time() + PATIENCE_SECONDS
        try:
            addresses = await self._resolver.addresses(self._host, "any", deadline)
            if self._policy is not None:
                addresses = [each for each in addresses if self._policy.refusal(each, self._port) is None]
            if addresses:
                await dial(addresses, self._port, PATIENCE_SECONDS, self._source_address)
        except (ProbeFailure, DialFault):
            return False
        return bool(addresses)
