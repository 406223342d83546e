"""A result as a row of health.check_results."""

from datetime import UTC, datetime
from functools import lru_cache
from typing import Any

from farwatch_events.results import CheckResult

HOUR_MS = 3_600_000
DAY_MS = 24 * HOUR_MS

_LONGEST_ERROR = 1000
_LARGEST_INTEGER = 2**31 - 1
_LARGEST_SMALLINT = 2**15 - 1


@lru_cache(maxsize=4096)
def moment(ms: int) -> datetime:
    """Milliseconds since 1970 as PostgreSQL's driver wants them. All results of a slot share one."""
    return datetime.fromtimestamp(ms / 1000, UTC)


def history_row(region: str, result: CheckResult, *, healthy: bool = True) -> tuple[Any, ...]:
    """In the order of changes.HISTORY_COLUMNS."""
    phases = result.phases
    return (
        moment(result.slot_ms),
        result.monitor_id,
        result.latency_ms,
        phases.dns_ms,
        phases.connect_ms,
        phases.tls_ms,
        phases.wait_ms,
        phases.transfer_ms,
        min(max(result.started_ms - result.slot_ms, -_LARGEST_INTEGER), _LARGEST_INTEGER),
        _small(result.status_code),
        _small(result.attempts),
        region,
        result.outcome if healthy else "unknown",
        None if result.kind == "scheduled" else result.kind,
        result.error_class,
        clean_text(result.error),
    )


def _small(number: int | None) -> int | None:
    return None if number is None else min(max(number, -_LARGEST_SMALLINT), _LARGEST_SMALLINT)


def clean_text(text: str | None) -> str | None:
    """What a text column takes: no NUL, no lone surrogates, bounded. One odd byte must not stop a whole batch."""
    if text is None:
        return None
    text = text[:_LONGEST_ERROR]
    if text.isascii() and "\0" not in text:
        return text
    return text.replace("\0", "\ufffd").encode("utf-16", "surrogatepass").decode("utf-16", "replace")
