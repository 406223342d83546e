"""A region as a whole: is anybody there, are its probers well, may it vote."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from farwatch_events.events import DomainEvent, RegionCleared, RegionReturned, RegionSilenced, RegionSuspected
from farwatch_events.results import Heartbeat

SILENT_AFTER_MS = 10_000
REMEMBERED = 64
"""Heartbeats a region, to know one that comes twice: it is no sign of life."""


@dataclass(frozen=True, slots=True)
class Prober:
    heartbeat: Heartbeat
    seen_ms: int


@dataclass(frozen=True, slots=True)
class RegionState:
    """`quiet_ms` is time without a heartbeat in which the fold was caught up: only that counts towards silence.

    `suspect` is the reason for having no vote, None for a trusted region; `suspect_since_ms` when that began.
    """

    region: str
    heard: bool = False
    silent: bool = False
    quiet_ms: int = 0
    last_seen_ms: int = 0
    watermark_ms: int = 0
    since_ms: int = 0
    suspect: str | None = None
    suspect_since_ms: int = 0
    unhealthy: bool = False
    probers: Mapping[str, Prober] = field(default_factory=dict)
    recent: tuple[tuple[str, int], ...] = ()

    @property
    def is_live(self) -> bool:
        return self.heard and not self.silent

    @property
    def may_vote(self) -> bool:
        return self.is_live and self.suspect is None

    @property
    def stands(self) -> str:
        if self.silent:
            return "silent"
        return "live" if self.suspect is None else "suspect"

    @property
    def reason(self) -> str | None:
        return "no heartbeat" if self.silent else self.suspect


Step = tuple[RegionState, tuple[DomainEvent, ...]]


def hear_heartbeat(state: RegionState, heartbeat: Heartbeat, now_ms: int) -> Step:
    """A sign of life: ends a silence, moves the watermark, and believes probers that call themselves unwell. A prober's
    clock may step back, so one that was sent earlier than the last still counts; the same one does not."""
    identity = heartbeat.prober, heartbeat.sent_ms
    if identity in state.recent:
        return state, ()
    probers = {name: each for name, each in state.probers.items() if now_ms - each.seen_ms <= SILENT_AFTER_MS}
    probers[heartbeat.prober] = Prober(heartbeat, now_ms)
    events: list[DomainEvent] = []
    if state.silent:
        silent_seconds = max(0, now_ms - state.last_seen_ms) // 1000
        events.append(RegionReturned(at_ms=now_ms, region=state.region, silent_seconds=silent_seconds))
    after = replace(
        state,
        heard=True,
        silent=False,
        quiet_ms=0,
        last_seen_ms=now_ms,
        since_ms=now_ms if state.silent or not state.heard else state.since_ms,
        watermark_ms=max(state.watermark_ms, _watermark(probers)),
        probers=probers,
        recent=(*state.recent, identity)[-REMEMBERED:],
    )
    after, health_events = _judge_health(after, now_ms)
    return after, (*events, *health_events)


def _watermark(probers: Mapping[str, Prober]) -> int:
    """What every prober has answered; one that has taken nothing yet holds nobody back."""
    marks = [each.heartbeat.watermark_ms for each in probers.values() if each.heartbeat.watermark_ms > 0]
    return min(marks, default=0)


def _judge_health(state: RegionState, now_ms: int) -> Step:
    beats = [each.heartbeat for each in state.probers.values()]
    unhealthy = all(not beat.healthy for beat in beats)
    if unhealthy and state.suspect is None:
        why = next((beat.reason for beat in beats if beat.reason), None) or "no reason given"
        reason = f"Region {state.region} has no vote: its probers say they are unhealthy ({why})"
        return suspected(replace(state, unhealthy=True), reason, now_ms)
    if not unhealthy and state.unhealthy:
        return cleared(state, f"Region {state.region} votes again: its probers are well", now_ms)
    return state, ()


def suspected(state: RegionState, reason: str, now_ms: int) -> Step:
    after = replace(state, suspect=reason, suspect_since_ms=now_ms, since_ms=now_ms)
    return after, (RegionSuspected(at_ms=now_ms, region=state.region, reason=reason),)


def cleared(state: RegionState, reason: str, now_ms: int) -> Step:
    after = replace(state, suspect=None, suspect_since_ms=0, since_ms=now_ms, unhealthy=False)
    return after, (RegionCleared(at_ms=now_ms, region=state.region, reason=reason),)


def pass_time(state: RegionState, observed_ms: int, now_ms: int) -> Step:
    """`observed_ms` went by in which a heartbeat would have been seen, had there been one."""
    if not state.is_live:
        return state, ()
    quiet_ms = state.quiet_ms + observed_ms
    if quiet_ms <= SILENT_AFTER_MS:
        return replace(state, quiet_ms=quiet_ms), ()
    event = RegionSilenced(at_ms=now_ms, region=state.region, last_seen_ms=state.last_seen_ms)
    return replace(state, quiet_ms=quiet_ms, silent=True, since_ms=now_ms), (event,)
