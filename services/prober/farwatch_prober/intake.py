"""Reading chunks of due checks: what to run, and what to answer at once. No I/O."""

from dataclasses import dataclass
from typing import Any

from pydantic import ValidationError
from pydantic_core import from_json, to_json

from farwatch_events.checks import DueCheck
from farwatch_events.results import CheckResult, ErrorClass

MAX_DELIVERIES = 5
KNOWN_CHECKS = 16_384
"""About 5 KB each, with what follows from them."""
REMEMBERED_MS = 600_000

Known = tuple[dict[str, Any], DueCheck]
"""A check as it came, and as it was read; their slots are not the same."""


class BadChunk(ValueError):
    """Bytes that are no chunk at all."""


@dataclass(frozen=True, slots=True)
class Intake:
    """`refused` are checks of the chunk that this prober cannot read, answered already."""

    epoch: int
    checks: list[DueCheck]
    refused: list[CheckResult]


class Reader:
    """Reads chunks. A check that is again as it was, but for its slot, is not validated again.

    What is remembered is as it came, so secrets in it are encrypted. When there is no room the newcomer is not
    remembered: among checks that come in turns, the oldest is the one that is due next.
    """

    def __init__(self) -> None:
        self._known: dict[int, Known] = {}
        self._before: dict[int, Known] = {}
        self._since_ms = 0

    def read(self, data: bytes, now_ms: int) -> Intake:
        """Raises BadChunk. One unreadable check, from a newer scheduler perhaps, does not spoil the others."""
        try:
            raw = from_json(data, cache_strings="keys")
            epoch, entries = int(raw["epoch"]), list(raw["checks"])
        except (ValueError, KeyError, TypeError):
            raise BadChunk("not a chunk of due checks") from None
        self._forget(now_ms)
        checks: list[DueCheck] = []
        refused: list[CheckResult] = []
        for entry in entries:
            try:
                checks.append(self._check(entry))
            except ValidationError as error:
                refused += _refuse(entry, epoch, now_ms, error)
        return Intake(epoch, checks, refused)

    def _forget(self, now_ms: int) -> None:
        """What did not come for a while: the monitor is gone, or another prober's for now."""
        if abs(now_ms - self._since_ms) > REMEMBERED_MS:
            self._before, self._known, self._since_ms = self._known, {}, now_ms

    def _check(self, entry: Any) -> DueCheck:
        """Raises ValidationError."""
        known = self._recall(entry)
        if known is not None:
            before, check = known
            slot_ms = before["slot_ms"] = entry["slot_ms"]
            if type(slot_ms) is int and before == entry:
                return check.model_copy(update={"slot_ms": slot_ms})
        check = DueCheck.model_validate_json(to_json(entry))
        if check.kind == "scheduled" and (known or len(self._known) + len(self._before) < KNOWN_CHECKS):
            self._known[check.monitor_id] = (entry, check)
        return check

    def _recall(self, entry: Any) -> Known | None:
        if not isinstance(entry, dict) or type(number := entry.get("monitor_id")) is not int or "slot_ms" not in entry:
            return None
        known = self._known.get(number)
        if known is None and (known := self._before.pop(number, None)) is not None:
            self._known[number] = known
        return known


def _refuse(entry: Any, epoch: int, now_ms: int, error: ValidationError) -> list[CheckResult]:
    """The answer to a check whose specification makes no sense here; nothing without an identity to answer to."""
    where = ".".join(str(part) for part in error.errors(include_input=False)[0]["loc"])
    try:
        return [
            CheckResult(
                monitor_id=entry["monitor_id"],
                config_version=entry["config_version"],
                slot_ms=entry["slot_ms"],
                kind=entry.get("kind", "scheduled"),
                epoch=epoch,
                outcome="unknown",
                started_ms=now_ms,
                finished_ms=now_ms,
                attempts=0,
                error_class=ErrorClass.INTERNAL,
                error=f"This prober does not understand the monitor ({where}); is it older than the scheduler?",
                request_id=entry.get("request_id"),
            )
        ]
    except (KeyError, TypeError, AttributeError, ValidationError):
        return []
