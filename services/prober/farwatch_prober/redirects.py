"""Where a redirect leads and what goes along. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from itertools import pairwise
from urllib.parse import quote, urljoin, urlsplit, urlunsplit

from farwatch_events.requests import is_secret_header
from farwatch_events.results import ErrorClass
from farwatch_prober.names import CACHED_NAMES, to_ascii
from farwatch_prober.outcome import ProbeFailure

REDIRECTS = frozenset({301, 302, 303, 307, 308})
DEFAULT_PORTS = {"http": 80, "https": 443}

_SAFE_IN_URL = "!#$%&'()*+,/:;=?@[]~"
_BODY_HEADERS = frozenset({"content-type", "content-length", "content-encoding", "transfer-encoding"})


@dataclass(frozen=True, slots=True)
class Target:
    """One hop's address. `host` is ASCII without brackets; `url` is free of fragment, user name and IDN."""

    url: str
    scheme: str
    host: str
    port: int


@dataclass(frozen=True, slots=True)
class Hop:
    """One request of a check."""

    target: Target
    method: str
    headers: Mapping[str, str]
    body: bytes | None


@lru_cache(maxsize=CACHED_NAMES)
def parse_target(url: str) -> Target:
    """Raises ProbeFailure for a URL that cannot be asked for."""
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError as error:
        raise ProbeFailure(ErrorClass.PROTOCOL, f"{url[:200]} is not a web address: {error}") from None
    scheme = parts.scheme.lower()
    if scheme not in DEFAULT_PORTS:
        raise ProbeFailure(ErrorClass.PROTOCOL, f"{url[:200]} is neither http nor https")
    if not parts.hostname:
        raise ProbeFailure(ErrorClass.PROTOCOL, f"{url[:200]} has no host name")
    host = parts.hostname if ":" in parts.hostname else to_ascii(parts.hostname)
    return _target(scheme, host, port, parts.path, parts.query)


def _target(scheme: str, host: str, port: int | None, path: str, query: str) -> Target:
    shown = f"[{host}]" if ":" in host else host
    netloc = shown if port is None else f"{shown}:{port}"
    path, query = quote(path or "/", safe=_SAFE_IN_URL), quote(query, safe=_SAFE_IN_URL)
    return Target(urlunsplit((scheme, netloc, path, query, "")), scheme, host, port or DEFAULT_PORTS[scheme])


def next_hop(hop: Hop, status: int, location: str) -> Hop:
    """The request that follows a redirect. Raises ProbeFailure (redirect) when it leads nowhere we may go."""
    try:
        target = parse_target(urljoin(hop.target.url, location.strip()))
    except ProbeFailure as failure:
        raise ProbeFailure(ErrorClass.REDIRECT, f"Redirected to a bad address: {failure.sentence}") from None
    except ValueError:
        raise ProbeFailure(ErrorClass.REDIRECT, f"Redirected to a bad address: {location[:200]}") from None
    moved = replace(hop, target=target, headers=_headers_for(hop, target))
    return _without_body(moved) if _becomes_get(status, hop.method) else moved


def _becomes_get(status: int, method: str) -> bool:
    """As browsers do (RFC 9110, 15.4): 303 always, 301 and 302 after a POST."""
    return (status == 303 and method not in ("GET", "HEAD")) or (status in (301, 302) and method == "POST")


def _without_body(hop: Hop) -> Hop:
    kept = {name: value for name, value in hop.headers.items() if name.lower() not in _BODY_HEADERS}
    return replace(hop, method="GET", body=None, headers=kept)


def _headers_for(hop: Hop, target: Target) -> Mapping[str, str]:
    if same_party(hop.target, target):
        return hop.headers
    return {name: value for name, value in hop.headers.items() if not _is_private(name)}


def _is_private(name: str) -> bool:
    return is_secret_header(name) or name.lower() == "host"


def redirect_notes(targets: Sequence[Target]) -> tuple[list[str], list[str]]:
    """What people should know of a chain of redirects: warnings (from https to http), and notes (to another host)."""
    warnings, notes = [], []
    for before, after in pairwise(targets):
        if (before.scheme, after.scheme) == ("https", "http"):
            warnings.append(f"Redirected from https to unencrypted http: {after.url[:200]}")
        if before.host != after.host:
            notes.append(f"redirected to another host: {after.host}")
    return warnings, notes


def same_party(before: Target, after: Target) -> bool:
    """May credentials go along: the same host and port, or its own upgrade from http to https."""
    if before.host != after.host:
        return False
    upgrade = (before.scheme, before.port, after.scheme, after.port) == ("http", 80, "https", 443)
    return upgrade or (before.scheme, before.port) == (after.scheme, after.port)
