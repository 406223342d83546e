"""The result written by hand says what the model says."""

import json
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from farwatch_events.checks import DueCheck
from farwatch_events.monitor import parse_monitor
from farwatch_events.results import Certificate, CheckResult, ErrorClass, Evidence
from farwatch_prober.outcome import Phases, ProbeOutcome, failed
from farwatch_prober.reporting import Report

SPEC = parse_monitor({"type": "http", "name": "x", "url": "http://a.test/"})
milliseconds = st.floats(min_value=0, max_value=1e6, allow_nan=False).map(lambda value: round(value, 3))
maybe = st.none() | milliseconds
counts = st.integers(min_value=0, max_value=2**53)
texts = st.text(max_size=40)
phases = st.builds(Phases, dns_ms=maybe, connect_ms=maybe, tls_ms=maybe, wait_ms=maybe, transfer_ms=maybe)
certificates = st.builds(Certificate, not_after_ms=counts, days=st.integers(-9999, 9999), subject=texts, issuer=texts)


def due(**fields: Any) -> DueCheck:
    return DueCheck.model_validate({"monitor_id": 1, "config_version": 2, "slot_ms": 3, "spec": SPEC} | fields)


@given(
    latency_ms=milliseconds, phases=phases, status=st.none() | st.integers(100, 599), address=st.none() | texts,
    certificate=st.none() | certificates, lag_ms=maybe, epoch=counts, started_ms=counts, finished_ms=counts,
)  # fmt: skip
def test_the_usual_result_is_the_same_by_hand(
    latency_ms: float, phases: Phases, status: int | None, address: str | None, certificate: Certificate | None,
    lag_ms: float | None, epoch: int, started_ms: int, finished_ms: int,
) -> None:  # fmt: skip
    outcome = ProbeOutcome("up", latency_ms, phases, status, address, certificate=certificate)
    report = Report(due(), epoch, outcome, [(started_ms, outcome)], started_ms, finished_ms, None, lag_ms)
    assert report._is_usual()
    assert CheckResult.from_bytes(report.to_bytes()) == report.to_result()
    assert json.loads(report.to_bytes()) == json.loads(report.to_result().to_bytes())


@given(error=texts, epoch=counts, started_ms=counts, finished_ms=counts)
def test_a_skipped_slot_is_the_same_by_hand(error: str, epoch: int, started_ms: int, finished_ms: int) -> None:
    report = Report(due(), epoch, failed(ErrorClass.SKIPPED, error), (), started_ms, finished_ms)
    assert report._is_skipped()
    assert CheckResult.from_bytes(report.to_bytes()) == report.to_result()
    assert json.loads(report.to_bytes()) == json.loads(report.to_result().to_bytes())


def test_anything_else_is_left_to_the_model() -> None:
    up = ProbeOutcome("up", 1.0)
    down = failed(ErrorClass.STATUS, "Answered 503")
    slow = ProbeOutcome("degraded", 1.0, reasons=("Slow",))
    seen = Evidence(status_line="HTTP/1.1 503")
    for report in (
        Report(due(), 1, down, [(1, down)], 1, 2, seen, 0.5),
        Report(due(), 1, slow, [(1, slow)], 1, 2),
        Report(due(), 1, up, [(1, down), (2, up)], 1, 2, seen),
        Report(due(kind="confirmation", confirmation_of_ms=9), 1, up, [(1, up)], 1, 2),
        Report(due(kind="manual", request_id="a"), 1, up, [(1, up)], 1, 2),
        Report(due(kind="manual", request_id="a"), 1, failed(ErrorClass.SKIPPED, "late"), (), 1, 1),
        Report(due(), 1, failed(ErrorClass.BLOCKED, "late"), (), 1, 1),
    ):
        assert not report._is_usual()
        assert not report._is_skipped()
        assert CheckResult.from_bytes(report.to_bytes()) == report.to_result()


def test_a_new_field_of_results_is_thought_of_here() -> None:
    """Whoever adds one decides whether the usual result has it."""
    assert set(CheckResult.model_fields) == {
        "monitor_id", "config_version", "slot_ms", "kind", "epoch", "outcome", "started_ms", "finished_ms",
        "latency_ms", "phases", "status_code", "address", "attempts", "tries", "error_class", "error", "reasons",
        "assertions", "certificate", "evidence", "page", "request_id", "confirmation_of_ms", "push",
        "lag_ms",
    }  # fmt: skip
    assert set(ProbeOutcome.__dataclass_fields__) == {
        "outcome", "latency_ms", "phases", "status_code", "address", "error_class", "error", "reasons", "assertions",
        "certificate", "evidence", "page",
    }  # fmt: skip
