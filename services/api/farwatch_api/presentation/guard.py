"""What the content guard has to say on the page of a monitor. Pure."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal

State = Literal["off", "learning", "watching", "differs", "accepted"]


@dataclass(frozen=True, slots=True)
class GuardView:
    """`differences` are sentences with the regions that saw each; `answers` how many it learned from at least."""

    state: State
    answers: int = 0
    differences: dict[str, list[str]] = field(default_factory=dict)


def guard_view(votes: Iterable[Mapping[str, Any]], accepted_at: datetime | None) -> GuardView:
    """`votes` are those of the monitor's answer. A difference that was seen before somebody accepted it waits for the
    next check to be gone."""
    known = [(vote, vote["last_check"]["content_guard"]) for vote in votes if _looked(vote)]
    differences: dict[str, list[str]] = {}
    for vote, guard in known:
        for sentence in guard["differences"]:
            differences.setdefault(sentence, []).append(vote["region"])
    answers = min((guard["answers"] for _, guard in known), default=0)
    if differences:
        last = max(datetime.fromisoformat(vote["last_check"]["slot"]) for vote, guard in known if guard["differences"])
        return GuardView("accepted" if accepted_at and accepted_at > last else "differs", answers, differences)
    learned = bool(known) and all(guard["learned"] for _, guard in known)
    return GuardView("watching" if learned else "learning", answers)


def _looked(vote: Mapping[str, Any]) -> bool:
    return bool((vote["last_check"] or {}).get("content_guard"))
