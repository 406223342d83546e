"""The base of all domain events, and the words they share."""

from typing import ClassVar, Literal

from farwatch_events.model import Message
from farwatch_events.results import ErrorClass

Verdict = Literal["pending", "up", "degraded", "down", "unknown"]
Vote = Literal["up", "degraded", "down", "unknown"]
Severity = Literal["degraded", "down"]
HowResolved = Literal["recovered", "manual", "paused", "deleted"]


class EventMeta(Message):
    """Who or what caused an event: `actor` is "user:3", "token:5", "incidents"; `cause` an event id or a result.

    `actor_name` is how people knew the actor then, such as "Ada" or "a link in Discord": users may be deleted later.
    """

    actor: str
    actor_name: str | None = None
    cause: str | None = None
    correlation: str | None = None


class DomainEvent(Message):
    """Base of all domain events; `type` and `aggregate` are class facts, `at_ms` is when the fact became true."""

    type: ClassVar[str]
    version: ClassVar[int] = 1
    at_ms: int

    @property
    def stream(self) -> str:
        raise TypeError(f"{type(self).__name__} names no stream")


class RegionVote(Message):
    """One region's say when a verdict was reached."""

    region: str
    vote: Vote
    slot_ms: int
    counted: bool = True
    why_not: str | None = None
    error_class: ErrorClass | None = None
    error: str | None = None


class Cause(Message):
    error_class: ErrorClass | None = None
    error: str | None = None
