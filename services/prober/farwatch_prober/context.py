"""What a probe gets beside its specification."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from farwatch_events.results import ErrorClass
from farwatch_prober.curl import CurlEngine
from farwatch_prober.icmp import Pinger
from farwatch_prober.outcome import ProbeFailure
from farwatch_prober.policy import AddressPolicy
from farwatch_prober.resolver import Family, Resolver


@dataclass(frozen=True, slots=True)
class Tools:
    """What all checks of a process share."""

    resolver: Resolver
    policy: AddressPolicy
    curl: CurlEngine
    pinger: Pinger
    source_address: str | None = None
    authorities: Path | None = None

    async def close(self) -> None:
        await self.curl.close()
        await self.resolver.close()
        self.pinger.close()


@dataclass(slots=True)
class ProbeContext:
    """One try. `deadline` is of `clock`, the loop's time; `now_ms` the wall clock at its start.

    `address` is what was dialled, so that it is known even when the try ends early.
    """

    tools: Tools
    now_ms: int
    timeout_seconds: float
    deadline: float
    clock: Callable[[], float]
    address: str | None = None

    @property
    def left_seconds(self) -> float:
        return self.deadline - self.clock()

    def require_time(self) -> float:
        """The seconds that are left. Raises ProbeFailure (timeout) when there are none."""
        left = self.deadline - self.clock()
        if left <= 0:
            raise ProbeFailure(ErrorClass.TIMEOUT, f"Not finished within {self.timeout_seconds:g} s")
        return left

    async def resolve(self, host: str, port: int | None, family: Family) -> tuple[tuple[str, ...], float]:
        """The addresses that may be dialled, and the milliseconds it took to find them.

        Raises ProbeFailure: dns, internal, or blocked when the policy lets none of them through.
        """
        started = time.perf_counter()
        resolver = self.tools.resolver
        found = await resolver.addresses(host, family, self.deadline)
        self.address = found[0]
        return self._vetted(found, port), (time.perf_counter() - started) * 1000

    def _vetted(self, found: list[str], port: int | None) -> tuple[str, ...]:
        refusals = [self.tools.policy.refusal(address, port) for address in found]
        if refusals == [None]:
            return (found[0],)
        allowed = tuple(address for address, refusal in zip(found, refusals, strict=True) if refusal is None)
        if not allowed:
            raise ProbeFailure(ErrorClass.BLOCKED, f"Not probed: {refusals[0]}")
        self.address = allowed[0]
        return allowed
