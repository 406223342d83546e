"""Heartbeat bars in few bytes: what the script of the page unpacks and draws. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

BEATS = 40
_CODES = {"up": "u", "degraded": "g", "down": "d", "unknown": "x", "maintenance": "m"}
_REASON_MAX_CHARS = 160


@dataclass(frozen=True, slots=True)
class Beat:
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


def combine(
    regions: Mapping[str, Sequence[Mapping[str, Any]]], maintenance: Sequence[tuple[datetime, datetime]] = ()
) -> list[Beat]:
    """One beat a slot: what most of the regions saw; a failure that only some saw counts as degraded."""
    slots: dict[datetime, list[Mapping[str, Any]]] = {}
    several = len(regions) > 1
    for region, results in regions.items():
        for result in results:
            at = datetime.fromisoformat(result["slot"])
            named = {**result, "error": f"{region}: {result['error']}"} if several and result["error"] else result
            slots.setdefault(at, []).append(named)
    beats = [_beat(at, slots[at]) for at in sorted(slots)]
    return [_covered(beat, maintenance) for beat in beats][-BEATS:]


def _beat(at: datetime, results: Sequence[Mapping[str, Any]]) -> Beat:
    outcomes = [result["outcome"] for result in results]
    known = [outcome for outcome in outcomes if outcome != "unknown"]
    down = known.count("down")
    if not known:
        outcome = "unknown"
    elif down and down * 2 > len(known):
        outcome = "down"
    else:
        outcome = "degraded" if down or "degraded" in known else "up"
    latencies = sorted(result["latency_ms"] for result in results if result["latency_ms"] is not None)
    reasons = "; ".join(dict.fromkeys(result["error"] for result in results if result["error"]))
    middle = latencies[len(latencies) // 2] if latencies else None
    return Beat(int(at.timestamp() * 1000), outcome, middle, reasons[:_REASON_MAX_CHARS] or None)


def _covered(beat: Beat, maintenance: Sequence[tuple[datetime, datetime]]) -> Beat:
    inside = any(s.timestamp() * 1000 <= beat.slot_ms < e.timestamp() * 1000 for s, e in maintenance)
    return Beat(beat.slot_ms, "maintenance", beat.latency_ms, beat.reason) if inside else beat


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
    counts = {name: sum(beat.outcome == name for beat in beats) for name in _CODES}
    parts = ", ".join(f"{number} {name}" for name, number in counts.items() if number)
    return f"Last {len(beats)} checks: {parts}." if len(beats) > 1 else f"Last check: {beats[0].outcome}."
