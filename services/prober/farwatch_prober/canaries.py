"""Asks the canaries every few seconds: the configured name servers, and what FARWATCH_CANARIES names.

And before a failure is believed: a prober's network may be gone long before its canaries' turn comes.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

from farwatch_prober import dnswire
from farwatch_prober.dial import DialFault, dial
from farwatch_prober.nameserver import ServerFault
from farwatch_prober.outcome import ProbeFailure
from farwatch_prober.resolver import Resolver
from farwatch_prober.selfcheck import (
    FAILURES_THAT_COUNT,
    Canary,
    Condition,
    decide_condition,
    evolve_canary,
    is_in_doubt,
)
from farwatch_runtime.clock import now_ms

PERIOD_SECONDS = 5.0
PATIENCE_SECONDS = 3.0
BETWEEN_ROUNDS_SECONDS = 0.5
"""At least, so that neither a flood of failures nor one short blip is worth more than a few questions."""

Ask = Callable[[], Awaitable[bool]]


class Canaries:
    def __init__(
        self,
        resolver: Resolver,
        endpoints: Sequence[tuple[str, int]],
        *,
        enabled: bool,
        log: Any,
        now_ms: Callable[[], int] = now_ms,
    ) -> None:
        self._now_ms = now_ms
        self._resolver = resolver
        self._endpoints = tuple(endpoints)
        self._enabled = enabled
        self._log = log
        self._states: dict[str, Canary] = {}
        self._round: asyncio.Task[None] | None = None
        self._next: asyncio.Task[None] | None = None
        self._asked_at = -BETWEEN_ROUNDS_SECONDS
        self._well_since_ms = 0
        self.condition = Condition(healthy=True)

    async def run(self) -> None:
        while self._enabled:
            await self._ask_anew()
            await asyncio.sleep(PERIOD_SECONDS)

    async def believes(self, started_ms: int) -> bool:
        """Whether what failed since then may be laid at the target's door: the canaries, asked now, still answer, and
        have done so all the while. Of everything that fails at once all wait for the same few questions."""
        if not self._enabled or not any(canary.ever_answered for canary in self._states.values()):
            return True
        await self._ask_anew()
        if self.condition.healthy and is_in_doubt(self._states.values()):
            await self._ask_anew()
        return self.condition.healthy and started_ms >= self._well_since_ms

    async def _ask_anew(self) -> None:
        """A round that begins after this call; whoever comes while one is under way shares the next."""
        if self._next is None:
            self._next = asyncio.create_task(self._ask_after(self._round), name="canaries")
        await asyncio.shield(self._next)

    async def _ask_after(self, before: asyncio.Task[None] | None) -> None:
        loop = asyncio.get_running_loop()
        if before is not None:
            await asyncio.wait({before})
        await asyncio.sleep(self._asked_at + BETWEEN_ROUNDS_SECONDS - loop.time())
        self._round, self._next = self._next, None
        await self.ask_all()
        self._asked_at = loop.time()

    async def ask_all(self) -> None:
        asked = self._questions()
        answers = await asyncio.gather(*(ask() for ask in asked.values()))
        before = self._states
        self._states = {
            name: evolve_canary(before.get(name, Canary(name)), answered)
            for name, answered in zip(asked, answers, strict=True)
        }
        for canary in self._states.values():
            if not canary.ever_answered and canary.failures == FAILURES_THAT_COUNT:
                self._log.info("canary_off", canary=canary.name, why="it never answered, so it proves nothing")
        self._take(decide_condition(self._states.values()))

    def _take(self, condition: Condition) -> None:
        if condition.healthy != self.condition.healthy:
            self._log.warning("prober_health_changed", healthy=condition.healthy, reason=condition.reason)
            self._well_since_ms = self._now_ms()
        self.condition = condition

    def _questions(self) -> dict[str, Ask]:
        asked: dict[str, Ask] = {}
        for server in self._resolver.servers():
            asked[f"name server {server}"] = _NameServerQuestion(self._resolver, server.address, server.port)
        for host, port in self._endpoints:
            asked[f"{host}:{port}"] = _Connection(self._resolver, host, port)
        return asked


class _NameServerQuestion:
    """Does it know the root? Anything but a real answer, a local stub's SERVFAIL too, is no sign of a network."""

    def __init__(self, resolver: Resolver, address: str, port: int) -> None:
        self._resolver, self._address, self._port = resolver, address, port

    async def __call__(self) -> bool:
        try:
            reply = await self._resolver.ask_server(self._address, self._port, "", dnswire.NS, PATIENCE_SECONDS)
        except ServerFault:
            return False
        return reply.rcode in (dnswire.NOERROR, dnswire.NXDOMAIN)


class _Connection:
    def __init__(self, resolver: Resolver, host: str, port: int) -> None:
        self._resolver, self._host, self._port = resolver, host, port

    async def __call__(self) -> bool:
        deadline = asyncio.get_running_loop().time() + PATIENCE_SECONDS
        try:
            addresses = await self._resolver.addresses(self._host, "any", deadline)
            await dial(addresses, self._port, PATIENCE_SECONDS)
        except (ProbeFailure, DialFault):
            return False
        return True
