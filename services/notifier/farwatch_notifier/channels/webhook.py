"""Webhook: JSON to any address, signed as Standard Webhooks 1.0 says. docs/alerting.md has the schema."""

import base64
import hashlib
import hmac

from farwatch_events.channel_checks import SIGNING_PREFIX
from farwatch_events.channels import WebhookConfig
from farwatch_events.model import Message
from farwatch_events.placeholders import content_type, fill_body
from farwatch_events.requests import is_secret_header
from farwatch_notifier.message import Alert, Kind, Member, Tone
from farwatch_notifier.outbound import HttpCall, Outbound, show_without_query
from farwatch_notifier.outcome import Sent
from farwatch_notifier.text import rfc3339
from farwatch_runtime.clock import now_ms

TYPES: dict[Kind, str] = {
    "down": "incident.down",
    "degraded": "incident.degraded",
    "up": "incident.recovered",
    "resolved": "incident.resolved",
    "first_failure": "check.first_failure",
    "first_success": "check.first_success",
    "reminder": "incident.reminder",
    "group_down": "group.down",
    "group_up": "group.recovered",
    "group_behind": "group.behind",
    "region_silent": "region.silent",
    "region_returned": "region.returned",
    "region_suspect": "region.suspect",
    "region_cleared": "region.cleared",
    "acknowledged": "incident.acknowledged",
    "flapping": "monitor.flapping",
    "steady": "monitor.steady",
    "system_troubled": "system.troubled",
    "system_recovered": "system.recovered",
    "test": "test",
}

STATES: dict[Tone, str] = {"bad": "down", "warning": "degraded", "good": "up", "note": "test"}


class MonitorPart(Message):
    id: int | None
    name: str
    type: str
    target: str


class IncidentPart(Message):
    """`severity` is "down" or "degraded"; times are RFC 3339 in UTC; `duration` reads "2h 30m"."""

    id: int
    severity: str | None
    opened_at: str | None
    resolved_at: str | None
    duration_seconds: int | None
    duration: str | None


class CausePart(Message):
    error_class: str | None
    error: str


class AnswerPart(Message):
    """What the target answered at the first failure."""

    status: str
    address: str
    excerpt: str


class MemberPart(Message):
    """One of many in a message about a group: its first 100, while `count` counts all."""

    name: str
    moment: str
    monitor_id: int | None
    incident_id: int | None
    since: str | None


class WebhookData(Message):
    """`drill` marks a made-up outage; the links to acknowledge and silence work once, without signing in."""

    title: str
    text: str
    reason: str
    regions: list[str]
    region: str | None
    monitor: MonitorPart | None
    incident: IncidentPart | None
    cause: CausePart | None
    answered: AnswerPart | None
    drill: bool
    group: str
    count: int
    members: list[MemberPart]
    link: str | None
    acknowledge_link: str | None
    silence_link: str | None


class WebhookBody(Message):
    """`timestamp` is when it happened; `type` is one of the types listed in docs/alerting.md."""

    type: str
    timestamp: str
    data: WebhookData


def render(alert: Alert) -> WebhookBody:
    data = WebhookData(
        title=alert.title,
        text=alert.sentence,
        reason=alert.reason,
        regions=alert.regions,
        region=alert.region,
        monitor=_monitor(alert),
        incident=_incident(alert),
        cause=CausePart(error_class=alert.error_class, error=alert.error) if alert.error else None,
        answered=_answered(alert),
        drill=alert.drill,
        group=alert.group,
        count=alert.count,
        members=[_member(each) for each in alert.members],
        link=alert.link,
        acknowledge_link=alert.acknowledge_link,
        silence_link=alert.silence_link,
    )
    return WebhookBody(type=TYPES[alert.kind], timestamp=rfc3339(alert.at_ms), data=data)


def _member(member: Member) -> MemberPart:
    return MemberPart(
        name=member.name,
        moment=member.moment,
        monitor_id=member.monitor_id,
        incident_id=member.incident_id,
        since=None if member.since_ms is None else rfc3339(member.since_ms),
    )


def _monitor(alert: Alert) -> MonitorPart | None:
    if not alert.monitor_name and alert.monitor_id is None:
        return None
    return MonitorPart(id=alert.monitor_id, name=alert.monitor_name, type=alert.monitor_type, target=alert.target)


def _incident(alert: Alert) -> IncidentPart | None:
    if alert.incident_id is None:
        return None
    return IncidentPart(
        id=alert.incident_id,
        severity=alert.severity,
        opened_at=None if alert.since_ms is None else rfc3339(alert.since_ms),
        resolved_at=rfc3339(alert.at_ms) if alert.kind in ("up", "resolved") else None,
        duration_seconds=alert.duration_seconds,
        duration=alert.duration,
    )


def _answered(alert: Alert) -> AnswerPart | None:
    if not (alert.answered_status or alert.answered_excerpt):
        return None
    return AnswerPart(status=alert.answered_status, address=alert.answered_address, excerpt=alert.answered_excerpt)


def placeholder_values(alert: Alert, dedup_key: str) -> dict[str, str]:
    """Texts for a body of one's own; what is not known is empty."""
    values = {
        "event": TYPES[alert.kind],
        "state": STATES[alert.tone],
        "title": alert.title,
        "text": alert.sentence,
        "monitor": alert.monitor_name,
        "monitor_id": alert.monitor_id,
        "monitor_type": alert.monitor_type,
        "target": alert.target,
        "incident_id": alert.incident_id,
        "severity": alert.severity,
        "at": rfc3339(alert.at_ms),
        "since": None if alert.since_ms is None else rfc3339(alert.since_ms),
        "duration": alert.duration,
        "duration_seconds": alert.duration_seconds,
        "regions": ", ".join(alert.regions),
        "cause": alert.error,
        "error_class": alert.error_class,
        "reason": alert.reason,
        "link": alert.link,
        "acknowledge_link": alert.acknowledge_link,
        "silence_link": alert.silence_link,
        "key": dedup_key,
    }
    return {name: "" if value is None else str(value) for name, value in values.items()}


def build_body(config: WebhookConfig, alert: Alert, dedup_key: str) -> bytes:
    """A GET carries no body: the headers alone tell, and the signature is over the empty body."""
    if config.method == "GET":
        return b""
    if config.body is None:
        return render(alert).model_dump_json().encode()
    return fill_body(config.body, placeholder_values(alert, dedup_key), content_type(config.headers)).encode()


def sign(signing_secret: str, message_id: str, timestamp_seconds: int, body: bytes) -> str:
    """The webhook-signature header: HMAC-SHA256 over "id.timestamp.body", in base64 after "v1,"."""
    key = base64.b64decode(signing_secret.removeprefix(SIGNING_PREFIX))
    signed = f"{message_id}.{timestamp_seconds}.".encode() + body
    return "v1," + base64.b64encode(hmac.new(key, signed, hashlib.sha256).digest()).decode()


def build_headers(config: WebhookConfig, dedup_key: str, timestamp_seconds: int, body: bytes) -> dict[str, str]:
    own = {"webhook-id": dedup_key, "webhook-timestamp": str(timestamp_seconds)}
    if config.signing_secret is not None:
        own["webhook-signature"] = sign(config.signing_secret, dedup_key, timestamp_seconds, body)
    typed = any(name.lower() == "content-type" for name in config.headers) or not body
    return ({} if typed else {"Content-Type": "application/json"}) | config.headers | own


async def send(config: WebhookConfig, alert: Alert, dedup_key: str, outbound: Outbound) -> Sent:
    body = build_body(config, alert, dedup_key)
    secrets = [value for name, value in config.headers.items() if is_secret_header(name)]
    if config.signing_secret is not None:
        secrets.append(config.signing_secret)
    call = HttpCall(
        method=config.method,
        url=config.url,
        shown_url=show_without_query(config.url),
        headers=build_headers(config, dedup_key, now_ms() // 1000, body),
        body=body,
        timeout_seconds=config.timeout,
        secrets=tuple(secrets),
        rendered=f"{alert.title}\n{alert.sentence}",
    )
    return await outbound.deliver(call)
