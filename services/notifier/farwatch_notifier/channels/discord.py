"""Discord: one embed through a channel webhook.

Limits are those of Discord's documentation of embeds and of webhook execution.
"""

import json
import re
from typing import Any

from farwatch_events.channels import DiscordConfig
from farwatch_notifier.channels.parts import links
from farwatch_notifier.message import Alert
from farwatch_notifier.outbound import HttpAnswer, HttpCall, Outbound, show_host_only
from farwatch_notifier.outcome import Sent
from farwatch_notifier.text import fit, lines, one_line, rfc3339

TITLE_LIMIT = 256
# One embed may hold 6,000 characters in all, so the parts get less than the 4,096 and 1,024 they may hold alone.
DESCRIPTION_LIMIT = 1500
FIELD_LIMIT = 700
SHORT_FIELD_LIMIT = 300
VALUE_MOST = 1024
"""Only links to a very long public address come near; one that is cut would lead nowhere."""

# Everything that starts markup, a mention, a timestamp, an emoji code or a link that Discord would make by itself.
_MARKUP = re.compile(r"([\\*_~`|<>\[\]()#@:-])")


def escape(text: str, limit: int) -> str:
    """Text that shows as it is: markup, mentions and links lose their meaning. Cut before a backslash splits."""
    return _escaped(fit(one_line(text, limit), limit, lambda shown: len(_escaped(shown))))


def _escaped(text: str) -> str:
    return _MARKUP.sub(r"\\\1", text)


def code_block(text: str, limit: int) -> str:
    """Text in a code block that it cannot leave."""
    return f"```\n{lines(text.replace('`', 'ˋ'), limit - 8)}\n```"


def render(alert: Alert) -> dict[str, Any]:
    """The body for Discord's webhook."""
    embed: dict[str, Any] = {
        "title": f"{alert.symbol} {escape(alert.title, TITLE_LIMIT - 4)}",
        "description": escape(alert.sentence, DESCRIPTION_LIMIT),
        "color": alert.colour,
        "timestamp": rfc3339(alert.at_ms),
        "fields": [{"name": name, "value": value, "inline": inline} for name, value, inline in _fields(alert)],
        "footer": {"text": f"Farwatch · incident {alert.incident_id}" if alert.incident_id else "Farwatch"},
    }
    if alert.link is not None:
        embed["url"] = alert.link
    return {"embeds": [embed], "allowed_mentions": {"parse": []}}


def _fields(alert: Alert) -> list[tuple[str, str, bool]]:
    since = None if alert.since_ms is None else f"<t:{alert.since_ms // 1000}:f>"
    found = [
        ("Target", escape(alert.target, FIELD_LIMIT), False),
        ("Since", since, True),
        ("Duration", alert.duration, True),
        ("Regions", escape(", ".join(alert.regions), SHORT_FIELD_LIMIT), True),
        ("Cause", escape(alert.error or "", FIELD_LIMIT), False),
        ("Why", escape(alert.reason, FIELD_LIMIT), False),
        ("Answered", escape(alert.answered_status, SHORT_FIELD_LIMIT), False),
        ("Answer", code_block(alert.answered_excerpt, 600) if alert.answered_excerpt else None, False),
        ("Act", " · ".join(f"[{words}](<{_address(url)}>)" for words, url in links(alert)[1:]), False),
    ]
    return [(name, value, inline) for name, value, inline in found if value and len(value) <= VALUE_MOST]


def _address(url: str) -> str:
    """Of ours, in <> so that Discord shows no preview, and with nothing in it that would end the link."""
    return url.replace("<", "%3C").replace(">", "%3E").replace(")", "%29")


async def send(config: DiscordConfig, alert: Alert, dedup_key: str, outbound: Outbound) -> Sent:
    body = json.dumps(render(alert), ensure_ascii=False).encode()
    call = HttpCall(
        method="POST",
        url=config.webhook_url,
        shown_url=show_host_only(config.webhook_url),
        headers={"Content-Type": "application/json", "webhook-id": dedup_key},
        body=body,
        secrets=(config.webhook_url,),
        rendered=f"{alert.symbol} {alert.title}\n{alert.sentence}",
    )
    return await outbound.deliver(call, retry_hint)


def retry_hint(answer: HttpAnswer) -> float | None:
    """`retry_after` of the body is finer than the header, in seconds."""
    if answer.status != 429:
        return None
    try:
        seconds = float(json.loads(answer.body)["retry_after"])
    except (ValueError, TypeError, KeyError):
        return None
    return seconds if 0 <= seconds < float("inf") else None
