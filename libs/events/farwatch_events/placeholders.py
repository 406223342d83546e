"""Placeholders of a webhook's own body: a fixed set, each replaced once and escaped for the content type. Pure."""

import json
import re
from collections.abc import Callable, Mapping
from html import escape
from urllib.parse import quote_plus

PLACEHOLDERS: dict[str, str] = {
    "event": "what happened, such as incident.down",
    "state": "down, degraded, up or test",
    "title": "the message's headline",
    "text": "the message's sentence",
    "monitor": "name of the monitor",
    "monitor_id": "its number",
    "monitor_type": "its type, such as http",
    "target": "what it checks",
    "incident_id": "number of the incident",
    "severity": "down or degraded",
    "at": "when it happened, RFC 3339 in UTC",
    "since": "when the trouble began, RFC 3339 in UTC",
    "duration": "such as 2h 30m, once it is over",
    "duration_seconds": "the same in seconds",
    "regions": "regions that saw it, separated by commas",
    "cause": "the error",
    "error_class": "its class, such as connect_refused",
    "reason": "why it was decided so",
    "link": "address of the incident in Farwatch",
    "acknowledge_link": "address that asks to acknowledge it, without signing in",
    "silence_link": "address that asks to silence it, without signing in",
    "key": "the same in every retry",
}

_PLACEHOLDER = re.compile(r"\{\{([^{}]*)\}\}")
DEFAULT_CONTENT_TYPE = "application/json"


def content_type(headers: Mapping[str, str]) -> str:
    """Of these headers, in lower case; JSON when none is named."""
    return next((v for n, v in headers.items() if n.lower() == "content-type"), DEFAULT_CONTENT_TYPE).lower()


def fill_body(template: str, values: Mapping[str, str], kind: str) -> str:
    """`kind` is the content type. Values that hold placeholders stay as they are. Raises KeyError for unknown ones."""
    clean = _escaper(kind)
    return _PLACEHOLDER.sub(lambda match: clean(values[match.group(1).strip()]), template)


def require_body(template: str, kind: str) -> str:
    """Returns the template; raises ValueError for unknown placeholders, and for JSON that filling in would break."""
    unknown = [name.strip() for name in _PLACEHOLDER.findall(template) if name.strip() not in PLACEHOLDERS]
    if unknown:
        raise ValueError(f"unknown placeholder {{{{{unknown[0][:64]}}}}}: there are {', '.join(PLACEHOLDERS)}")
    if "json" in kind:
        try:
            json.loads(fill_body(template, dict.fromkeys(PLACEHOLDERS, "text"), kind))
        except ValueError as error:
            raise ValueError(f"is not JSON when filled in (placeholders stand in quotes): {error}") from None
    return template


def _escaper(kind: str) -> Callable[[str], str]:
    """So that no value can end the string, the parameter or the element that it stands in."""
    if "json" in kind:
        return lambda value: json.dumps(value, ensure_ascii=False)[1:-1]
    if "x-www-form-urlencoded" in kind:
        return quote_plus
    return escape if "xml" in kind or "html" in kind else str
