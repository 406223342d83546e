"""What a check came to, as the message that is published. Pure."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

from farwatch_events.results import CheckResult, ErrorClass, Evidence, Try
from farwatch_prober.due import Due
from farwatch_prober.outcome import Phases, ProbeOutcome

CACHED_ADDRESSES = 4096


@dataclass(slots=True)
class Report:
    """`tries` are the start and the outcome of each; `outcome` is the last one's."""

    due: Due
    epoch: int
    outcome: ProbeOutcome
    tries: Sequence[tuple[int, ProbeOutcome]]
    started_ms: int
    finished_ms: int
    evidence: Evidence | None = None
    lag_ms: float | None = None

    def to_result(self) -> CheckResult:
        due, outcome = self.due, self.outcome
        return CheckResult(
            monitor_id=due.monitor_id,
            config_version=due.config_version,
            slot_ms=due.slot_ms,
            kind=due.kind,
            epoch=self.epoch,
            outcome=outcome.outcome,
            started_ms=self.started_ms,
            finished_ms=self.finished_ms,
            latency_ms=outcome.latency_ms,
            phases=outcome.phases.to_message(),
            status_code=outcome.status_code,
            address=outcome.address,
            attempts=len(self.tries),
            tries=[_as_try(started_ms, tried) for started_ms, tried in self.tries],
            error_class=outcome.error_class,
            error=outcome.error,
            reasons=list(outcome.reasons),
            assertions=list(outcome.assertions),
            certificate=outcome.certificate,
            evidence=self.evidence,
            page=outcome.page,
            request_id=due.request_id,
            confirmation_of_ms=due.confirmation_of_ms,
            lag_ms=self.lag_ms,
        )

    def to_bytes(self) -> bytes:
        """What `to_result` says in JSON. The usual result is written at once, at a fifth of the model's cost, and so is
        a skipped slot: there are many of them when there is no time."""
        if self._is_usual():
            return _write_usual(self)
        return _write_skipped(self) if self._is_skipped() else self.to_result().to_bytes()

    def _is_usual(self) -> bool:
        """Up at the first try of a scheduled slot, with nothing more to tell."""
        outcome, due = self.outcome, self.due
        return (
            outcome.outcome == "up"
            and len(self.tries) == 1
            and due.kind == "scheduled"
            and not outcome.assertions
            and outcome.page is None
            and self.evidence is None
            and outcome.latency_ms is not None
            and due.request_id is None
            and due.confirmation_of_ms is None
        )

    def _is_skipped(self) -> bool:
        """A scheduled slot that nobody looked at."""
        outcome, due = self.outcome, self.due
        return outcome.error_class is ErrorClass.SKIPPED and due.kind == "scheduled" and not self.tries


def _as_try(started_ms: int, outcome: ProbeOutcome) -> Try:
    return Try(
        started_ms=started_ms,
        latency_ms=outcome.latency_ms,
        error_class=outcome.error_class,
        error=outcome.error,
        address=outcome.address,
    )


def _write_usual(report: Report) -> bytes:
    outcome = report.outcome
    status = f',"status_code":{outcome.status_code}' if outcome.status_code is not None else ""
    address = _write_address(outcome.address) if outcome.address is not None else ""
    certificate = f',"certificate":{outcome.certificate.to_bytes().decode()}' if outcome.certificate else ""
    lag = f',"lag_ms":{report.lag_ms!r}' if report.lag_ms is not None else ""
    latency = f'"latency_ms":{outcome.latency_ms!r}'
    return (
        f'{{{_write_identity(report)},"outcome":"up",{_write_times(report)},{latency}'
        f'{_write_phases(outcome.phases)}{status}{address},"tries":[{{"started_ms":{report.tries[0][0]},{latency}{address}}}]{certificate}{lag}}}'
    ).encode()


def _write_skipped(report: Report) -> bytes:
    """Most of a chunk are skipped with the same words."""
    return (
        f'{{{_write_identity(report)},"outcome":"unknown",{_write_times(report)},"attempts":0,'
        f'"error_class":"skipped","error":{_write_sentence(report.outcome.error)}}}'
    ).encode()


def _write_identity(report: Report) -> str:
    due = report.due
    epoch = f',"epoch":{report.epoch}' if report.epoch else ""
    return f'"monitor_id":{due.monitor_id},"config_version":{due.config_version},"slot_ms":{due.slot_ms}{epoch}'


def _write_times(report: Report) -> str:
    return f'"started_ms":{report.started_ms},"finished_ms":{report.finished_ms}'


@lru_cache(maxsize=64)
def _write_sentence(sentence: str | None) -> str:
    return json.dumps(sentence)


@lru_cache(maxsize=CACHED_ADDRESSES)
def _write_address(address: str) -> str:
    return f',"address":{json.dumps(address)}'


def _write_phases(phases: Phases) -> str:
    """One after the other: to go over the names of the fields costs twice as much."""
    dns = f',"dns_ms":{phases.dns_ms!r}' if phases.dns_ms is not None else ""
    connect = f',"connect_ms":{phases.connect_ms!r}' if phases.connect_ms is not None else ""
    tls = f',"tls_ms":{phases.tls_ms!r}' if phases.tls_ms is not None else ""
    wait = f',"wait_ms":{phases.wait_ms!r}' if phases.wait_ms is not None else ""
    transfer = f',"transfer_ms":{phases.transfer_ms!r}' if phases.transfer_ms is not None else ""
    written = f"{dns}{connect}{tls}{wait}{transfer}"
    return f',"phases":{{{written[1:]}}}' if written else ""
