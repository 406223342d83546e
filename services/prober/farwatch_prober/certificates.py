"""A certificate's dates as results carry them. Pure."""

from farwatch_events.results import Certificate

DAY_MS = 86_400_000


def certificate_at(not_after_ms: int, subject: str, issuer: str, now_ms: int) -> Certificate:
    """`days` is rounded down, so 0 means that it ends within a day and -1 that it ended."""
    return Certificate(
        not_after_ms=not_after_ms,
        days=(not_after_ms - now_ms) // DAY_MS,
        subject=subject[:300],
        issuer=issuer[:300],
    )
