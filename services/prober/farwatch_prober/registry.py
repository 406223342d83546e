"""Every check type that a prober runs. A new one is a module in probes/, a line here and its tests."""

from typing import Any, Protocol

from farwatch_prober.context import ProbeContext
from farwatch_prober.outcome import ProbeOutcome
from farwatch_prober.probes import dns, http, ping, port, tls


class Probe(Protocol):
    """ONE try of a check. It may raise ProbeFailure, ends by the context's deadline, and never retries."""

    async def __call__(self, spec: Any, context: ProbeContext) -> ProbeOutcome: ...


PROBES: dict[str, Probe] = {
    "http": http.probe,
    "ping": ping.probe,
    "port": port.probe,
    "dns": dns.probe,
    "tls": tls.probe,
}
