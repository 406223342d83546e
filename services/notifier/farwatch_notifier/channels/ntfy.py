"""ntfy: a push message published as JSON, shown as plain text.

A message over 4,096 bytes would arrive as an attached file, and the JSON may have twice that.
"""

import base64
import json
from typing import Any

from farwatch_events.channels import NtfyConfig
from farwatch_notifier.channels.parts import headline, links, plain_text
from farwatch_notifier.message import Alert, Tone
from farwatch_notifier.outbound import HttpCall, Outbound
from farwatch_notifier.outcome import Sent
from farwatch_notifier.text import cut_bytes, lines

MESSAGE_MAX_BYTES = 3000
TITLE_MAX_BYTES = 250

# 1 to 5. "urgent" (5) sounds through silence, which is for what is down alone.
PRIORITIES: dict[Tone, int] = {"bad": 5, "warning": 4, "good": 3, "note": 3}
TAGS: dict[Tone, str] = {"bad": "rotating_light", "warning": "warning", "good": "white_check_mark", "note": "bell"}


def render(config: NtfyConfig, alert: Alert) -> dict[str, Any]:
    """The body to publish."""
    body: dict[str, Any] = {
        "topic": config.topic,
        "title": cut_bytes(alert.title, TITLE_MAX_BYTES),
        "message": cut_bytes(lines(plain_text(alert), MESSAGE_MAX_BYTES), MESSAGE_MAX_BYTES),
        "priority": PRIORITIES[alert.tone],
        "tags": [TAGS[alert.tone], "farwatch"],
    }
    found = links(alert)
    if found:
        body["click"] = found[0][1]
        # Buttons open the page that asks to confirm; ntfy has room for three.
        body["actions"] = [{"action": "view", "label": words, "url": address} for words, address in found[1:4]]
    return body


def authorization(config: NtfyConfig) -> dict[str, str]:
    if config.token is not None:
        return {"Authorization": f"Bearer {config.token}"}
    if config.username is None:
        return {}
    credentials = base64.b64encode(f"{config.username}:{config.password or ''}".encode()).decode()
    return {"Authorization": f"Basic {credentials}"}


async def send(config: NtfyConfig, alert: Alert, dedup_key: str, outbound: Outbound) -> Sent:
    signed_in = authorization(config)
    call = HttpCall(
        method="POST",
        url=config.server_url.rstrip("/") + "/",
        shown_url=config.server_url,
        headers={"Content-Type": "application/json", "webhook-id": dedup_key, **signed_in},
        body=json.dumps(render(config, alert), ensure_ascii=False).encode(),
        secrets=(config.topic, config.token or "", config.password or "", *signed_in.values()),
        rendered=f"{headline(alert)}\n{alert.sentence}",
    )
    return await outbound.deliver(call)
