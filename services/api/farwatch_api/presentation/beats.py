"""Heartbeat bars in few bytes: what the script of the page unpacks and draws. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple

from farwatch_api.rows import Row

BEATS = 40
_CODES = {"up": "u", "degraded": "g", "down": "d", "unknown": "x", "maintenance": "m"}
REASON_MAX = 160


class Beat(NamedTuple):
    slot_ms: int
    outcome: str
    latency_ms: float | None
    reason: str | None


@dataclass(frozen=True, slots=True)
class Bar:
    """`packed` is a word a beat, oldest first: code, seconds since the one before, latency in ms, number of the reason.

    Each but the code may be empty; `newest_ms` is the slot of the last one.
    """

    newest_ms: int
    packed: str
    reasons: list[str]
    summary: str


Result = Row
"""A row with `slot`, `outcome`, `latency_ms` and `error`."""


def combine(
    regions: Mapping[str, Sequence[Result]], maintenance: Sequence[tuple[datetime, datetime]] = ()
) -> list[Beat]:
    """One beat a slot: what most of the regions saw; a failure that only some saw counts as degraded."""
    beats = _of_one(*regions.values()) if len(regions) == 1 else _of_several(regions)
    beats = beats[-BEATS:]
    return [_covered(beat, maintenance) for beat in beats] if maintenance else beats


def _of_one(results: Sequence[Result]) -> list[Beat]:
    return [
        Beat(_milliseconds(row["slot"]), row["outcome"], row["latency_ms"], (row["error"] or "")[:REASON_MAX] or None)
        for row in sorted(results, key=_slot)
    ]


def _of_several(regions: Mapping[str, Sequence[Result]]) -> list[Beat]:
    slots: dict[datetime, list[tuple[str, Result]]] = {}
    for region, results in regions.items():
        for result in results:
            slots.setdefault(result["slot"], []).append((region, result))
    return [_beat(at, slots[at]) for at in sorted(slots)]


def _beat(at: datetime, results: Sequence[tuple[str, Result]]) -> Beat:
    known = [result["outcome"] for _, result in results if result["outcome"] != "unknown"]
    down = known.count("down")
    if not known:
        outcome = "unknown"
    elif down and down * 2 > len(known):
        outcome = "down"
    else:
        outcome = "degraded" if down or "degraded" in known else "up"
    latencies = sorted(result["latency_ms"] for _, result in results if result["latency_ms"] is not None)
    reasons = "; ".join(dict.fromkeys(f"{region}: {result['error']}" for region, result in results if result["error"]))
    middle = latencies[len(latencies) // 2] if latencies else None
    return Beat(_milliseconds(at), outcome, middle, reasons[:REASON_MAX] or None)


def _slot(result: Result) -> datetime:
    at: datetime = result["slot"]
    return at


def _milliseconds(at: datetime) -> int:
    return round(at.timestamp() * 1000)


def _covered(beat: Beat, maintenance: Sequence[tuple[datetime, datetime]]) -> Beat:
    inside = any(s.timestamp() * 1000 <= beat.slot_ms < e.timestamp() * 1000 for s, e in maintenance)
    return beat._replace(outcome="maintenance") if inside else beat


def pack(beats: Sequence[Beat]) -> Bar:
    reasons = list(dict.fromkeys(beat.reason for beat in beats if beat.reason))
    words, before = [], None
    for beat in beats:
        gap = "" if before is None else str(round((beat.slot_ms - before) / 1000))
        latency = "" if beat.latency_ms is None else f"{beat.latency_ms:.0f}"
        reason = str(reasons.index(beat.reason)) if beat.reason else ""
        words.append(f"{_CODES[beat.outcome]},{gap},{latency},{reason}".rstrip(","))
        before = beat.slot_ms
    return Bar(before or 0, " ".join(words), reasons, summarise(beats))


def summarise(beats: Sequence[Beat]) -> str:
    """ "Last 40 checks: 38 up, 2 down." """
    if not beats:
        return "No checks yet."
    outcomes = [beat.outcome for beat in beats]
    counts = {name: outcomes.count(name) for name in _CODES}
    parts = ", ".join(f"{number} {name}" for name, number in counts.items() if number)
    return f"Last {len(beats)} checks: {parts}." if len(beats) > 1 else f"Last check: {beats[0].outcome}."
