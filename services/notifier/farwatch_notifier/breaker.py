"""When a channel is left alone for a while, and which messages are worth sending late. Pure."""

from dataclasses import dataclass

OPEN_AFTER = 5
FIRST_PAUSE_MS = 15_000
LONGEST_PAUSE_MS = 5 * 60_000

STALE_AFTER_MS = 60_000
"""A message that waited this long gives way to a later one of the same thread."""


@dataclass(frozen=True, slots=True)
class Breaker:
    """`failures` in a row; while a pause lasts nothing is sent, and the first message after it is the trial."""

    failures: int = 0


def note_failure(breaker: Breaker, now_ms: int) -> tuple[Breaker, int | None]:
    """The new state, and until when (milliseconds) the channel rests; None: it may be tried at once."""
    failures = breaker.failures + 1
    if failures < OPEN_AFTER:
        return Breaker(failures), None
    pause_ms = min(LONGEST_PAUSE_MS, FIRST_PAUSE_MS * 2 ** min(failures - OPEN_AFTER, 20))
    return Breaker(failures), now_ms + pause_ms


def is_stale(*, thread: str, superseded: bool, created_ms: int, now_ms: int) -> bool:
    """Whether a later message says all that this one would. Groups are left out: each message names others."""
    return superseded and now_ms - created_ms >= STALE_AFTER_MS and not thread.startswith("group-")
