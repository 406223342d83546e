"""Cookies that a check is given on its way and sends along to the next hop (RFC 6265, what a check needs). Pure."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC
from email.utils import parsedate_to_datetime

from farwatch_prober.names import parse_literal
from farwatch_prober.redirects import Target

COOKIES_MAX = 50
COOKIE_MAX_CHARS = 4096


@dataclass(frozen=True, slots=True)
class Cookie:
    """`domain` of a host-only cookie is that very host."""

    name: str
    value: str
    domain: str
    path: str
    host_only: bool
    secure: bool

    def fits(self, target: Target) -> bool:
        if self.secure and target.scheme != "https":
            return False
        if not (target.host == self.domain or (not self.host_only and target.host.endswith(f".{self.domain}"))):
            return False
        path = _path_of(target)
        return path == self.path or path.startswith(self.path if self.path.endswith("/") else f"{self.path}/")


@dataclass(slots=True)
class CookieJar:
    """Lives as long as one try."""

    _kept: dict[tuple[str, str, str], Cookie] = field(default_factory=dict)

    def take(self, target: Target, lines: Iterable[str], now_ms: int) -> None:
        """Keeps what the `Set-Cookie` lines of an answer from `target` set, and forgets what they end."""
        for line in lines:
            parsed = _parse(line[:COOKIE_MAX_CHARS], target, now_ms)
            if parsed is None:
                continue
            cookie, is_over = parsed
            key = (cookie.name, cookie.domain, cookie.path)
            if is_over:
                self._kept.pop(key, None)
            elif key in self._kept or len(self._kept) < COOKIES_MAX:
                self._kept[key] = cookie

    def header(self, target: Target) -> str:
        """The value of the `Cookie` header for a request to `target`, "" for none."""
        fitting = sorted((c for c in self._kept.values() if c.fits(target)), key=lambda c: -len(c.path))
        return "; ".join(f"{cookie.name}={cookie.value}" for cookie in fitting)


def _parse(line: str, target: Target, now_ms: int) -> tuple[Cookie, bool] | None:
    """The cookie and whether it is over already; None for one that is none, or that this host must not set."""
    pair, *rest = line.split(";")
    name, equals, value = pair.partition("=")
    name, value = name.strip(), value.strip()
    if not equals or not name or any(ord(c) < 32 or ord(c) == 127 for c in name + value):
        return None
    attributes = {k.strip().lower(): v.strip() for k, _, v in (each.partition("=") for each in rest)}
    domain = attributes.get("domain", "").lower().removeprefix(".")
    if domain and not _may_set(target.host, domain):
        return None
    path = attributes.get("path", "")
    cookie = Cookie(
        name=name,
        value=value,
        domain=domain or target.host,
        path=path if path.startswith("/") else _default_path(target),
        host_only=not domain,
        secure="secure" in attributes,
    )
    return cookie, _is_over(attributes, now_ms)


def _may_set(host: str, domain: str) -> bool:
    """For itself or a parent that is more than a top-level domain."""
    if host == domain:
        return True
    return "." in domain and parse_literal(host) is None and host.endswith(f".{domain}")


def _is_over(attributes: dict[str, str], now_ms: int) -> bool:
    age = attributes.get("max-age", "")
    if age.lstrip("-").isdigit():
        return int(age[:12]) <= 0
    try:
        ends = parsedate_to_datetime(attributes["expires"])
    except (KeyError, ValueError, TypeError, IndexError):
        return False
    return (ends if ends.tzinfo else ends.replace(tzinfo=UTC)).timestamp() * 1000 <= now_ms


def _path_of(target: Target) -> str:
    after_host = target.url.split("/", 3)
    return "/" + after_host[3].partition("?")[0] if len(after_host) > 3 else "/"


def _default_path(target: Target) -> str:
    return _path_of(target).rpartition("/")[0] or "/"
