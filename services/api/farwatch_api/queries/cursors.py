"""Opaque cursors of keyset pages. Pure."""

import base64
import binascii
import json
from collections.abc import Sequence
from typing import Any

from farwatch_api.problems import Invalid

LIMIT_MAX = 500
LARGEST_BIGINT = 2**63 - 1
_LONGEST = 1024


def encode_cursor(kind: str, values: Sequence[Any]) -> str:
    """`kind` names the list and its order, so that a cursor of another list is not taken for one of this."""
    text = json.dumps([kind, *values], separators=(",", ":"))
    return base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")


def decode_cursor(kind: str, cursor: str | None, types: Sequence[type]) -> list[Any] | None:
    """The values of a cursor, None without one. Raises Invalid for anything that is not a cursor of this list."""
    if cursor is None or cursor == "":
        return None
    refused = Invalid.at("cursor", "is not a cursor of this list in this order: leave it out to begin again")
    try:
        if len(cursor) > _LONGEST:
            raise refused
        padded = cursor + "=" * (-len(cursor) % 4)
        found = json.loads(base64.b64decode(padded, altchars=b"-_", validate=True))
    except (binascii.Error, ValueError, RecursionError):
        raise refused from None
    if not isinstance(found, list) or len(found) != len(types) + 1 or found[0] != kind:
        raise refused
    for value, wanted in zip(found[1:], types, strict=True):
        if not _fits(value, wanted):
            raise refused
    return found[1:]


def _fits(value: Any, wanted: type) -> bool:
    if wanted is int:
        return type(value) is int and abs(value) <= LARGEST_BIGINT
    if wanted is str:
        return isinstance(value, str) and "\0" not in value and value.isprintable()
    return isinstance(value, wanted)
