"""Whether Farwatch itself is well, from what it left in the database last. Pure."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

from farwatch_api.envelope import timestamp
from farwatch_api.views import duration
from farwatch_events.events import PROBLEMS, DomainEvent, SystemRecovered, SystemTroubled

FOLD_SILENT_MS: Final = 20_000
"""The api's own heartbeats go through the fold every 2 s: it always has something to write."""
SCHEDULER_SILENT_MS: Final = 60_000
BEHIND_SECONDS: Final = 30.0
STARTING_SECONDS: Final = 30.0

_FOLLOWERS: Final = {
    "relay": ("outbox", "Events have waited {} to be sent on"),
    "notifier": ("notifier", "Nobody has looked for alerts to send for {}"),
    "scheduler": ("scheduler", "Changes of monitors have waited {} for the scheduler"),
}


@dataclass(frozen=True, slots=True)
class Facts:
    """`folded_ms` and `scheduled_ms` are how far fold and scheduler have come, 0 before the first time; `behind` are
    the seconds that the oldest event waits for each consumer of the log; `told` are events about ourselves in order."""

    folded_ms: int
    scheduled_ms: int
    behind: Mapping[str, float]
    told: tuple[DomainEvent, ...] = ()


def system_status(facts: Facts, now: datetime, *, bus_connected: bool, running_seconds: float) -> dict[str, Any]:
    """`{ok, problems: [{problem, subject, since, reason}]}`. A service that has never been seen is waited for while we
    ourselves are starting."""
    found = {(each["problem"], each["subject"]): each for each in _told(facts.told)}
    seen = list(_seen(facts, now, bus_connected=bus_connected, starting=running_seconds < STARTING_SECONDS))
    found |= {(each["problem"], each["subject"]): each for each in seen}
    return {"ok": not found, "problems": list(found.values())}


def _seen(facts: Facts, now: datetime, *, bus_connected: bool, starting: bool) -> Iterable[dict[str, Any]]:
    """What shows without anybody telling: whoever is dead tells nothing."""
    if not bus_connected:
        yield _problem("bus", None, "No connection to the message bus: checks and alerts may stand still")
    now_ms = now.timestamp() * 1000
    for name, reached_ms, patience_ms, words in (
        ("fold", facts.folded_ms, FOLD_SILENT_MS, "Results have not been processed for {}"),
        ("scheduler", facts.scheduled_ms, SCHEDULER_SILENT_MS, "Checks have not been scheduled for {}"),
    ):
        if reached_ms == 0 and not starting:
            yield _problem(name, None, "The service has not started yet")
        elif reached_ms and now_ms - reached_ms > patience_ms:
            since = datetime.fromtimestamp(reached_ms / 1000, UTC)
            yield _problem(name, since, words.format(duration(int(now_ms - reached_ms) // 1000)))
    for consumer, seconds in facts.behind.items():
        if consumer in _FOLLOWERS and seconds > BEHIND_SECONDS:
            name, words = _FOLLOWERS[consumer]
            yield _problem(name, None, words.format(duration(int(seconds))))


def _told(events: Iterable[DomainEvent]) -> Iterable[dict[str, Any]]:
    standing: dict[tuple[str, str], dict[str, Any]] = {}
    for event in events:
        if isinstance(event, SystemTroubled):
            since = datetime.fromtimestamp(event.at_ms / 1000, UTC)
            words = f"{PROBLEMS.get(event.problem, event.problem)}. {event.reason}"
            standing[event.problem, event.subject] = _problem(event.problem, since, words, event.subject)
        elif isinstance(event, SystemRecovered):
            standing.pop((event.problem, event.subject), None)
    return standing.values()


def _problem(problem: str, since: datetime | None, reason: str, subject: str = "") -> dict[str, Any]:
    return {
        "problem": problem,
        "subject": subject,
        "since": None if since is None else timestamp(since),
        "reason": f"{reason.rstrip('.')}.",
    }
