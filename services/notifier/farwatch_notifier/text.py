"""Making text that others wrote harmless, and saying times and durations. Pure."""

import re
from collections.abc import Callable
from datetime import UTC, datetime

_SPACES = re.compile(r"\s+")
# C0, C1, the bidirectional overrides and isolates that can turn a line around, line and paragraph separators, and what
# is no character of a text: XML could not hold it.
_CONTROLS = r"\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f"
_TURNS = r"\u202a-\u202e\u2066-\u2069\u2028\u2029"
_UNSEEN = re.compile(rf"[{_CONTROLS}{_TURNS}\ufeff\ufff9-\ufffb\ufffe\uffff]")
_SURROGATES = re.compile(r"[\ud800-\udfff]")
_PLACEHOLDER = re.compile(r"\{([a-z_]+)\}")
_UNITS = (("d", 86_400), ("h", 3_600), ("m", 60), ("s", 1))


def cut(text: str, limit: int) -> str:
    """At most `limit` characters, the last one an ellipsis when something was cut."""
    return text if len(text) <= limit else text[: max(0, limit - 1)].rstrip() + "…"


def cut_bytes(text: str, limit: int) -> str:
    """At most `limit` bytes of UTF-8, no character halved, ending in an ellipsis when something was cut."""
    encoded = text.encode(errors="replace")
    if len(encoded) <= limit:
        return text
    return encoded[: max(0, limit - 3)].decode(errors="ignore").rstrip() + "…"


def fit(text: str, limit: int, measure: Callable[[str], int]) -> str:
    """The longest beginning that measures at most `limit`, ending in an ellipsis when something was cut.

    `measure` must not shrink as the text grows.
    """
    if measure(text) <= limit:
        return text
    low, high = 0, len(text)
    while low < high:
        middle = (low + high + 1) // 2
        low, high = (middle, high) if measure(cut(text, middle)) <= limit else (low, middle - 1)
    return cut(text, low)


def units(text: str) -> int:
    """Length in UTF-16: characters beyond the basic plane are two."""
    return len(text.encode("utf-16-le", errors="replace")) // 2


def one_line(text: str, limit: int) -> str:
    """Without control characters, line breaks or direction overrides. Letters of any script and emoji stay."""
    return cut(_SPACES.sub(" ", _visible(text[: limit * 4])).strip(), limit)


def lines(text: str, limit: int) -> str:
    """As one_line, but line breaks and indentation stay."""
    return cut(_visible(text[: limit * 4]).replace("\r\n", "\n").replace("\r", "\n").strip("\n"), limit)


def _visible(text: str) -> str:
    return _SURROGATES.sub("\ufffd", _UNSEEN.sub(" ", text))


def fill(template: str, values: dict[str, str]) -> str:
    """Replaces {name} by its value, once: a value that itself holds {name} stays as it is. Raises KeyError."""
    return _PLACEHOLDER.sub(lambda match: values[match.group(1)], template)


def say_duration(seconds: int) -> str:
    """The two largest units: "45s", "12m 5s", "2h 30m", "3d"."""
    rest = max(0, seconds)
    parts: list[str] = []
    for unit, size in _UNITS:
        count, rest = divmod(rest, size)
        if count or parts:
            parts.append(f"{count}{unit}" if count else "")
        if len(parts) == 2:
            break
    return " ".join(part for part in parts if part) or "0s"


def say_time(at_ms: int) -> str:
    """For people: "21 Nov 2026, 22:28:09 UTC"."""
    at = datetime.fromtimestamp(at_ms / 1000, UTC)
    return f"{at.day} {at:%b %Y, %H:%M:%S} UTC"


def rfc3339(at_ms: int) -> str:
    at = datetime.fromtimestamp(at_ms / 1000, UTC)
    return f"{at:%Y-%m-%dT%H:%M:%S}.{at_ms % 1000:03d}Z"


def join_words(words: list[str]) -> str:
    """ "a", "a and b", "a, b and c"."""
    return " and ".join(part for part in (", ".join(words[:-1]), *words[-1:]) if part)
