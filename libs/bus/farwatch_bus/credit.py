"""Accounting of pull requests: how many messages the server may still send. Pure."""

from dataclasses import dataclass


@dataclass
class Request:
    remaining: int
    expires_at: float


class Ledger:
    """Messages asked for and neither delivered nor declined.

    A message does not say which request it answers, so the oldest is charged, and what the server says at a
    request's end sets the sum right. A request nobody ended is forgotten at its time: its server is gone.
    """

    def __init__(self) -> None:
        self.outstanding = 0
        self._requests: dict[str, Request] = {}

    def asked(self, token: str, messages: int, expires_at: float) -> None:
        self._requests[token] = Request(messages, expires_at)
        self.outstanding += messages

    def delivered(self) -> None:
        self._charge(1)

    def ended(self, token: str, undelivered: int | None) -> None:
        """The server closed a request; None when it did not say how much of it was left."""
        request = self._requests.pop(token, None)
        own = request.remaining if request else 0
        self.outstanding -= own
        if undelivered is not None and undelivered > own:
            self._charge(undelivered - own)

    def expire(self, now: float) -> None:
        for token in [token for token, request in self._requests.items() if request.expires_at <= now]:
            self.outstanding -= self._requests.pop(token).remaining

    def forget_all(self) -> None:
        self._requests.clear()
        self.outstanding = 0

    def next_expiry(self) -> float | None:
        return min((request.expires_at for request in self._requests.values()), default=None)

    def _charge(self, messages: int) -> None:
        for token in list(self._requests):
            request = self._requests[token]
            part = min(messages, request.remaining)
            request.remaining -= part
            messages -= part
            self.outstanding -= part
            if request.remaining == 0:
                del self._requests[token]
            if messages == 0:
                return
