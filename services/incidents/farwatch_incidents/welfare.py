"""How Farwatch itself is: what was read becomes trouble when it lasts, and is over when it has been well for a while.
And whether the dead man's switch may be told that all is well. Pure."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

from farwatch_events.events import DomainEvent, SystemRecovered, SystemTroubled

CANARY_EVERY_MS = 60_000
CANARY_GRACE_MS = 30_000
"""How much longer than the shortest interval the newest result may be ago: a check takes its time."""

Key = tuple[str, str]
"""A problem and its subject."""


@dataclass(frozen=True, slots=True)
class Limit:
    """Trouble is above `trouble` for `for_ms`; it is over at or below `well` for `over_after_ms`."""

    trouble: float
    well: float
    for_ms: int
    over_after_ms: int


LIMITS: Mapping[str, Limit] = {
    "fold_lag": Limit(trouble=10, well=2, for_ms=10_000, over_after_ms=20_000),  # seconds
    "due_backlog": Limit(trouble=5, well=0, for_ms=60_000, over_after_ms=30_000),  # chunks
    "skipped": Limit(
        trouble=0.01, well=0, for_ms=60_000, over_after_ms=60_000
    ),  # share of the last half minute's slots
    "outbox": Limit(trouble=10, well=2, for_ms=10_000, over_after_ms=20_000),  # seconds
    "no_results": Limit(trouble=0, well=0, for_ms=30_000, over_after_ms=0),  # 1: none came
    "unreadable": Limit(trouble=0, well=0, for_ms=0, over_after_ms=0),  # in the last ten minutes
    "deliveries": Limit(trouble=0, well=0, for_ms=0, over_after_ms=0),  # in the last ten minutes
    "clock": Limit(trouble=0, well=0, for_ms=0, over_after_ms=60_000),  # 1: slots are held back
}


@dataclass(frozen=True, slots=True)
class Sign:
    """One figure, as it was just read. `words` say it to people, for both cases."""

    problem: str
    subject: str
    value: float
    words: str

    @property
    def key(self) -> Key:
        return self.problem, self.subject


@dataclass(frozen=True, slots=True)
class Watched:
    """`turned_ms` is since when readings contradict what stands, None while they do not."""

    troubled_ms: int | None = None
    turned_ms: int | None = None


def decide_welfare(
    watched: Mapping[Key, Watched], signs: Iterable[Sign], now_ms: int
) -> tuple[dict[Key, Watched], list[DomainEvent]]:
    """What is watched from now on, and what is to be told. A subject without a sign any more, such as a region that
    was deleted, has no trouble."""
    after: dict[Key, Watched] = {}
    events: list[DomainEvent] = []
    for sign in signs:
        after[sign.key], event = _decide(watched.get(sign.key, Watched()), sign, now_ms)
        if event is not None:
            events.append(event)
    for (problem, subject), before in watched.items():
        if (problem, subject) not in after and before.troubled_ms is not None:
            events.append(_recovered(problem, subject, "There is nothing left to watch", before.troubled_ms, now_ms))
    return after, events


def _decide(before: Watched, sign: Sign, now_ms: int) -> tuple[Watched, DomainEvent | None]:
    limit = LIMITS[sign.problem]
    troubled = before.troubled_ms is not None
    contradicts = sign.value <= limit.well if troubled else sign.value > limit.trouble
    if not contradicts:
        return replace(before, turned_ms=None), None
    turned_ms = now_ms if before.turned_ms is None else before.turned_ms
    if now_ms - turned_ms < (limit.over_after_ms if troubled else limit.for_ms):
        return replace(before, turned_ms=turned_ms), None
    if before.troubled_ms is not None:
        return Watched(), _recovered(sign.problem, sign.subject, sign.words, before.troubled_ms, now_ms)
    told = SystemTroubled(at_ms=now_ms, problem=sign.problem, subject=sign.subject, reason=sign.words)
    return Watched(troubled_ms=turned_ms), told


def _recovered(problem: str, subject: str, words: str, troubled_ms: int, now_ms: int) -> SystemRecovered:
    seconds = max(0, now_ms - troubled_ms) // 1000
    return SystemRecovered(at_ms=now_ms, problem=problem, subject=subject, reason=words, seconds=seconds)


def recall(told: Iterable[DomainEvent]) -> dict[Key, Watched]:
    """What stood when the one before us ended, from what it told, oldest first."""
    watched: dict[Key, Watched] = {}
    for event in told:
        if isinstance(event, SystemTroubled):
            watched[event.problem, event.subject] = Watched(troubled_ms=event.at_ms)
        elif isinstance(event, SystemRecovered):
            watched.pop((event.problem, event.subject), None)
    return watched


@dataclass(frozen=True, slots=True)
class Flow:
    """What was seen to go through scheduler, prober and fold. `shortest_interval_ms` of the monitors that are to be
    checked, None without any; `newest_slot_ms` of a scheduled result that a prober measured, None when none is near."""

    shortest_interval_ms: int | None
    newest_slot_ms: int | None

    def allowed_ms(self) -> int:
        """How long ago the newest result may be."""
        return max(CANARY_EVERY_MS, self.shortest_interval_ms or 0) + CANARY_GRACE_MS

    def is_alive(self, now_ms: int) -> bool:
        return self.newest_slot_ms is not None and now_ms - self.newest_slot_ms <= self.allowed_ms()


@dataclass(frozen=True, slots=True)
class Withheld:
    reason: str


@dataclass(frozen=True, slots=True)
class Push:
    """The switch may be told; `result_age_ms` is how old its proof is."""

    result_age_ms: int


def decide_push(flow: Flow, now_ms: int) -> Push | Withheld:
    """Whether something real went the whole way within the last interval."""
    if flow.shortest_interval_ms is None:
        return Withheld("no monitor is to be checked, so nothing shows that checking works")
    if flow.newest_slot_ms is None or not flow.is_alive(now_ms):
        return Withheld(f"no result has come through in the last {flow.allowed_ms() // 1000} s")
    return Push(max(0, now_ms - flow.newest_slot_ms))
