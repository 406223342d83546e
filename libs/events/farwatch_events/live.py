"""What browsers are told after a commit, on core NATS: deltas, never the truth."""

from farwatch_events.model import Message
from farwatch_events.results import CheckResult


class LiveMonitor(Message):
    """`live.monitor.<id>`: a result was stored for this monitor, or its verdict or incident changed."""

    monitor_id: int
    slot_ms: int
    region: str
    verdict: str
    verdict_changed: bool = False
    outcome: str = "up"
    latency_ms: float | None = None
    incident_id: int | None = None


class LiveCheck(Message):
    """`live.check.<request_id>`: the stored result of one region for a "check now"."""

    request_id: str
    region: str
    result: CheckResult
