"""Asks the canaries every few seconds: the configured name servers, and what FARWATCH_CANARIES names."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

from farwatch_prober import dnswire
from farwatch_prober.dial import DialFault, dial
from farwatch_prober.nameserver import ServerFault
from farwatch_prober.outcome import ProbeFailure
from farwatch_prober.resolver import Resolver
from farwatch_prober.selfcheck import FAILURES_THAT_COUNT, Canary, Condition, decide_condition, evolve_canary

PERIOD_SECONDS = 5.0
PATIENCE_SECONDS = 3.0

Ask = Callable[[], Awaitable[bool]]


class Canaries:
    def __init__(self, resolver: Resolver, endpoints: Sequence[tuple[str, int]], *, enabled: bool, log: Any) -> None:
        self._resolver = resolver
        self._endpoints = tuple(endpoints)
        self._enabled = enabled
        self._log = log
        self._states: dict[str, Canary] = {}
        self.condition = Condition(healthy=True)

    async def run(self) -> None:
        while self._enabled:
            await self.ask_all()
            await asyncio.sleep(PERIOD_SECONDS)

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
