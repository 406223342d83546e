"""What the test button sends: a message with every part filled in. Pure."""

from farwatch_notifier.message.alert import Alert
from farwatch_notifier.message.parts import Fields, make_link
from farwatch_notifier.message.words import compose
from farwatch_notifier.text import one_line


def sample_alert(channel_name: str, at_ms: int, public_url: str) -> Alert:
    sample: Fields = {
        "at_ms": at_ms,
        "thread": "test",
        "monitor_name": "Example shop",
        "monitor_type": "http",
        "target": "https://shop.example/",
        "regions": ["local"],
        "since_ms": at_ms - 90_000,
        "reason": f"Somebody pressed “Send a test” on the channel {one_line(channel_name, 200)}.",
        "answered_status": "HTTP/1.1 503 Service Unavailable",
        "link": make_link(public_url, None, None),
    }
    return compose("test", sample)
