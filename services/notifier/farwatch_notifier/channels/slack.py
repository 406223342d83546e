"""Slack: blocks with a fallback text through an incoming webhook.

What others wrote goes into plain_text objects, which Slack neither formats nor searches for mentions; the fallback
text and links escape &, < and >, as Slack's documentation asks. Limits are those of its Block Kit reference.
"""

import json
from typing import Any

from farwatch_events.channels import SlackConfig
from farwatch_notifier.channels.parts import details, headline, links
from farwatch_notifier.message import Alert
from farwatch_notifier.outbound import HttpCall, Outbound, show_host_only
from farwatch_notifier.outcome import Sent
from farwatch_notifier.text import fit, lines, one_line, units

HEADER_LIMIT = 150
SECTION_LIMIT = 3000
FIELD_LIMIT = 2000
FALLBACK_LIMIT = 3000


def escape(text: str, limit: int) -> str:
    """For mrkdwn and fallback texts. Cut before an entity splits; @names are not linked without <>."""
    return _entities(fit(one_line(text, limit), limit, _units))


def _entities(text: str) -> str:
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def _units(text: str) -> int:
    """Length as Slack may count at most: what it keeps has entities, and its clients count UTF-16."""
    return units(_entities(text))


def render(alert: Alert) -> dict[str, Any]:
    """The body for Slack's webhook."""
    blocks: list[dict[str, Any]] = [
        {"type": "header", "text": _plain(headline(alert), HEADER_LIMIT)},
        {"type": "section", "text": _plain(alert.sentence, SECTION_LIMIT)},
    ]
    blocks += [
        {"type": "section", "fields": [_label(name), _plain(value, FIELD_LIMIT)]} for name, value in details(alert)
    ]
    if alert.answered_excerpt:
        blocks.append({"type": "section", "text": _plain_lines(alert.answered_excerpt, SECTION_LIMIT)})
    blocks.append({"type": "context", "elements": [_footer(alert)]})
    return {"text": escape(f"{headline(alert)}: {alert.sentence}", FALLBACK_LIMIT), "blocks": blocks}


def _plain(text: str, limit: int) -> dict[str, Any]:
    return {"type": "plain_text", "text": fit(one_line(text, limit), limit, _units) or "–", "emoji": False}


def _plain_lines(text: str, limit: int) -> dict[str, Any]:
    return {"type": "plain_text", "text": fit(lines(text, limit), limit, _units) or "–", "emoji": False}


def _label(name: str) -> dict[str, Any]:
    return {"type": "mrkdwn", "text": f"*{name}*"}


def _footer(alert: Alert) -> dict[str, Any]:
    shown = [f"<{_address(address)}|{words}>" for words, address in links(alert)]
    return {"type": "mrkdwn", "text": " · ".join(shown) or "Farwatch"}


def _address(url: str) -> str:
    return url.replace("&", "&amp;").replace("<", "%3C").replace(">", "%3E").replace("|", "%7C")


async def send(config: SlackConfig, alert: Alert, dedup_key: str, outbound: Outbound) -> Sent:
    call = HttpCall(
        method="POST",
        url=config.webhook_url,
        shown_url=show_host_only(config.webhook_url),
        headers={"Content-Type": "application/json", "webhook-id": dedup_key},
        body=json.dumps(render(alert), ensure_ascii=False).encode(),
        secrets=(config.webhook_url,),
        rendered=f"{headline(alert)}\n{alert.sentence}",
    )
    return await outbound.deliver(call)
