"""Chunks of due checks, put together from parts that were serialised once per configuration. Pure.

What comes out is what DueChunk reads. Through the models each due check would be serialised again every interval, at
several times the cost (bench/schedule.py has both).
"""

import json
import struct
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from hashlib import blake2b
from typing import Any

from farwatch_events.checks import CHUNK_MAX_BYTES, CHUNK_MAX_CHECKS
from farwatch_events.results import Kind
from farwatch_scheduler.monitors import Monitor

_HEAD_BYTES = 256
"""More than everything of a chunk or of one check that is not in a monitor's body."""


@dataclass(frozen=True, slots=True)
class Chunk:
    """`msg_id` is the same whoever makes the chunk, so that a takeover does not store it twice."""

    region: str
    slot_ms: int
    checks: int
    data: bytes
    msg_id: str
    ttl_seconds: int


@dataclass(frozen=True, slots=True)
class Ask:
    """What the checks of a chunk have in common beside the slot. The defaults are those of the ring."""

    kind: Kind = "scheduled"
    tries: int | None = None
    request_id: str | None = None
    confirmation_of_ms: int | None = None


RING = Ask()


def make_chunks(region: str, epoch: int, slot_ms: int, monitors: Sequence[Monitor], ask: Ask = RING) -> Iterator[Chunk]:
    """The checks of all in as few chunks as the limits allow, in the order given."""
    head = _json({"region": region, "epoch": epoch, "tick_ms": slot_ms})[:-1] + b',"checks":['
    common = _json(_common(slot_ms, ask))[:-1] + b","
    for part in split(monitors):
        yield Chunk(
            region=region,
            slot_ms=slot_ms,
            checks=len(part),
            data=head + common + (b"}," + common).join([each.body for each in part]) + b"}]}",
            msg_id=f"{slot_ms}.{region}.{_digest(part)}",
            ttl_seconds=max([each.shape.ttl_seconds for each in part]),
        )


def split(monitors: Sequence[Monitor]) -> Iterator[Sequence[Monitor]]:
    """Runs of at most CHUNK_MAX_CHECKS monitors and CHUNK_MAX_BYTES, everything around them included."""
    start = 0
    while start < len(monitors):
        part = monitors[start : start + CHUNK_MAX_CHECKS]
        if sum([len(each.body) for each in part]) + _HEAD_BYTES * (len(part) + 1) > CHUNK_MAX_BYTES:
            part = part[: _fitting(part)]
        yield part
        start += len(part)


def _fitting(part: Sequence[Monitor]) -> int:
    room = CHUNK_MAX_BYTES - _HEAD_BYTES
    for count, each in enumerate(part):
        room -= len(each.body) + _HEAD_BYTES
        if room < 0:
            return max(1, count)
    return len(part)


def _common(slot_ms: int, ask: Ask) -> dict[str, Any]:
    optional = {
        "tries": ask.tries,
        "request_id": ask.request_id,
        "confirmation_of_ms": ask.confirmation_of_ms,
    }
    given = {name: value for name, value in optional.items() if value is not None}
    kind = {} if ask.kind == "scheduled" else {"kind": ask.kind}
    return {"slot_ms": slot_ms, **kind, **given}


def _digest(part: Sequence[Monitor]) -> str:
    ids, versions = [each.monitor_id for each in part], [each.config_version for each in part]
    return blake2b(struct.pack(f">{len(part)}q{len(part)}i", *ids, *versions), digest_size=12).hexdigest()


def _json(value: dict[str, Any]) -> bytes:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode()
