"""Filters of the templates: figures, times and states in words. Pure."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final

from farwatch_api.presentation.alerting import moment_rows, say_seconds
from farwatch_api.presentation.expectations import explained
from farwatch_api.presentation.snippets import snippets
from farwatch_api.views import duration

STATE_WORDS: Final[dict[str, str]] = {
    "down": "Down",
    "degraded": "Degraded",
    "unknown": "Unknown",
    "pending": "Pending",
    "up": "Up",
    "maintenance": "Maintenance",
    "paused": "Paused",
}
TYPE_WORDS: Final[dict[str, str]] = {
    "http": "HTTP(S)",
    "ping": "Ping",
    "port": "TCP port",
    "dns": "DNS",
    "tls": "TLS certificate",
    "push": "Push",
}
CHANNEL_WORDS: Final[dict[str, str]] = {
    "discord": "Discord",
    "slack": "Slack",
    "teams": "Microsoft Teams",
    "telegram": "Telegram",
    "email": "E-mail",
    "ntfy": "ntfy",
    "pagerduty": "PagerDuty",
    "webhook": "Webhook",
    "apprise": "Apprise",
}
DASH: Final = "–"


def latency(milliseconds: float | None) -> str:
    """ "143 ms", "2.41 s", a dash for None."""
    if milliseconds is None:
        return DASH
    if milliseconds >= 1000:
        return f"{milliseconds / 1000:.2f} s"
    return f"{milliseconds:.0f} ms" if milliseconds >= 10 else f"{milliseconds:.1f} ms"


def percent(value: float | None) -> str:
    """As many digits as tell the outage: "100%", "99.98%", "97.1%". Only a full hundred reads as 100%."""
    if value is None:
        return DASH
    if value >= 100 or value <= 0:
        return "100%" if value > 0 else "0%"
    digits = 3 if value >= 99.995 else 2 if value >= 99 else 1
    text = f"{min(value, 99.999):.{digits}f}"
    return f"{text}%"


def interval(seconds: float) -> str:
    """ "every 30 s", "every 5 min"."""
    return f"every {span(seconds)}"


def span(seconds: float) -> str:
    for size, unit in ((86400, "d"), (3600, "h"), (60, "min")):
        if seconds >= size and seconds % size == 0:
            return f"{seconds // size:.0f} {unit}"
    return f"{seconds:g} s"


def clock(moment: str | datetime | None) -> str:
    """UTC for whoever has no script: "2026-01-31 12:00:05"."""
    if moment is None:
        return DASH
    parsed = moment if isinstance(moment, datetime) else datetime.fromisoformat(moment)
    return f"{parsed:%Y-%m-%d %H:%M:%S}"


def target(spec: Mapping[str, Any]) -> str:
    """What a monitor looks at, without a scheme that everybody knows."""
    kind = spec["type"]
    if kind == "http":
        return str(spec["url"]).removeprefix("https://").removesuffix("/")
    if kind == "push":
        when = f"at {spec['cron']}" if spec.get("cron") else interval(spec["interval_seconds"])
        return f"waits for a call {when}"
    host = str(spec["host"])
    if kind in ("port", "tls"):
        return f"[{host}]:{spec['port']}" if ":" in host else f"{host}:{spec['port']}"
    return f"{host} {spec['record_type']}" if kind == "dns" else host


def why(reason: str) -> str:
    """A reason beside its state: the state's own word in front would say it twice."""
    head, colon, rest = reason.partition(": ")
    return rest if colon and head in STATE_WORDS.values() else reason


def counted(number: int, word: str, plural: str | None = None) -> str:
    return f"{number:,} {word if number == 1 else plural or word + 's'}"


FILTERS: Final[dict[str, Any]] = {
    "latency": latency,
    "percent": percent,
    "interval": interval,
    "span": span,
    "clock": clock,
    "target": target,
    "duration": duration,
    "counted": counted,
    "why": why,
    "explained": explained,
    "snippets": snippets,
    "first_upper": lambda text: text[:1].upper() + text[1:],
    "seconds_word": say_seconds,
    "moment_rows": moment_rows,
    "state_word": lambda state: STATE_WORDS.get(state, state),
    "type_word": lambda kind: TYPE_WORDS.get(kind, kind),
    "channel_word": lambda kind: CHANNEL_WORDS.get(kind, kind),
}
