"""From a finished transfer of libcurl to phases and faults, for the probes that use it."""

from collections.abc import Sequence
from dataclasses import dataclass

from farwatch_events.results import Certificate, ErrorClass
from farwatch_prober import classify
from farwatch_prober.certificates import certificate_at
from farwatch_prober.curl import CurlRequest, Transfer
from farwatch_prober.outcome import Phases, endpoint, rounded


@dataclass(slots=True)
class Timings:
    """Milliseconds of each phase, summed over the hops of a check; None while a phase did not happen."""

    dns_ms: float | None = None
    connect_ms: float | None = None
    tls_ms: float | None = None
    wait_ms: float | None = None
    transfer_ms: float | None = None
    latency_ms: float = 0.0

    def add_dns(self, milliseconds: float) -> None:
        self.dns_ms = _plus(self.dns_ms, milliseconds)
        self.latency_ms += milliseconds

    def add_transfer(self, transfer: Transfer) -> None:
        self.latency_ms += transfer.total_seconds * 1000
        ready = transfer.connect_seconds
        if not ready:
            return
        self.connect_ms = _plus(self.connect_ms, (ready - transfer.resolved_seconds) * 1000)
        if transfer.tls_seconds:
            self.tls_ms = _plus(self.tls_ms, (transfer.tls_seconds - transfer.connect_seconds) * 1000)
            ready = transfer.tls_seconds
        if transfer.status:
            self.wait_ms = _plus(self.wait_ms, (transfer.first_byte_seconds - ready) * 1000)
            self.transfer_ms = _plus(self.transfer_ms, (transfer.total_seconds - transfer.first_byte_seconds) * 1000)

    def phases(self) -> Phases:
        return Phases(
            None if self.dns_ms is None else rounded(self.dns_ms),
            None if self.connect_ms is None else rounded(self.connect_ms),
            None if self.tls_ms is None else rounded(self.tls_ms),
            None if self.wait_ms is None else rounded(self.wait_ms),
            None if self.transfer_ms is None else rounded(self.transfer_ms),
        )

    def latency(self) -> float:
        return rounded(self.latency_ms)


def _plus(sum_ms: float | None, more_ms: float) -> float:
    if more_ms < 0.0:
        more_ms = 0.0
    return more_ms if sum_ms is None else sum_ms + more_ms


def fault_of(
    request: CurlRequest, addresses: Sequence[str], transfer: Transfer, timeout_seconds: float
) -> tuple[ErrorClass, str]:
    """`timeout_seconds` is the whole check's, which is what people configured."""
    return classify.classify_transfer(
        classify.TransferFault(
            code=transfer.code,
            message=transfer.message,
            os_errno=transfer.os_errno,
            endpoint=endpoint(transfer.address or addresses[0], request.proxy_port or request.port),
            host=request.host,
            is_tls=request.is_tls,
            connected=transfer.connect_seconds > 0,
            secured=transfer.tls_seconds > 0,
            answered=transfer.status > 0,
            timeout_seconds=timeout_seconds,
            proxied=request.proxy_port is not None,
        )
    )


def certificate_of(transfer: Transfer, now_ms: int) -> Certificate | None:
    facts = transfer.certificate
    return None if facts is None else certificate_at(facts.not_after_ms, facts.subject, facts.issuer, now_ms)
