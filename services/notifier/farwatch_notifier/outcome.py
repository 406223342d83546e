"""How sending one message ended. Pure values; requests and answers in them hold no secrets."""

from collections.abc import Iterable
from dataclasses import dataclass

from farwatch_events.masking import MASK

SHORTEST_SECRET = 6
"""Shorter ones are not searched for: they would mask half of an answer."""


@dataclass(frozen=True, slots=True)
class Sent:
    """The service took the message. `rendered` is what people read, `request` and `answer` are for the trail."""

    rendered: str
    request: str
    answer: str


class DeliveryError(Exception):
    """The message was not taken. A permanent error is not tried again; `retry_after_seconds` is what was asked for."""

    def __init__(
        self,
        error: str,
        *,
        permanent: bool,
        retry_after_seconds: float | None = None,
        request: str = "",
        answer: str = "",
        rendered: str = "",
    ) -> None:
        super().__init__(error)
        self.error = error
        self.permanent = permanent
        self.retry_after_seconds = retry_after_seconds
        self.request = request
        self.answer = answer
        self.rendered = rendered


def redact(text: str, secrets: Iterable[str]) -> str:
    """Masks every secret in the text: services echo what they were sent."""
    for secret in sorted(secrets, key=len, reverse=True):
        if len(secret) >= SHORTEST_SECRET:
            text = text.replace(secret, MASK)
    return text
