"""What the fields of channels may hold. Secrets pass in their encrypted form, which is how they are stored."""

import base64
import binascii
import re
from collections.abc import Callable
from email.utils import parseaddr
from typing import Any

from farwatch_events.masking import MASK
from farwatch_events.requests import ENCRYPTED_PREFIX, require_web_address

SIGNING_PREFIX = "whsec_"

_MAILBOX = re.compile(r"^[^\s@<>,;:\"()\\]{1,64}@[^\s@<>,;:\"()\\]{1,255}$")


def require_written(value: str) -> str:
    if value == MASK:
        raise ValueError("is the mask of a secret that was never stored: write the secret itself")
    return value


def require_set(value: str | None) -> str | None:
    return None if value is None else require_written(value)


def require_secret_address(url: str) -> str:
    return url if url.startswith(ENCRYPTED_PREFIX) else require_web_address(require_written(url))


def require_shape(shape: re.Pattern[str], words: str) -> Callable[[str | None], str | None]:
    """A validator for a secret: what people write has the shape, its encrypted form is let through."""

    def check(value: str | None) -> str | None:
        if value is None or value.startswith(ENCRYPTED_PREFIX):
            return value
        if not shape.match(require_written(value)):
            raise ValueError(f"must be {words}")
        return value

    return check


def empty_is_none(value: Any) -> Any:
    """An empty field of a form is one that is not set."""
    return None if value == "" else value


def require_mailbox(address: str) -> str:
    """Accepts `name@host` and `Name <name@host>`."""
    if any(ord(c) < 32 or ord(c) == 127 for c in address) or not _MAILBOX.match(parseaddr(address)[1]):
        raise ValueError(f"{address[:80]!r} is not an email address")
    return address


def require_signing_secret(secret: str | None) -> str | None:
    if secret is None or secret.startswith(ENCRYPTED_PREFIX):
        return secret
    require_written(secret)
    try:
        key = base64.b64decode(secret.removeprefix(SIGNING_PREFIX), validate=True)
    except (binascii.Error, ValueError):
        key = b""
    if not secret.startswith(SIGNING_PREFIX) or not 24 <= len(key) <= 64:
        raise ValueError(f'must be "{SIGNING_PREFIX}" followed by 24 to 64 random bytes in base64')
    return secret


def split_addresses(addresses: str | list[str]) -> list[str]:
    """One address, several separated by commas, or a list of them, as a list."""
    parts = addresses.split(",") if isinstance(addresses, str) else addresses
    return [part.strip() for part in parts if part.strip()]
