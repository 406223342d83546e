"""Secrets of a monitor: where they stand in its specification, and how they are kept out of sight."""

from collections.abc import Callable, Mapping
from typing import Any, Final

from farwatch_events.requests import is_secret_header

MASK: Final = "********"
"""What a secret reads as. Written back, it keeps the stored value."""

SECRET_FIELDS: Final = ("client_key", "proxy_password")
"""Secrets that are fields of their own, beside those in `auth` and `headers`."""


def map_secrets(data: Mapping[str, Any], change: Callable[[str], str]) -> dict[str, Any]:
    """A copy of a dumped monitor in which `change` was applied to each secret that is set.

    Secrets are the password and token of `auth`, the values of headers whose name sounds like one, SECRET_FIELDS.
    """
    changed = {k: change(v) if k in SECRET_FIELDS and v else v for k, v in data.items()}
    auth = changed.get("auth")
    if isinstance(auth, Mapping):
        changed["auth"] = {k: change(v) if k in ("password", "token") and v else v for k, v in auth.items()}
    headers = changed.get("headers")
    if isinstance(headers, Mapping):
        changed["headers"] = {k: change(v) if is_secret_header(k) and v else v for k, v in headers.items()}
    return changed


def mask_secrets(data: Mapping[str, Any]) -> dict[str, Any]:
    """What may be shown: each secret reads as MASK."""
    return map_secrets(data, lambda _: MASK)


def keep_masked(new: Mapping[str, Any], stored: Mapping[str, Any]) -> dict[str, Any]:
    """`new` with every MASK replaced by the stored (encrypted) value at the same place.

    A mask with nothing stored behind it stays as it is; the caller refuses it.
    """
    kept = {k: stored.get(k, v) if k in SECRET_FIELDS and v == MASK else v for k, v in new.items()}
    for field in ("auth", "headers"):
        value, before = kept.get(field), stored.get(field)
        if isinstance(value, Mapping) and isinstance(before, Mapping):
            kept[field] = {k: before.get(k, v) if v == MASK else v for k, v in value.items()}
    return kept
