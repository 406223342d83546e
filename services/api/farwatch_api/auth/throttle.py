"""How long somebody must wait after failed sign-ins. Pure."""

import ipaddress
from dataclasses import dataclass, replace

WINDOW_SECONDS = 15 * 60
FIRST_WAIT_SECONDS = 15
LONGEST_WAIT_SECONDS = 15 * 60
FREE_BY_ACCOUNT = 5
FREE_BY_ADDRESS = 20


@dataclass(frozen=True, slots=True)
class Attempts:
    """Sign-ins begun and not succeeded under one key. Times are seconds since 1970."""

    failures: int
    first_at: float
    blocked_until: float = 0.0


def wait_seconds(attempts: Attempts | None, now: float) -> float:
    """0 when a sign-in may be tried."""
    return max(0.0, attempts.blocked_until - now) if attempts else 0.0


def after_attempt(attempts: Attempts | None, free: int, now: float) -> Attempts:
    """Counted before the password is looked at, so that guesses sent at the same time count too.

    After `free` attempts within the window each further one doubles the wait.
    """
    if attempts is None or now - max(attempts.first_at, attempts.blocked_until) > WINDOW_SECONDS:
        return Attempts(1, now)
    failures = attempts.failures + 1
    if failures < free:
        return replace(attempts, failures=failures)
    wait = min(LONGEST_WAIT_SECONDS, FIRST_WAIT_SECONDS * 2 ** min(failures - free, 16))
    return replace(attempts, failures=failures, blocked_until=now + wait)


def address_key(address: str) -> str:
    """One household is one address: IPv6 by its /64, IPv4 in IPv6 as IPv4."""
    try:
        parsed = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return f"address:{address[:64]}"
    if isinstance(parsed, ipaddress.IPv6Address):
        if parsed.ipv4_mapped:
            return f"address:{parsed.ipv4_mapped}"
        return f"address:{ipaddress.ip_network((parsed, 64), strict=False)}"
    return f"address:{parsed}"


def account_key(email: str) -> str:
    return f"account:{email}"
