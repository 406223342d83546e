"""Reading chunks of due checks: what to run, and what to answer at once. No I/O."""

import re
from dataclasses import dataclass
from typing import Any

from pydantic import ValidationError
from pydantic_core import from_json, to_json

from farwatch_events.checks import DueCheck
from farwatch_events.results import CheckResult, ErrorClass
from farwatch_prober.due import Due, Scheduled, scheduled
from farwatch_prober.sharing import Sharing

MAX_DELIVERIES = 5
KNOWN_CHECKS = 131_072
"""About 2.6 KB each, with what follows from them. A prober that has more reads those beyond anew each time, at a third
more processor time for each."""
REMEMBERED_MS = 600_000
FORGOTTEN_AT_ONCE = 256

_OPENING = re.compile(
    rb'\{"region":"[a-z0-9-]+","epoch":(\d{1,15}),"tick_ms":\d{1,15},"checks":\[(\{"slot_ms":(\d{1,15}),)'
)
_CLOSING = b"}]}"


class BadChunk(ValueError):
    """Bytes that are no chunk at all."""


@dataclass(frozen=True, slots=True)
class Intake:
    """`refused` are checks of the chunk that this prober cannot read, answered already."""

    epoch: int
    checks: list[Due]
    refused: list[CheckResult]


class Reader:
    """Reads chunks. A check that is again as it was, but for its slot, is neither parsed nor validated again.

    What is remembered is as it came, so secrets in it are encrypted. When there is no room the newcomer is not
    remembered: among checks that come in turns, the oldest is the one that is due next.
    """

    def __init__(self) -> None:
        self._known: dict[bytes, Scheduled] = {}
        self._before: dict[bytes, Scheduled] = {}
        self._forgotten: dict[bytes, Scheduled] = {}
        self._sharing = Sharing()
        self._since_ms = 0

    def read(self, data: bytes, now_ms: int) -> Intake:
        """Raises BadChunk. One unreadable check, from a newer scheduler perhaps, does not spoil the others."""
        self._forget(now_ms)
        opening = _OPENING.match(data)
        if opening is not None and data.endswith(_CLOSING):
            try:
                return self._read_parts(data, opening)
            except ValidationError:  # one of them is wrong, or what looked like a seam was none
                pass
        return _read_json(data, now_ms)

    def _forget(self, now_ms: int) -> None:
        """What did not come for a while: the monitor is gone or changed, or another prober's for now.

        In steps: to drop a hundred thousand at once would hold up all that runs for half a second.
        """
        if abs(now_ms - self._since_ms) > REMEMBERED_MS:
            self._forgotten, self._before, self._known, self._since_ms = self._before, self._known, {}, now_ms
            self._sharing = Sharing()
        for _ in range(min(len(self._forgotten), FORGOTTEN_AT_ONCE)):
            self._forgotten.popitem()

    def _read_parts(self, data: bytes, opening: re.Match[bytes]) -> Intake:
        """A chunk as the scheduler puts it together, cut at its seams. Raises ValidationError.

        Since each part is a whole object by itself, the chunk is the list of them and nothing else.
        """
        start, slot_ms = opening[2], int(opening[3])
        checks: list[Due] = []
        for part in data[opening.end() : -len(_CLOSING)].split(b"}," + start):
            known = self._recall(part)
            if known is not None:
                checks.append(Scheduled(known.monitor_id, known.config_version, slot_ms, known.spec))
            else:
                checks.append(self._read_part(part, start))
        return Intake(int(opening[1]), checks, [])

    def _recall(self, part: bytes) -> Scheduled | None:
        known = self._known.get(part)
        if known is None and (known := self._before.pop(part, None)) is not None:
            self._known[part] = known
        return known

    def _read_part(self, part: bytes, start: bytes) -> Due:
        """Raises ValidationError."""
        check = DueCheck.model_validate_json(start + part + b"}")
        ordinary = scheduled(check)
        remembered = len(self._known) + len(self._before) + len(self._forgotten)
        if ordinary is not None and remembered < KNOWN_CHECKS:
            self._sharing.share(check.spec)
            self._known[part] = ordinary
        return check


def _read_json(data: bytes, now_ms: int) -> Intake:
    """Any chunk. Raises BadChunk."""
    try:
        raw = from_json(data, cache_strings="keys")
        epoch, entries = int(raw["epoch"]), list(raw["checks"])
    except (ValueError, KeyError, TypeError):
        raise BadChunk("not a chunk of due checks") from None
    checks: list[Due] = []
    refused: list[CheckResult] = []
    for entry in entries:
        try:
            checks.append(DueCheck.model_validate_json(to_json(entry)))
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
