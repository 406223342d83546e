"""What is wrong with a request, in words that name the field and the mend. Pure."""

import difflib
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from farwatch_events.monitor import MONITOR_TYPES

Problem = dict[str, str]

_LEADING_FIELD = re.compile(r"^([a-z_]+(?:\.[a-z_]+)?)\b(?= \(| is needed| must)")
_LEADING_HEADER = re.compile(r"^header (?:name )?'([^']+)'")
_WHERE = ("body", "query", "path", "header", "cookie")

_WORDS: dict[str, str] = {
    "missing": "is required",
    "int_type": "must be a whole number",
    "int_parsing": "must be a whole number",
    "int_from_float": "must be a whole number",
    "int_parsing_size": "is out of range",
    "float_type": "must be a number",
    "float_parsing": "must be a number",
    "finite_number": "must be a finite number",
    "bool_type": "must be true or false",
    "bool_parsing": "must be true or false",
    "string_type": "must be text",
    "string_unicode": "must be valid Unicode text",
    "list_type": "must be a list",
    "dict_type": "must be an object",
    "model_type": "must be an object",
    "model_attributes_type": "must be an object",
    "datetime_type": "must be a time such as 2026-01-31T12:00:00Z",
    "datetime_parsing": "must be a time such as 2026-01-31T12:00:00Z",
    "datetime_from_date_parsing": "must be a time such as 2026-01-31T12:00:00Z",
    "timezone_aware": "needs a time zone, such as 2026-01-31T12:00:00Z",
    "json_invalid": "is not valid JSON",
}
_LIMITS: dict[str, str] = {
    "greater_than_equal": "must be at least {ge:g}",
    "greater_than": "must be greater than {gt:g}",
    "less_than_equal": "must be at most {le:g}",
    "less_than": "must be less than {lt:g}",
    "string_too_long": "must have at most {max_length} characters",
    "string_too_short": "must have at least {min_length} characters",
    "too_long": "must have at most {max_length} entries",
    "too_short": "must have at least {min_length} entries",
    "literal_error": "must be one of {expected}",
    "enum": "must be one of {expected}",
}


class Invalid(Exception):
    """A request that cannot be carried out as written: answered 422 with these problems."""

    def __init__(self, problems: Sequence[Problem]) -> None:
        super().__init__("; ".join(f"{p['field']}: {p['message']}" for p in problems))
        self.problems = list(problems)

    @classmethod
    def at(cls, field: str, message: str) -> "Invalid":
        return cls([problem(field, message)])


def problem(field: str, message: str) -> Problem:
    return {"field": field, "message": message}


def explain(errors: Iterable[Mapping[str, Any]], known: Iterable[str] = ()) -> list[Problem]:
    """pydantic's complaints in our words. `known` are the field names to suggest for a misspelt one."""
    known = list(known)
    return [_explain_one(error, known) for error in errors]


def _explain_one(error: Mapping[str, Any], known: Sequence[str]) -> Problem:
    kind = str(error["type"])
    if kind in ("union_tag_not_found", "union_tag_invalid"):
        return problem("type", f"must be one of {', '.join(MONITOR_TYPES)}")
    field, message = field_path(error["loc"]), _message(kind, error)
    if kind == "extra_forbidden":
        message = _unknown_field(field, known)
    return problem(_sharper_field(field, message), message)


def field_path(location: Sequence[Any]) -> str:
    """("body", "http", "headers", "X") -> "headers.X": where people wrote it, not how we model it."""
    parts = [str(part) for part in location if part != "[key]"]
    if len(parts) > 1 and parts[0] in _WHERE:  # alone it is a field of that name
        parts = parts[1:]
    if parts and parts[0] in MONITOR_TYPES:
        parts = parts[1:]
    return ".".join(parts)


def _message(kind: str, error: Mapping[str, Any]) -> str:
    if kind in _WORDS:
        return _WORDS[kind]
    if kind in _LIMITS:
        return _limit(_LIMITS[kind], error.get("ctx") or {}) or str(error["msg"])
    if kind == "string_pattern_mismatch":
        return _pattern(str((error.get("ctx") or {}).get("pattern", "")))
    return str(error["msg"]).removeprefix("Value error, ")


def _limit(template: str, context: Mapping[str, Any]) -> str | None:
    try:
        return template.format(**context)
    except (KeyError, ValueError):
        return None


def _pattern(pattern: str) -> str:
    if pattern == r"^[^\s,]+$":
        return "must not contain spaces or commas"
    if "a-z0-9-" in pattern:
        return "must be 1 to 32 of a-z, 0-9 and '-'"
    return f"must match {pattern}"


def _unknown_field(field: str, known: Sequence[str]) -> str:
    close = difflib.get_close_matches(field, known, n=1, cutoff=0.6)
    return f"is not a known field: did you mean {close[0]}?" if close else "is not a known field: remove it"


def _sharper_field(field: str, message: str) -> str:
    """Checks over a whole object name the field at the start of their sentence."""
    if field == "headers" and (found := _LEADING_HEADER.match(message)):
        return f"headers.{found[1]}"
    if field in ("", "auth") and (found := _LEADING_FIELD.match(message)):
        return found[1]
    return field


def unfit_value(value: Any, path: str = "") -> Problem | None:
    """The first thing in `value` that nothing of ours can hold: NUL, half a surrogate pair, a number beyond 64 bits."""
    if isinstance(value, str):
        return _unfit_string(value, path)
    if isinstance(value, int | float) and not -(2**63) <= value < 2**63:
        return problem(path, "is out of range")
    if isinstance(value, Mapping):
        for key, item in value.items():
            inner = f"{path}.{key}" if path else str(key)
            if found := unfit_value(str(key), path or "(name)") or unfit_value(item, inner):
                return found
    if isinstance(value, list | tuple):
        for index, item in enumerate(value):
            if found := unfit_value(item, f"{path}.{index}" if path else str(index)):
                return found
    return None


def _unfit_string(text: str, path: str) -> Problem | None:
    if "\0" in text:
        return problem(path.replace("\0", "?"), "must not contain the NUL character")
    try:
        text.encode()
    except UnicodeEncodeError:
        return problem(path.encode("utf-8", "replace").decode(), "must be valid Unicode text")
    return None
