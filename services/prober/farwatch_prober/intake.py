"""Reading a chunk of due checks: what to run, and what to answer at once. Pure."""

import json
from dataclasses import dataclass
from typing import Any

from pydantic import ValidationError

from farwatch_events.checks import DueCheck, DueChunk
from farwatch_events.results import CheckResult, ErrorClass

MAX_DELIVERIES = 5


class BadChunk(ValueError):
    """Bytes that are no chunk at all."""


@dataclass(frozen=True, slots=True)
class Intake:
    """`refused` are checks of the chunk that this prober cannot read, answered already."""

    epoch: int
    checks: list[DueCheck]
    refused: list[CheckResult]


def read_chunk(data: bytes, now_ms: int) -> Intake:
    """Raises BadChunk. One unreadable check, from a newer scheduler perhaps, does not spoil the others."""
    try:
        chunk = DueChunk.from_bytes(data)
    except ValidationError:
        return _read_one_by_one(data, now_ms)
    return Intake(chunk.epoch, chunk.checks, [])


def _read_one_by_one(data: bytes, now_ms: int) -> Intake:
    try:
        raw = json.loads(data)
        epoch, entries = int(raw["epoch"]), list(raw["checks"])
    except (ValueError, KeyError, TypeError):
        raise BadChunk("not a chunk of due checks") from None
    checks: list[DueCheck] = []
    refused: list[CheckResult] = []
    for entry in entries:
        try:
            checks.append(DueCheck.model_validate(entry))
        except ValidationError as error:
            refused += _refuse(entry, epoch, now_ms, error)
    return Intake(epoch, checks, refused)


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
