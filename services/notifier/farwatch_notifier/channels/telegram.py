"""Telegram: an HTML message of a bot through sendMessage.

Telegram makes mentions, commands, hashtags and links of plain text by itself, so foreign text stands in <code>, where
it does not, or has an invisible joiner after the signs that start them. A message has 4,096 characters at most, counted
here as UTF-16 units with all markup, which is never less than Telegram counts.
"""

import json
import re
from collections.abc import Callable
from html import escape
from typing import Any

from farwatch_events.channels import TelegramConfig
from farwatch_events.masking import MASK
from farwatch_notifier.channels.parts import JOINER, details, headline, links
from farwatch_notifier.message import Alert
from farwatch_notifier.outbound import HttpAnswer, HttpCall, Outbound
from farwatch_notifier.outcome import Sent
from farwatch_notifier.text import fit, lines, one_line, units

MESSAGE_LIMIT = 4096
TITLE_LIMIT = 400
VALUE_LIMIT = 230
EXCERPT_LIMIT = 400
SENTENCE_LEAST = 300
_STARTS = re.compile(r"([@#/.:$])(?=\S)")


def plain(text: str, limit: int) -> str:
    """Text that shows as it is and links nothing, within `limit` units."""
    return _escape_within(one_line(text, limit), limit, lambda shown: _STARTS.sub(rf"\1{JOINER}", shown))


def code(text: str, limit: int) -> str:
    return f"<code>{_escape_within(one_line(text, limit), limit)}</code>"


def _escape_within(text: str, limit: int, change: Callable[[str], str] = str) -> str:
    """Cuts before the change, so that no entity is halved."""

    def changed(shown: str) -> str:
        return escape(change(shown), quote=False)

    return changed(fit(text, limit, lambda shown: units(changed(shown))))


def render(config: TelegramConfig, alert: Alert) -> dict[str, Any]:
    """The body of sendMessage."""
    head = f"<b>{plain(headline(alert), TITLE_LIMIT)}</b>\n"
    parts = ["\n".join(f"{label}: {code(value, VALUE_LIMIT)}" for label, value in details(alert))]
    if alert.answered_excerpt:
        shown = lines(alert.answered_excerpt, EXCERPT_LIMIT)
        parts.append(f"<pre>{_escape_within(shown, EXCERPT_LIMIT)}</pre>")
    parts.append(" · ".join(f'<a href="{escape(address)}">{words}</a>' for words, address in links(alert)))
    rest = "".join(f"\n\n{part}" for part in parts if part)
    body: dict[str, Any] = {
        "chat_id": config.chat_id,
        "text": head + plain(alert.sentence, max(SENTENCE_LEAST, MESSAGE_LIMIT - units(head + rest))) + rest,
        "parse_mode": "HTML",
        "link_preview_options": {"is_disabled": True},
    }
    return body if config.message_thread_id is None else body | {"message_thread_id": config.message_thread_id}


async def send(config: TelegramConfig, alert: Alert, dedup_key: str, outbound: Outbound) -> Sent:
    base = config.api_url.rstrip("/")
    call = HttpCall(
        method="POST",
        url=f"{base}/bot{config.bot_token}/sendMessage",
        shown_url=f"{base}/bot{MASK}/sendMessage",
        headers={"Content-Type": "application/json", "webhook-id": dedup_key},
        body=json.dumps(render(config, alert), ensure_ascii=False).encode(),
        secrets=(config.bot_token,),
        rendered=f"{headline(alert)}\n{alert.sentence}",
    )
    return await outbound.deliver(call, retry_hint)


def retry_hint(answer: HttpAnswer) -> float | None:
    """`parameters.retry_after` of a 429, in seconds; Telegram sends no Retry-After header."""
    if answer.status != 429:
        return None
    try:
        seconds = float(json.loads(answer.body)["parameters"]["retry_after"])
    except (ValueError, TypeError, KeyError):
        return None
    return seconds if 0 <= seconds < float("inf") else None
