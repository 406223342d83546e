"""What Prometheus is told."""

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

_SECONDS = (0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 3600, 86_400)


class Metrics:
    def __init__(self, registry: CollectorRegistry) -> None:
        self.intents = Counter(
            "farwatch_notifier_intents", "Deliveries decided", ["moment", "state"], registry=registry
        )
        self.skipped_events = Counter(
            "farwatch_notifier_skipped_events", "Events that could not be made sense of", registry=registry
        )
        self.attempts = Counter(
            "farwatch_notifier_attempts",
            "Attempts to deliver, by how they ended: delivered, retry, failed",
            ["type", "outcome"],
            registry=registry,
        )
        self.send_seconds = Histogram(
            "farwatch_notifier_send_seconds", "Time of one attempt", ["type"], registry=registry, buckets=_SECONDS
        )
        self.delay_seconds = Histogram(
            "farwatch_notifier_delay_seconds",
            "From the decision to tell somebody until it was delivered",
            ["type"],
            registry=registry,
            buckets=_SECONDS,
        )
        self.pending = Gauge("farwatch_notifier_pending", "Deliveries not yet made", registry=registry)
        self.busy_channels = Gauge("farwatch_notifier_busy_channels", "Channels being sent to", registry=registry)
        self.pauses = Counter(
            "farwatch_notifier_channel_pauses", "Times a failing channel was left alone", registry=registry
        )
