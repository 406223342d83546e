"""Due checks as they are on the wire."""

import json
from collections.abc import Iterable
from typing import Any

from farwatch_events.checks import DueCheck


def chunk_of(region: str, epoch: int, slot_ms: int, checks: Iterable[DueCheck], **asked: Any) -> bytes:
    """As the scheduler puts it together: all of one slot, which comes first, then what was `asked` beside the ring."""
    written = []
    for check in checks:
        fields = check.model_dump(mode="json", exclude_defaults=True, exclude={"slot_ms"})
        written.append({"slot_ms": slot_ms, **asked, **fields})
    chunk = {"region": region, "epoch": epoch, "tick_ms": slot_ms, "checks": written}
    return json.dumps(chunk, ensure_ascii=False, separators=(",", ":")).encode()
