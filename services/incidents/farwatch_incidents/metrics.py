"""What the fold says about itself to Prometheus."""

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 60.0)


class Metrics:
    def __init__(self, registry: CollectorRegistry) -> None:
        self.lag = Histogram(
            "farwatch_fold_lag_seconds",
            "From a message's arrival in its stream to the commit of its batch, oldest message of each batch",
            buckets=_SECONDS,
            registry=registry,
        )
        self.batch = Histogram(
            "farwatch_fold_batch_results",
            "Results in one transaction",
            buckets=(0, 1, 3, 10, 30, 100, 300, 1000, 3000),
            registry=registry,
        )
        self.commit = Histogram(
            "farwatch_fold_commit_seconds", "Duration of one transaction", buckets=_SECONDS, registry=registry
        )
        self.results = Counter("farwatch_fold_results", "Results folded in", registry=registry)
        self.dropped = Counter("farwatch_fold_results_dropped", "Results left out, by why", ["why"], registry=registry)
        self.late = Counter("farwatch_fold_results_late", "Results that became history only", registry=registry)
        self.poison = Counter("farwatch_fold_messages_unreadable", "Messages that made no sense", registry=registry)
        self.restarts = Counter(
            "farwatch_fold_restarts", "Times the fold dropped its memory and read it again", registry=registry
        )
        self.epoch = Gauge("farwatch_fold_epoch", "Epoch of this fold, 0 while it stands by", registry=registry)
        self.monitors = Gauge("farwatch_fold_monitors", "Monitors in memory", registry=registry)
