"""What an http request may be made of: addresses, headers, certificates, proxies. ValueErrors are for people."""

import re
from urllib.parse import urlsplit

ENCRYPTED_PREFIX = "enc:v1:"
"""How an encrypted secret starts. Limits are for what people write, not for its longer encrypted form."""

HEADERS_MAX_BYTES = 16 * 1024

_SECRET_HEADERS = re.compile(r"authorization|cookie|token|secret|password|api[-_]?key|credential", re.IGNORECASE)
_HEADER_NAME = re.compile(r"^[!#$%&'*+.^_`|~0-9A-Za-z-]+$")
_PEM = re.compile(r"-----BEGIN ([A-Z0-9 ]+)-----\s[A-Za-z0-9+/=\s:,-]+-----END \1-----")
_PROXY_SCHEMES = ("http", "socks5")


def require_web_address(url: str) -> str:
    """Returns the address unchanged; raises ValueError for anything but http(s) with a host and no credentials."""
    if any(ord(c) <= 32 or ord(c) == 127 for c in url):
        raise ValueError("must not contain spaces or control characters")
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError as error:
        raise ValueError(f"is not a web address: {error}") from None
    if parts.scheme.lower() not in ("http", "https"):
        raise ValueError("must start with http:// or https://")
    if not parts.hostname:
        raise ValueError("has no host name")
    if parts.username is not None or parts.password is not None:
        raise ValueError("must not contain a user name or password; put them in auth")
    if port == 0:
        raise ValueError("port must be 1 to 65535")
    return url


def require_headers(headers: dict[str, str]) -> dict[str, str]:
    """Returns the headers unchanged; raises ValueError for names or values that would break a request."""
    for name, value in headers.items():
        if not _HEADER_NAME.match(name):
            raise ValueError(f"header name {name[:64]!r} may hold letters, digits and !#$%&'*+.^_`|~- only")
        if any(c in value for c in "\r\n\0"):
            raise ValueError(f"header {name!r} must not contain line breaks or NUL")
    written = [(n, v) for n, v in headers.items() if not v.startswith(ENCRYPTED_PREFIX)]
    if sum(len(n.encode()) + len(v.encode()) for n, v in written) > HEADERS_MAX_BYTES:
        raise ValueError("headers are limited to 16 KiB in all")
    return headers


def is_secret_header(name: str) -> bool:
    """Whether values of this header are treated as secrets."""
    return _SECRET_HEADERS.search(name) is not None


def require_certificates(text: str | None) -> str | None:
    """One or more certificates in PEM, unchanged. Raises ValueError, also for a private key."""
    if text is None:
        return None
    kinds = _PEM.findall(text)
    if not kinds:
        raise ValueError("must be in PEM form: -----BEGIN CERTIFICATE----- and so on")
    if any("KEY" in kind for kind in kinds):
        raise ValueError("must hold certificates only; a private key belongs in client_key")
    return text


def require_key(text: str | None) -> str | None:
    """A private key in PEM without a pass phrase, or its encrypted form, unchanged. Raises ValueError."""
    if text is None or text.startswith(ENCRYPTED_PREFIX):
        return text
    kinds = _PEM.findall(text)
    if len(kinds) != 1 or not kinds[0].endswith("PRIVATE KEY"):
        raise ValueError("must be one private key in PEM form: -----BEGIN PRIVATE KEY----- and so on")
    if "ENCRYPTED" in text:
        raise ValueError("must not have a pass phrase: it is stored encrypted anyway")
    return text


def require_proxy(url: str | None) -> str | None:
    """`http://host:port` or `socks5://host:port`, unchanged. Raises ValueError."""
    if url is None:
        return None
    if any(ord(c) <= 32 or ord(c) == 127 for c in url):
        raise ValueError("must not contain spaces or control characters")
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError as error:
        raise ValueError(f"is not a proxy's address: {error}") from None
    if parts.scheme.lower() not in _PROXY_SCHEMES or not parts.hostname or not port:
        raise ValueError("must be http://host:port or socks5://host:port")
    if parts.username is not None or parts.password is not None:
        raise ValueError("must not contain a user name or password; put them in proxy_username and proxy_password")
    if parts.path not in ("", "/") or parts.query or parts.fragment:
        raise ValueError("must end after the port")
    return url
