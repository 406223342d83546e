"""People and their tokens."""

from typing import ClassVar, Final

from farwatch_events.events.base import DomainEvent


class _UserEvent(DomainEvent):
    user_id: int

    @property
    def stream(self) -> str:
        return f"user-{self.user_id}"


class UserCreated(_UserEvent):
    type: ClassVar[str] = "user.created"
    email: str


class UserChanged(_UserEvent):
    type: ClassVar[str] = "user.changed"
    changed: list[str]


class UserDeleted(_UserEvent):
    """`name` is how people knew them, for the pages that still tell what they did."""

    type: ClassVar[str] = "user.deleted"
    version: ClassVar[int] = 2
    name: str = ""


class UserSignedIn(_UserEvent):
    type: ClassVar[str] = "user.signed_in"
    address: str = ""


class TokenCreated(_UserEvent):
    type: ClassVar[str] = "user.token_created"
    token_id: int
    name: str
    scope: str


class TokenRevoked(_UserEvent):
    type: ClassVar[str] = "user.token_revoked"
    token_id: int


EVENTS: Final = (
    UserCreated,
    UserChanged,
    UserDeleted,
    UserSignedIn,
    TokenCreated,
    TokenRevoked,
)
