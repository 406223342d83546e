"""Who is asking. Pure."""

from dataclasses import dataclass
from typing import Literal

from farwatch_events.actors import say_actor, say_token
from farwatch_events.events import EventMeta

Scope = Literal["read", "write"]
SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})


@dataclass(frozen=True, slots=True)
class Identity:
    """A person with a session, or a bearer token of theirs, whose `token_name` is set then.

    `csrf_token` and `session_hash` are set for sessions only.
    """

    kind: Literal["session", "token", "environment"]
    user_id: int | None = None
    token_id: int | None = None
    token_name: str = ""
    email: str = ""
    name: str = ""
    role: str = "admin"
    scope: Scope = "write"
    csrf_token: str | None = None
    session_hash: bytes | None = None

    @property
    def actor(self) -> str:
        """How events name this identity."""
        if self.kind == "session":
            return f"user:{self.user_id}"
        return f"token:{self.token_id}" if self.token_id else "token:environment"

    @property
    def known_as(self) -> str:
        """In words that fit after "by"."""
        if self.kind == "session":
            return self.name or self.email
        return say_token(self.token_name) if self.token_id else say_actor(self.actor)

    @property
    def meta(self) -> EventMeta:
        return EventMeta(actor=self.actor, actor_name=self.known_as)

    def may(self, method: str) -> bool:
        return self.scope == "write" or method in SAFE_METHODS
