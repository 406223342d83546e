"""What is kept of a failed answer: little enough to store, and without anybody's secrets. Pure."""

import base64
import re
from collections.abc import Iterable, Sequence

from farwatch_events.masking import MASK
from farwatch_events.monitor import HttpMonitor
from farwatch_events.requests import is_secret_header
from farwatch_events.results import Evidence

BODY_CHARACTERS = 1000
HEADER_CHARACTERS = 200
HEADERS_IN_ALL = 1500
SHORTEST_SECRET = 4

_CHARSET = re.compile(r"charset\s*=\s*[\"']?([\w.:-]+)", re.IGNORECASE)


def decode_headers(lines: Sequence[bytes]) -> tuple[str, list[tuple[str, str]]]:
    """Status line and headers of the last answer in `lines` (interim 1xx answers come before it)."""
    status_line = ""
    headers: list[tuple[str, str]] = []
    for line in lines:
        text = _text(line).rstrip("\r\n")
        if text.startswith("HTTP/"):
            status_line, headers = text.strip(), []
        elif ":" in text and not text.startswith((" ", "\t")):
            name, _, value = text.partition(":")
            headers.append((name.strip(), value.strip()))
    return status_line, headers


def header(lines: Sequence[bytes], name: str) -> str | None:
    """The value of the first header of that name in the last answer."""
    wanted = name.lower()
    return next((value for key, value in decode_headers(lines)[1] if key.lower() == wanted), None)


def header_values(lines: Sequence[bytes], name: str) -> list[str]:
    """Every value of the header in the last answer."""
    return [value for key, value in decode_headers(lines)[1] if key.lower() == name]


def decode_body(body: bytes, content_type: str | None) -> str:
    """The body as text, by the charset it declares; what does not decode is replaced."""
    declared = _CHARSET.search(content_type or "")
    try:
        return body.decode(declared.group(1) if declared else "utf-8", errors="replace")
    except LookupError:
        return body.decode("utf-8", errors="replace")


def secrets_of(spec: HttpMonitor) -> tuple[str, ...]:
    """Every plain secret of a decrypted specification, also in the form that is sent."""
    found = [value for name, value in spec.headers.items() if is_secret_header(name)]
    found += [value.partition(" ")[2] for value in found]
    if spec.auth is not None:
        pair = f"{spec.auth.username}:{spec.auth.password}"
        found += [spec.auth.password, spec.auth.token, base64.b64encode(pair.encode()).decode()]
    found += [spec.proxy_password, spec.client_key or ""]
    return tuple(sorted({value for value in found if len(value) >= SHORTEST_SECRET}, key=len, reverse=True))


def without(secrets: Iterable[str], text: str) -> str:
    for secret in secrets:
        text = text.replace(secret, MASK)
    return text


def gather(
    lines: Sequence[bytes], body: bytes, address: str | None, secrets: Sequence[str], notes: Sequence[str] = ()
) -> Evidence:
    """At most about 4 KiB. Header values that sound secret are masked, known secrets wherever they occur."""
    status_line, headers = decode_headers(lines)
    content_type = next((value for name, value in headers if name.lower() == "content-type"), None)
    text = decode_body(body, content_type).replace("\0", "\N{REPLACEMENT CHARACTER}")
    return Evidence(
        status_line=without(secrets, status_line)[:HEADER_CHARACTERS],
        headers=_kept(headers, secrets),
        body=without(secrets, text)[:BODY_CHARACTERS],
        address=address,
        notes=[without(secrets, note)[:HEADER_CHARACTERS] for note in notes][-8:],
    )


def _kept(headers: Sequence[tuple[str, str]], secrets: Sequence[str]) -> dict[str, str]:
    kept: dict[str, str] = {}
    room = HEADERS_IN_ALL
    for name, value in headers:
        shown = MASK if is_secret_header(name) else without(secrets, value)[:HEADER_CHARACTERS]
        room -= len(name) + len(shown)
        if room < 0:
            break
        kept[name[:HEADER_CHARACTERS]] = shown.replace("\0", "\N{REPLACEMENT CHARACTER}")
    return kept


def _text(line: bytes) -> str:
    try:
        return line.decode("utf-8")
    except UnicodeDecodeError:
        return line.decode("latin-1")
