"""What every channel shows, in reading order, before it is escaped for its place. Pure."""

from farwatch_notifier.message import Alert
from farwatch_notifier.text import say_time

JOINER = "\u2060"
"""Invisible; between two characters it keeps what they would begin from beginning."""


def headline(alert: Alert) -> str:
    return f"{alert.symbol} {alert.title}"


def details(alert: Alert) -> list[tuple[str, str]]:
    """Label and value of what is known. Labels are ours, values may be anybody's."""
    found = [
        ("Target", alert.target),
        ("Since", "" if alert.since_ms is None else say_time(alert.since_ms)),
        ("Duration", alert.duration or ""),
        ("Regions", ", ".join(alert.regions)),
        ("Cause", alert.error or ""),
        ("Why", alert.reason),
        ("Answered", alert.answered_status),
    ]
    return [(label, value) for label, value in found if value]


def links(alert: Alert) -> list[tuple[str, str]]:
    """Words and address of what can be opened, the page itself first; empty without a public address."""
    page = "Open these incidents" if alert.members else "Open Farwatch"
    page = f"Open incident {alert.incident_id}" if alert.incident_id else page
    found = [(page, alert.link), ("Acknowledge", alert.acknowledge_link), ("Silence", alert.silence_link)]
    return [(words, address) for words, address in found if address]


def plain_text(alert: Alert) -> str:
    """The message below its headline, for services that show text as it is."""
    parts = [alert.sentence, "\n".join(f"{label}: {value}" for label, value in details(alert))]
    parts += [f"{words}: {address}" for words, address in links(alert)]
    return "\n\n".join(part for part in parts if part)
