"""Short words for the tests of the rules."""

from typing import Any

from farwatch_events.events import DomainEvent
from farwatch_events.results import CheckResult, ErrorClass, Heartbeat, ResultBatch, Try
from farwatch_incidents.board import Board
from farwatch_incidents.rules.config import MonitorConfig

MINUTE = 60_000
START = 1_790_000_000_000 // MINUTE * MINUTE
REFUSED: dict[str, Any] = {"error_class": ErrorClass.CONNECT_REFUSED, "error": "connection refused"}


def config(monitor_id: int = 1, **fields: Any) -> MonitorConfig:
    """Every minute, one retry, two seconds for a check."""
    standard: dict[str, Any] = {
        "name": f"site {monitor_id}", "config_version": 1, "interval_ms": MINUTE, "max_check_ms": 2_000, "retries": 1,
    }  # fmt: skip
    return MonitorConfig(monitor_id=monitor_id, **{**standard, **fields})


def result(outcome: str, slot: int, monitor_id: int = 1, failed: int = 2, **fields: Any) -> CheckResult:
    """`slot` counts minutes. `failed` is how many tries a failed one made."""
    slot_ms = START + slot * MINUTE
    standard: dict[str, Any] = {
        "monitor_id": monitor_id, "config_version": 1, "slot_ms": slot_ms, "outcome": outcome, "started_ms": slot_ms,
        "finished_ms": slot_ms + 100, "latency_ms": 100.0,
    }  # fmt: skip
    if outcome == "down":
        tries = [Try(started_ms=slot_ms, **REFUSED) for _ in range(failed)]
        standard |= {"attempts": failed, "tries": tries, "latency_ms": None, **REFUSED}
    elif outcome == "unknown":
        standard |= {"error_class": ErrorClass.INTERNAL, "error": "the prober failed"}
    elif outcome == "skipped":
        standard |= {"outcome": "unknown", "error_class": ErrorClass.SKIPPED, "error": "the slot was too old"}
    elif outcome == "degraded":
        standard |= {"reasons": ["answered in 2300 ms, more than 1000 ms"]}
    return CheckResult(**{**standard, **fields})


class Game:
    """A board with regions that are heard, played by slot."""

    def __init__(self, *regions: str, **fields: Any) -> None:
        self.board = Board()
        self.board.at(START)
        self.board.set_regions(regions)
        self.board.set_config(config(**fields))
        self.events: list[DomainEvent] = []
        self.beat(0, *regions)

    def beat(self, slot: float, *regions: str, **fields: Any) -> None:
        sent_ms = START + int(slot * MINUTE)
        self.board.at(sent_ms)
        for region in regions:
            beat = Heartbeat(type="heartbeat", region=region, prober="p", sent_ms=sent_ms, **fields)
            self.board.hear_heartbeat(beat)
        self._collect()

    def say(self, region: str, *results: CheckResult, healthy: bool = True) -> list[str]:
        """Types of the events that follow."""
        batch = ResultBatch(type="results", region=region, prober="p", healthy=healthy, results=list(results))
        for each in results:
            self.board.at(each.finished_ms)
            self.board.hear_result(region, batch, each)
        return self._collect()

    def tick(self, slot: float, observed_ms: int = 1_000) -> list[str]:
        self.board.tick(START + int(slot * MINUTE), observed_ms)
        return self._collect()

    def _collect(self) -> list[str]:
        self.changes = self.board.take_changes()
        self.events.extend(self.changes.events)
        return [event.type for event in self.changes.events]

    def of(self, kind: type[Any]) -> list[Any]:
        return [event for event in self.events if isinstance(event, kind)]

    @property
    def state(self) -> Any:
        return self.board.states[1]

    @property
    def verdict(self) -> str:
        return str(self.state.verdict)
