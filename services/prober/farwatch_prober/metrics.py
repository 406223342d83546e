"""What a prober tells Prometheus."""

from prometheus_client import CollectorRegistry, Counter, Gauge

from farwatch_events.results import ErrorClass
from farwatch_prober.reporting import Report
from farwatch_runtime.tallies import Counts, Distributions

LATENCY_BUCKETS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60)
DELAY_BUCKETS = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 60)


class Metrics:
    def __init__(self, registry: CollectorRegistry) -> None:
        self._checks = Counts("farwatch_checks", "Checks answered", ["type", "outcome", "error_class"], registry).of
        self._latency = Distributions(
            "farwatch_check_latency_seconds",
            "Latency of checks that got an answer",
            ["type"],
            LATENCY_BUCKETS,
            registry,
        ).of
        self._start_delay = Distributions(
            "farwatch_check_start_delay_seconds", "From the slot to the start of its check", [], DELAY_BUCKETS, registry
        ).of[()]
        self.chunks = Counter("farwatch_chunks", "Chunks of due checks", ["fate"], registry=registry)
        self.in_flight = Gauge("farwatch_checks_in_flight", "Checks running now", registry=registry)
        self.unconfirmed = Gauge("farwatch_results_unconfirmed", "Results not stored yet", registry=registry)
        self.lag = Gauge("farwatch_prober_lag_seconds", "How late the event loop runs, recent worst", registry=registry)
        self.held = Gauge(
            "farwatch_prober_held_back_seconds", "How long starting checks was put off since the loop ran late",
            registry=registry,
        )  # fmt: skip
        self.leaves_out = Gauge(
            "farwatch_prober_leaves_out", "1 while it leaves checks out, since more are due than can be made",
            registry=registry,
        )  # fmt: skip
        self.healthy = Gauge("farwatch_prober_healthy", "1 while this prober believes itself", registry=registry)

    def count(self, report: Report) -> None:
        due, outcome = report.due, report.outcome
        check_type = due.spec.type
        self._checks[check_type, outcome.outcome, outcome.error_class or ""] += 1
        if due.kind == "scheduled":
            self._start_delay.observe(max(0, report.started_ms - due.slot_ms) / 1000)
        if outcome.latency_ms is not None:
            self._latency[check_type,].observe(outcome.latency_ms / 1000)

    def count_unreadable(self) -> None:
        self._checks["unreadable", "unknown", ErrorClass.INTERNAL] += 1
