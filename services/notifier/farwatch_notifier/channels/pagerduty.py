"""PagerDuty: Events API v2. One alert an incident, by its key: triggered, acknowledged, resolved.

Unconfirmed failures, and monitors behind one that is down, become change events, which are shown beside the service and
call nobody: nothing would resolve alerts about them. A message about a group is an alert for each of its incidents,
for they end one by one. A test is an alert of severity info that is resolved at once.
"""

import json
from typing import Any, Literal

from farwatch_events.channels import PagerDutyConfig
from farwatch_notifier.channels.parts import details, headline, links
from farwatch_notifier.message import Alert, Member, Tone
from farwatch_notifier.outbound import HttpCall, Outbound
from farwatch_notifier.outcome import Sent
from farwatch_notifier.text import fit, lines, one_line, rfc3339, units

SUMMARY_LIMIT = 1024
VALUE_LIMIT = 1000
KEY_LIMIT = 255

Action = Literal["trigger", "acknowledge", "resolve"]
# Every kind that is not named here is news of a problem: it triggers, or adds to the alert that its key has open.
ACTIONS: dict[str, Action] = {
    "up": "resolve",
    "resolved": "resolve",
    "group_up": "resolve",
    "region_returned": "resolve",
    "region_cleared": "resolve",
    "steady": "resolve",
    "system_recovered": "resolve",
    "acknowledged": "acknowledge",
}
CHANGES = frozenset({"first_failure", "first_success", "group_behind"})
SEVERITIES: dict[Tone, str] = {"bad": "critical", "warning": "warning", "good": "info", "note": "info"}
# A region may be silent and suspect at a time: the end of one does not end the other.
_TOPICS = {"region_silent": "silent", "region_returned": "silent", "region_suspect": "vote", "region_cleared": "vote"}


def render(config: PagerDutyConfig, alert: Alert, dedup_key: str) -> list[dict[str, Any]]:
    """The events to send, in order. Sent again they change nothing: the key makes them one alert."""
    if alert.kind == "test":
        opened = _event(config, alert, "trigger", dedup_key)
        return [opened, _event(config, alert, "resolve", dedup_key)]
    action = ACTIONS.get(alert.kind, "trigger")
    if members := [each for each in alert.members if each.incident_id is not None]:
        return [_event(config, _alone(alert, each), action, f"incident-{each.incident_id}") for each in members]
    topic = _TOPICS.get(alert.kind)
    return [_event(config, alert, action, f"{alert.thread}:{topic}" if topic else alert.thread)]


def _alone(alert: Alert, member: Member) -> Alert:
    """One of a group, in the group's words."""
    tone: Tone = "bad" if member.moment == "down" else "warning"
    own = {
        "title": f"{member.name} is {member.moment}",
        "tone": tone,
        "target": member.name,
        "since_ms": member.since_ms,
    }
    return alert.model_copy(update=own | {"reason": f"{alert.title}: {alert.group}"})


def _event(config: PagerDutyConfig, alert: Alert, action: Action, thread: str) -> dict[str, Any]:
    """A resolve or acknowledge needs no payload, and PagerDuty reads none."""
    key = f"{config.key_prefix}:{thread}"[:KEY_LIMIT]
    body: dict[str, Any] = {"routing_key": config.routing_key, "event_action": action, "dedup_key": key}
    if action != "trigger":
        return body
    payload = _payload(alert) | {"severity": SEVERITIES[alert.tone], "class": alert.error_class or alert.kind}
    return body | {"client": "Farwatch", "payload": payload, "links": _links(alert)}


def render_change(config: PagerDutyConfig, alert: Alert) -> dict[str, Any]:
    return {"routing_key": config.routing_key, "payload": _payload(alert), "links": _links(alert)}


def _payload(alert: Alert) -> dict[str, Any]:
    told = {label: one_line(value, VALUE_LIMIT) for label, value in details(alert)}
    if alert.answered_excerpt:
        told["Answer"] = lines(alert.answered_excerpt, VALUE_LIMIT)
    summary = one_line(f"{alert.title}: {alert.error}" if alert.error else alert.title, SUMMARY_LIMIT)
    return {
        "summary": fit(summary, SUMMARY_LIMIT, units),
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
    sent = Sent(rendered=f"{headline(alert)}\n{alert.sentence}", request="", answer="nothing to send")
    for event in render(config, alert, dedup_key):
        sent = await _post(config, f"{base}/v2/enqueue", event, alert, outbound)
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
