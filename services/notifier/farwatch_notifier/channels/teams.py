"""Microsoft Teams: an Adaptive Card through a webhook of the Workflows app.

What others wrote goes into TextRuns of RichTextBlocks, which know no Markdown; a TextBlock or a FactSet would read it.
A message may have 28 KB.
"""

import json
import re
from typing import Any

from farwatch_events.channels import TeamsConfig
from farwatch_notifier.channels.parts import JOINER, details, headline, links
from farwatch_notifier.message import Alert, Tone
from farwatch_notifier.outbound import HttpCall, Outbound, show_host_only
from farwatch_notifier.outcome import DeliveryError, Sent
from farwatch_notifier.retry import is_final_status
from farwatch_notifier.text import cut_bytes, lines, one_line

MESSAGE_MAX_BYTES = 28_000
TITLE_LIMIT = 300
FALLBACK_LIMIT = 200
SENTENCE_LIMIT = 2_500
VALUE_LIMIT = 1_500
STYLES: dict[Tone, str] = {"bad": "attention", "warning": "warning", "good": "good", "note": "accent"}

_MARKUP = re.compile(r"([\\`*_{}\[\]()<>#+!|~&-])")
_STARTS = re.compile(r"([@:.])(?=\S)")

# Older webhooks answer 200 and say in words that Teams refused the message.
_REFUSED = re.compile(r"HTTP error (\d{3})")


def render(alert: Alert) -> dict[str, Any]:
    """The body for the workflow's webhook."""
    card = {
        "type": "AdaptiveCard",
        "$schema": "http://adaptivecards.io/schemas/adaptive-card.json",
        "version": "1.4",
        "fallbackText": _escape(headline(alert)),
        "msteams": {"width": "Full"},
        "body": [_head(alert), *(_fact(label, value) for label, value in details(alert)), *_excerpt(alert)],
        "actions": [{"type": "Action.OpenUrl", "title": words, "url": address} for words, address in links(alert)],
    }
    attachment = {"contentType": "application/vnd.microsoft.card.adaptive", "contentUrl": None, "content": card}
    return {"type": "message", "attachments": [attachment]}


def _escape(text: str) -> str:
    """For the one text that may be read as Markdown; a joiner keeps addresses in it from becoming links."""
    shown = one_line(text, FALLBACK_LIMIT)
    return _STARTS.sub(rf"\1{JOINER}", _MARKUP.sub(r"\\\1", shown))


def _head(alert: Alert) -> dict[str, Any]:
    title = _text(headline(alert), TITLE_LIMIT, size="Large", weight="Bolder")
    return {
        "type": "Container",
        "style": STYLES[alert.tone],
        "bleed": True,
        "items": [title, _text(alert.sentence, SENTENCE_LIMIT)],
    }


def _fact(label: str, value: str) -> dict[str, Any]:
    named = {"type": "Column", "width": "90px", "items": [_text(label, 40, isSubtle=True)]}
    said = {"type": "Column", "width": "stretch", "items": [_text(value, VALUE_LIMIT)]}
    return {"type": "ColumnSet", "spacing": "Small", "columns": [named, said]}


def _excerpt(alert: Alert) -> list[dict[str, Any]]:
    if not alert.answered_excerpt:
        return []
    run = {"type": "TextRun", "text": cut_bytes(lines(alert.answered_excerpt, VALUE_LIMIT), VALUE_LIMIT)}
    return [{"type": "RichTextBlock", "inlines": [run | {"fontType": "Monospace", "size": "Small"}]}]


def _text(text: str, limit_bytes: int, **looks: Any) -> dict[str, Any]:
    run = {"type": "TextRun", "text": cut_bytes(one_line(text, limit_bytes), limit_bytes) or "–", **looks}
    return {"type": "RichTextBlock", "inlines": [run]}


async def send(config: TeamsConfig, alert: Alert, dedup_key: str, outbound: Outbound) -> Sent:
    call = HttpCall(
        method="POST",
        url=config.webhook_url,
        shown_url=show_host_only(config.webhook_url),
        headers={"Content-Type": "application/json", "webhook-id": dedup_key},
        body=json.dumps(render(alert), ensure_ascii=False).encode(),
        secrets=(config.webhook_url,),
        rendered=f"{headline(alert)}\n{alert.sentence}",
    )
    return check_answer(await outbound.deliver(call))


def check_answer(sent: Sent) -> Sent:
    """Raises DeliveryError when the answer to a request that was taken tells of a refusal."""
    refused = _REFUSED.search(sent.answer)
    if refused is None:
        return sent
    status = int(refused.group(1))
    raise DeliveryError(
        f"Teams answered {status}",
        permanent=is_final_status(status),
        request=sent.request,
        answer=sent.answer,
        rendered=sent.rendered,
    )
