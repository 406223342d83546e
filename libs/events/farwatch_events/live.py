"""What browsers are told after a commit, on core NATS: deltas, never the truth."""

from farwatch_events.model import Message
from farwatch_events.results import CheckResult

LIVE_MONITORS_MAX = 500


class LiveMonitor(Message):
    """A result was stored for this monitor, or its verdict or incident changed."""

    monitor_id: int
    slot_ms: int
    region: str
    verdict: str
    verdict_changed: bool = False
    outcome: str = "up"
    latency_ms: float | None = None
    incident_id: int | None = None


class LiveMonitors(Message):
    """`live.monitors`: what one commit changed, at most LIVE_MONITORS_MAX monitors a message.

    One message for many: a thousand small ones a second would cost every reader more than the checks themselves.
    """

    monitors: list[LiveMonitor]


class LiveCheck(Message):
    """`live.check.<request_id>`: the stored result of one region for a "check now"."""

    request_id: str
    region: str
    result: CheckResult
