"""What a prober tells Prometheus."""

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from farwatch_events.results import CheckResult

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
        self.healthy = Gauge("farwatch_prober_healthy", "1 while this prober believes itself", registry=registry)
        self._known: dict[tuple[str, str, str], Counter] = {}
        self._known_latency: dict[str, Histogram] = {}

    def count(self, check_type: str, result: CheckResult) -> None:
        key = (check_type, result.outcome, str(result.error_class or ""))
        counter = self._known.get(key)
        if counter is None:
            counter = self._known[key] = self._checks.labels(*key)
        counter.inc()
        if result.kind == "scheduled":
            self.start_delay.observe(max(0, result.started_ms - result.slot_ms) / 1000)
        if result.latency_ms is not None:
            histogram = self._known_latency.get(check_type)
            if histogram is None:
                histogram = self._known_latency[check_type] = self._latency.labels(check_type)
            histogram.observe(result.latency_ms / 1000)
