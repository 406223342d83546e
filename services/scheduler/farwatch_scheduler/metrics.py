"""What the scheduler counts."""

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

_LATENESS_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60)


class Metrics:
    def __init__(self, registry: CollectorRegistry) -> None:
        self.due = Counter("farwatch_due_checks", "Due checks handed to the bus", ["kind"], registry=registry)
        self.skipped = Counter(
            "farwatch_skipped_slots",
            "Slots that nobody was asked for: overdue by more than an interval, pushed out of a full queue, or refused",
            ["why"],
            registry=registry,
        )
        self.lateness = Histogram(
            "farwatch_due_lateness_seconds",
            "From the slot to handing its chunk to the bus",
            buckets=_LATENESS_SECONDS,
            registry=registry,
        )
        self.monitors = Gauge("farwatch_ring_monitors", "Monitors on the rings", registry=registry)
        self.epoch = Gauge("farwatch_schedule_epoch", "Epoch of this scheduler, 0 on standby", registry=registry)
        self.parked = Gauge("farwatch_slots_parked", "1 while our clock is far ahead of the bus", registry=registry)
