"""A certificate's dates as results carry them. Pure."""

import calendar
import time
from collections.abc import Mapping
from typing import Any

from farwatch_events.results import Certificate

DAY_MS = 86_400_000

_SHORT = {
    "commonName": "CN",
    "organizationName": "O",
    "organizationalUnitName": "OU",
    "countryName": "C",
    "localityName": "L",
    "stateOrProvinceName": "ST",
}


def certificate_at(not_after_ms: int, subject: str, issuer: str, now_ms: int) -> Certificate:
    """`days` is rounded down, so 0 means that it ends within a day and -1 that it ended."""
    return Certificate(
        not_after_ms=not_after_ms,
        days=(not_after_ms - now_ms) // DAY_MS,
        subject=subject[:300],
        issuer=issuer[:300],
    )


def certificate_of_peer(found: Mapping[str, Any], now_ms: int) -> Certificate | None:
    """From what ssl.SSLSocket.getpeercert() tells; None when it tells nothing, as without verification."""
    if "notAfter" not in found:
        return None
    ends_ms = calendar.timegm(time.strptime(found["notAfter"], "%b %d %H:%M:%S %Y %Z")) * 1000
    return certificate_at(ends_ms, _name(found.get("subject", ())), _name(found.get("issuer", ())), now_ms)


def _name(parts: Any) -> str:
    return ", ".join(f"{_SHORT.get(key, key)} = {value}" for group in parts for key, value in group)
