"""From the specification of an http check to what libcurl is asked to do, one hop at a time."""

import base64
import json
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlencode, urlsplit

import pycurl

from farwatch_events.monitor import Auth, HttpMonitor
from farwatch_prober.outcome import endpoint
from farwatch_prober.redirects import Hop, Target, parse_target, same_party

Options = tuple[tuple[int, Any], ...]


def first_hop(spec: HttpMonitor) -> Hop:
    """The request as it is configured. Raises ProbeFailure for a URL that cannot be asked for."""
    headers = dict(spec.headers)
    if spec.auth is not None and spec.auth.type != "digest":
        headers["Authorization"] = authorization(spec.auth)
    body, content_type = body_of(spec)
    if body and not any(name.lower() == "content-type" for name in headers):
        headers["Content-Type"] = content_type
    return Hop(parse_target(spec.url), spec.method, headers, body)


def body_of(spec: HttpMonitor) -> tuple[bytes | None, str]:
    """The body with the type it has unless the headers say otherwise; None where the method has none."""
    if spec.body_json is not None:
        text = json.dumps(spec.body_json, ensure_ascii=False, separators=(",", ":"))
        return text.encode(), "application/json"
    if spec.form is not None:
        return urlencode(spec.form).encode(), "application/x-www-form-urlencoded"
    if spec.body is None:
        return (b"" if spec.method in ("POST", "PUT", "PATCH") else None), "text/plain"
    body = spec.body.encode()
    return body, "application/json" if body.lstrip()[:1] in (b"{", b"[") else "text/plain"


def authorization(auth: Auth) -> str:
    if auth.type == "bearer":
        return f"Bearer {auth.token}"
    return "Basic " + base64.b64encode(f"{auth.username}:{auth.password}".encode()).decode()


def header_lines(headers: Mapping[str, str], cookies: str = "") -> tuple[str, ...]:
    """Lines for libcurl, where a header without a value has to be written with a semicolon.

    Cookies received on the way come after those that are configured.
    """
    if cookies:
        name = next((name for name in headers if name.lower() == "cookie"), "Cookie")
        headers = {**headers, name: "; ".join(filter(None, (headers.get(name, ""), cookies)))}
    return tuple(f"{name}: {value}" if value else f"{name};" for name, value in headers.items())


def options_of(spec: HttpMonitor, first: Target, target: Target) -> Options:
    """What is beyond the ordinary. Credentials go to the party they are meant for and nobody else."""
    options: list[tuple[int, Any]] = []
    if spec.http_version == "1.1":
        options.append((pycurl.HTTP_VERSION, pycurl.CURL_HTTP_VERSION_1_1))
    elif spec.http_version == "2" and target.scheme == "http":
        options.append((pycurl.HTTP_VERSION, pycurl.CURL_HTTP_VERSION_2_PRIOR_KNOWLEDGE))
    if target == first or same_party(first, target):
        options += _digest(spec.auth)
        if spec.client_certificate is not None and spec.client_key is not None:
            options.append((pycurl.SSLCERT_BLOB, spec.client_certificate.encode()))
            options.append((pycurl.SSLKEY_BLOB, spec.client_key.encode()))
    return (*options, *own_authorities(spec.ca_certificate))


def _digest(auth: Auth | None) -> list[tuple[int, Any]]:
    if auth is None or auth.type != "digest":
        return []
    return [
        (pycurl.HTTPAUTH, pycurl.HTTPAUTH_DIGEST),
        (pycurl.USERNAME, auth.username),
        (pycurl.PASSWORD, auth.password),
    ]


def own_authorities(pem: str | None) -> Options:
    """These and no others. A blob, since a file would take the place of the common one in libcurl's cache."""
    return () if pem is None else ((pycurl.CAINFO, None), (pycurl.CAINFO_BLOB, pem.encode()))


def proxy_place(proxy: str) -> tuple[str, int]:
    """Host and port."""
    parts = urlsplit(proxy)
    return parts.hostname or "", parts.port or 0


def proxy_options(spec: HttpMonitor, address: str, port: int) -> Options:
    """The proxy at its vetted address; names behind it are its own to look up."""
    scheme = "socks5h" if (spec.proxy or "").lower().startswith("socks5") else "http"
    options: list[tuple[int, Any]] = [(pycurl.PROXY, f"{scheme}://{endpoint(address, port)}")]
    if spec.proxy_username:
        options.append((pycurl.PROXYUSERNAME, spec.proxy_username))
        options.append((pycurl.PROXYPASSWORD, spec.proxy_password))
    return tuple(options)
