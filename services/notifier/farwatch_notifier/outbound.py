"""The way out for all channels: one TLS context, bounded answers, errors told apart."""

import asyncio
import socket
import ssl
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import lru_cache, partial
from pathlib import Path
from typing import Self
from urllib.parse import urlsplit

import certifi
import httpx

from farwatch_events.masking import MASK
from farwatch_events.requests import is_secret_header
from farwatch_notifier.outcome import DeliveryError, Sent, redact
from farwatch_notifier.retry import is_final_status, parse_retry_after
from farwatch_notifier.turn import await_turn_within, must_wait
from farwatch_notifier.wire import Endpoint, WireError, exchange
from farwatch_runtime.clock import now_ms

ANSWER_MAX_BYTES = 4096
REQUEST_SHOWN_CHARS = 8192
REDIRECTS_MAX = 3
HTTP_TIMEOUT_SECONDS = 10.0
_KEEP_METHOD = (307, 308)


@dataclass(frozen=True, slots=True)
class HttpCall:
    """A request of a channel. `shown_url` is what the trail shows of the address; `secrets` are masked everywhere."""

    method: str
    url: str
    shown_url: str
    body: bytes
    headers: Mapping[str, str] = field(default_factory=dict)
    timeout_seconds: float = HTTP_TIMEOUT_SECONDS
    secrets: tuple[str, ...] = ()
    rendered: str = ""

    def shown(self) -> str:
        """The request as text, without secrets."""
        lines = [f"{n}: {MASK if is_secret_header(n) else v}" for n, v in self.headers.items()]
        head = "\n".join([f"{self.method} {self.shown_url}", *lines])
        text = f"{head}\n\n{self.body.decode(errors='replace')}" if self.body else head
        return redact(text, self.secrets)[:REQUEST_SHOWN_CHARS]


@dataclass(frozen=True, slots=True)
class HttpAnswer:
    status: int
    reason: str
    headers: httpx.Headers
    body: str

    def shown(self) -> str:
        return f"HTTP {self.status} {self.reason}".rstrip() + (f"\n{self.body}" if self.body else "")


RetryHint = Callable[[HttpAnswer], float | None]
"""Reads what a service says about waiting in a way of its own, besides Retry-After: seconds, or None."""


class Outbound:
    """Shared by all channels. Proxies of the environment are ignored: a message goes where its channel says."""

    def __init__(self, tls: ssl.SSLContext, own_name: str) -> None:
        self.tls = tls
        self.own_name = own_name

    @classmethod
    def create(cls, ca_file: Path | None = None) -> Self:
        """`ca_file` is trusted beside the system's authorities. Raises OSError when it cannot be read."""
        tls = ssl.create_default_context()
        tls.load_verify_locations(certifi.where())
        if ca_file is not None:
            tls.load_verify_locations(ca_file)
        return cls(tls, _own_name())

    async def close(self) -> None:
        """Nothing is kept open between messages."""

    async def deliver(self, call: HttpCall, retry_hint: RetryHint | None = None) -> Sent:
        """Sends the request; raises DeliveryError for anything but a 2xx answer."""
        answer = await self._call(call)
        shown = redact(answer.shown(), call.secrets)
        if 200 <= answer.status < 300:
            return Sent(rendered=call.rendered, request=call.shown(), answer=shown)
        hints = [parse_retry_after(answer.headers.get("retry-after"), now_ms()), retry_hint and retry_hint(answer)]
        asked = [hint for hint in hints if hint is not None]
        raise DeliveryError(
            f"the service answered {answer.status} {answer.reason}".rstrip(),
            permanent=is_final_status(answer.status),
            retry_after_seconds=max(asked) if asked else None,
            request=call.shown(),
            answer=shown,
            rendered=call.rendered,
        )

    async def _call(self, call: HttpCall) -> HttpAnswer:
        try:
            async with asyncio.timeout(call.timeout_seconds) as limit:
                return await self._follow(call, limit)
        except TimeoutError:
            error, permanent = f"no answer within {call.timeout_seconds:g} s", False
        except WireError as failure:
            broke = "the connection broke" if failure.connected else "no connection"
            error, permanent = f"{broke}: {failure}", False
        except (httpx.InvalidURL, UnicodeError, ValueError) as failure:
            error, permanent = f"the request cannot be made: {failure}", True
        raise DeliveryError(
            redact(error, (*call.secrets, call.url)), permanent=permanent, request=call.shown(), rendered=call.rendered
        )

    async def _follow(self, call: HttpCall, limit: asyncio.Timeout) -> HttpAnswer:
        """Follows redirects that keep method and body, on the same host only, and never from https to http."""
        url = _parse_url(call.url)
        for _ in range(REDIRECTS_MAX):
            answer = await self._once(call, url, limit)
            target = _same_host_target(url, answer)
            if target is None:
                return answer
            url = target
        return answer

    async def _once(self, call: HttpCall, url: httpx.URL, limit: asyncio.Timeout) -> HttpAnswer:
        secure = url.scheme == "https"
        if url.scheme not in ("http", "https") or not url.host:
            raise ValueError("it must start with http:// or https:// and a host name")
        endpoint = Endpoint(_ascii_host(url), url.port or (443 if secure else 80), self.tls if secure else None)
        headers = [(name.encode("ascii"), value.encode()) for name, value in call.headers.items()]
        given = {name.lower() for name in call.headers}
        headers += [(name, value) for name, value in _OWN_HEADERS if name.decode() not in given]
        headers.append((b"host", url.netloc))
        if call.body or call.method not in ("GET", "HEAD"):
            headers.append((b"content-length", str(len(call.body)).encode()))
        target = url.raw_path.decode("ascii")
        hold = partial(await_turn_within, limit, call.timeout_seconds) if must_wait() else None
        answer = await exchange(endpoint, call.method, target, headers, call.body, ANSWER_MAX_BYTES, hold)
        body = answer.body.decode(errors="replace").replace("\0", "\ufffd")
        return HttpAnswer(answer.status, answer.reason, httpx.Headers(answer.headers), body)


_OWN_HEADERS = ((b"user-agent", b"Farwatch"), (b"accept", b"*/*"), (b"accept-encoding", b"identity"))


@lru_cache(maxsize=1024)
def _parse_url(url: str) -> httpx.URL:
    return httpx.URL(url)


def _ascii_host(url: httpx.URL) -> str:
    return url.raw_host.decode("ascii").strip("[]")


def _same_host_target(url: httpx.URL, answer: HttpAnswer) -> httpx.URL | None:
    location = answer.headers.get("location")
    if answer.status not in _KEEP_METHOD or not location:
        return None
    target = url.join(location)
    downgraded = url.scheme == "https" and target.scheme != "https"
    return None if target.host != url.host or downgraded or target.scheme not in ("http", "https") else target


def show_host_only(url: str) -> str:
    """An address whose path is the secret, as the trail shows it."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc}/{MASK}"


def show_without_query(url: str) -> str:
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc}{parts.path}" + (f"?{MASK}" if parts.query else "")


def _own_name() -> str:
    """For EHLO. Not getfqdn: that asks DNS and may wait."""
    name = socket.gethostname()
    return name if name.isascii() and name and " " not in name else "localhost"
