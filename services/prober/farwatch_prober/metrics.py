"""What a prober tells Prometheus."""

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from farwatch_events.results import ErrorClass
from farwatch_prober.reporting import Report

LATENCY_BUCKETS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60)


class Metrics:
    def __init__(self, registry: CollectorRegistry) -> None:
        self._checks = Counter(
            "farwatch_checks", "Checks answered", ["type", "outcome", "error_class"], registry=registry
        )
        self._latency = Histogram(
            "farwatch_check_latency_seconds", "Latency of checks that got an answer", ["type"],
            buckets=LATENCY_BUCKETS, registry=registry,
        )  # fmt: skip
        self.chunks = Counter("farwatch_chunks", "Chunks of due checks", ["fate"], registry=registry)
        self.in_flight = Gauge("farwatch_checks_in_flight", "Checks running now", registry=registry)
        self.unconfirmed = Gauge("farwatch_results_unconfirmed", "Results not stored yet", registry=registry)
        self.start_delay = Histogram(
            "farwatch_check_start_delay_seconds", "From the slot to the start of its check",
            buckets=(0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 60), registry=registry,
        )  # fmt: skip
        self.lag = Gauge("farwatch_prober_lag_seconds", "How late the event loop runs, recent worst", registry=registry)
        self.held = Gauge(
            "farwatch_prober_held_back_seconds", "How long starting checks was put off since the loop ran late",
            registry=registry,
        )  # fmt: skip
        self.healthy = Gauge("farwatch_prober_healthy", "1 while this prober believes itself", registry=registry)
        self._known: dict[tuple[str, str, str], Counter] = {}
        self._known_latency: dict[str, Histogram] = {}

    def count(self, report: Report) -> None:
        due, outcome = report.due, report.outcome
        check_type = due.spec.type
        self._count((check_type, outcome.outcome, outcome.error_class or ""))
        if due.kind == "scheduled":
            self.start_delay.observe(max(0, report.started_ms - due.slot_ms) / 1000)
        if outcome.latency_ms is not None:
            histogram = self._known_latency.get(check_type)
            if histogram is None:
                histogram = self._known_latency[check_type] = self._latency.labels(check_type)
            histogram.observe(outcome.latency_ms / 1000)

    def count_unreadable(self) -> None:
        self._count(("unreadable", "unknown", ErrorClass.INTERNAL))

    def _count(self, key: tuple[str, str, str]) -> None:
        counter = self._known.get(key)
        if counter is None:
            counter = self._known[key] = self._checks.labels(*key)
        counter.inc()
