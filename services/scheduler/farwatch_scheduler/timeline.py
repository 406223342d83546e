"""The scheduler's time and what follows from it: steps of the clock, where to resume, when to hold back. Pure."""

from dataclasses import dataclass

from farwatch_scheduler.ring import TICK_MS

STEP_MAX_MS = 2_000
AHEAD_MAX_MS = 60_000


@dataclass(frozen=True, slots=True)
class Timeline:
    """Wall time carried forward by the monotonic clock from one reading of both, so that ticks never jump."""

    wall_ms: int
    monotonic_ms: int

    def at(self, monotonic_ms: int) -> int:
        return self.wall_ms + monotonic_ms - self.monotonic_ms

    def step_ms(self, wall_ms: int, monotonic_ms: int) -> int:
        """How far the wall clock has moved away from us; positive when it was set forward."""
        return wall_ms - self.at(monotonic_ms)


def is_step(step_ms: int) -> bool:
    return abs(step_ms) > STEP_MAX_MS


def floor_tick(now_ms: int) -> int:
    return now_ms - now_ms % TICK_MS


def resume_from(checkpoint_ms: int, now_ms: int) -> int:
    """After which moment slots are due, given up to where the last scheduler got.

    A checkpoint slightly ahead is another machine's clock, and its slots are done. One further ahead is a clock that
    was set back: its slots belong to an older epoch, so we begin now. The same when there never was a checkpoint.
    """
    if checkpoint_ms == 0 or checkpoint_ms > now_ms + STEP_MAX_MS:
        return floor_tick(now_ms)
    return checkpoint_ms


def is_parked(ahead_ms: int) -> bool:
    """Whether our slots lie too far ahead of the bus's time to be believed."""
    return ahead_ms > AHEAD_MAX_MS


def safe_checkpoint(cursor_ms: int, unstored_ms: list[int]) -> int:
    """Up to where every slot is stored in the streams: just before the oldest that is not."""
    return min([cursor_ms, *(slot_ms - 1 for slot_ms in unstored_ms)])
