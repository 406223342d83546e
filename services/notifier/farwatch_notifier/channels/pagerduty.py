"""PagerDuty: Events API v2. One alert an incident, by its key: triggered, acknowledged, resolved.

Unconfirmed failures become change events, which are shown beside the service and call nobody: nothing would resolve an
alert about them when the incident comes. A test is an alert of severity info that is resolved at once.
"""

import json
from typing import Any, Literal

from farwatch_events.channels import PagerDutyConfig
from farwatch_notifier.channels.parts import details, headline, links
from farwatch_notifier.message import Alert, Tone
from farwatch_notifier.outbound import HttpCall, Outbound
from farwatch_notifier.outcome import Sent
from farwatch_notifier.text import lines, one_line, rfc3339

SUMMARY_LIMIT = 1024
VALUE_LIMIT = 1000
KEY_LIMIT = 255

Action = Literal["trigger", "acknowledge", "resolve"]
# Every kind that is not named here is news of a problem: it triggers, or adds to the alert that its key has open.
ACTIONS: dict[str, Action] = {
    "up": "resolve",
    "resolved": "resolve",
    "region_returned": "resolve",
    "region_cleared": "resolve",
    "acknowledged": "acknowledge",
}
CHANGES = frozenset({"first_failure", "first_success"})
SEVERITIES: dict[Tone, str] = {"bad": "critical", "warning": "warning", "good": "info", "note": "info"}
# A region may be silent and suspect at a time: the end of one does not end the other.
_TOPICS = {"region_silent": "silent", "region_returned": "silent", "region_suspect": "vote", "region_cleared": "vote"}


def key_of(config: PagerDutyConfig, alert: Alert, dedup_key: str) -> str:
    """The same for all messages of one incident; a test has its own."""
    thread = dedup_key if alert.kind == "test" else alert.thread
    return ":".join(filter(None, (config.key_prefix, thread, _TOPICS.get(alert.kind))))[:KEY_LIMIT]


def render(config: PagerDutyConfig, alert: Alert, dedup_key: str) -> dict[str, Any]:
    """The event; a resolve or acknowledge needs no payload, and PagerDuty reads none."""
    action = ACTIONS.get(alert.kind, "trigger")
    body: dict[str, Any] = {
        "routing_key": config.routing_key,
        "event_action": action,
        "dedup_key": key_of(config, alert, dedup_key),
    }
    if action != "trigger":
        return body
    return body | {
        "client": "Farwatch",
        "payload": _payload(alert) | {"severity": SEVERITIES[alert.tone], "class": alert.error_class or alert.kind},
        "links": _links(alert),
    }


def render_change(config: PagerDutyConfig, alert: Alert) -> dict[str, Any]:
    return {"routing_key": config.routing_key, "payload": _payload(alert), "links": _links(alert)}


def _payload(alert: Alert) -> dict[str, Any]:
    told = {label: one_line(value, VALUE_LIMIT) for label, value in details(alert)}
    if alert.answered_excerpt:
        told["Answer"] = lines(alert.answered_excerpt, VALUE_LIMIT)
    return {
        "summary": one_line(f"{alert.title}: {alert.error}" if alert.error else alert.title, SUMMARY_LIMIT),
        "source": one_line(alert.target or alert.region or alert.monitor_name or "Farwatch", VALUE_LIMIT),
        "timestamp": rfc3339(alert.at_ms),
        "custom_details": told,
    }


def _links(alert: Alert) -> list[dict[str, str]]:
    return [{"href": address, "text": words} for words, address in links(alert)]


async def send(config: PagerDutyConfig, alert: Alert, dedup_key: str, outbound: Outbound) -> Sent:
    base = config.api_url.rstrip("/")
    if alert.kind in CHANGES:
        return await _post(config, f"{base}/v2/change/enqueue", render_change(config, alert), alert, outbound)
    event = render(config, alert, dedup_key)
    sent = await _post(config, f"{base}/v2/enqueue", event, alert, outbound)
    if alert.kind == "test":
        end = {name: event[name] for name in ("routing_key", "dedup_key")} | {"event_action": "resolve"}
        await _post(config, f"{base}/v2/enqueue", end, alert, outbound)
    return sent


async def _post(config: PagerDutyConfig, url: str, body: dict[str, Any], alert: Alert, outbound: Outbound) -> Sent:
    call = HttpCall(
        method="POST",
        url=url,
        shown_url=url,
        headers={"Content-Type": "application/json"},
        body=json.dumps(body, ensure_ascii=False).encode(),
        secrets=(config.routing_key,),
        rendered=f"{headline(alert)}\n{alert.sentence}",
    )
    return await outbound.deliver(call)
