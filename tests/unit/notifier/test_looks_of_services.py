"""Teams, Telegram, ntfy, PagerDuty, Apprise and bodies of one's own: the right parts, and foreign text harmless."""

import json
import re
from html.parser import HTMLParser
from typing import Any

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from farwatch_events.channels import NtfyConfig, PagerDutyConfig, TelegramConfig, WebhookConfig
from farwatch_events.placeholders import PLACEHOLDERS
from farwatch_notifier.channels import ntfy, pagerduty, teams, telegram, webhook
from farwatch_notifier.channels.parts import plain_text
from farwatch_notifier.message import Alert, Member, build_group, sample_alert
from farwatch_notifier.outbound import HttpAnswer
from farwatch_notifier.outcome import DeliveryError, Sent
from farwatch_notifier.text import cut_bytes, units
from tests.unit.notifier.samples import NOW_MS
from tests.unit.notifier.test_looks import HOSTILE, KEY, PUBLIC, all_texts, hostile_alert, plain_alert, recovery

TELEGRAM = TelegramConfig(bot_token="123456:" + "a" * 35, chat_id="-100123")
NTFY = NtfyConfig(topic="ops-of-shop", token="tk_secret")
PAGERDUTY = PagerDutyConfig(routing_key="k" * 32)
JOINER = "\u2060"
WIDEST = [*HOSTILE, "👩" * 5000, '"' * 5000, "&" * 5000, "@" * 5000, "\U0001f600@" * 3000]


def size(body: Any) -> int:
    return len(json.dumps(body, ensure_ascii=False).encode())


# Teams


def kinds_of(value: Any) -> list[str]:
    if isinstance(value, dict):
        return [value.get("type", ""), *(kind for part in value.values() for kind in kinds_of(part))]
    return [kind for part in value for kind in kinds_of(part)] if isinstance(value, list) else []


@pytest.mark.parametrize("text", WIDEST)
def test_teams_shows_foreign_text_where_no_markdown_is_read_and_stays_within_28_kb(text: str) -> None:
    body = teams.render(hostile_alert(text))
    card = body["attachments"][0]["content"]
    assert not {"TextBlock", "FactSet", "Image", "Media"} & set(kinds_of(card["body"]))
    assert card["actions"] == [
        {"type": "Action.OpenUrl", "title": "Open incident 3", "url": "https://watch.example/incidents/3"}
    ]
    assert set(card["msteams"]) == {"width"}, "entities would make mentions"
    assert size(body) <= teams.MESSAGE_MAX_BYTES
    assert all(part["text"] for part in runs_of(card["body"]))


def runs_of(value: Any) -> list[dict[str, Any]]:
    if isinstance(value, dict) and value.get("type") == "TextRun":
        return [value]
    parts = value.values() if isinstance(value, dict) else value if isinstance(value, list) else []
    return [run for part in parts for run in runs_of(part)]


def test_teams_is_red_then_green_with_facts_and_a_link() -> None:
    down, up = (teams.render(alert)["attachments"][0]["content"] for alert in (plain_alert(), recovery()))
    assert (down["body"][0]["style"], up["body"][0]["style"]) == ("attention", "good")
    assert down["fallbackText"] == "🔴 Shop is down"
    texts = [run["text"] for run in runs_of(down["body"])]
    assert texts[texts.index("Cause") + 1] == "connection refused by 192.0.2.7:443"
    assert "<h1>Sorry</h1>\nback soon" in texts
    assert "2h 30m" in [run["text"] for run in runs_of(up["body"])]
    assert teams.render(plain_alert().model_copy(update={"link": None}))["attachments"][0]["content"]["actions"] == []


@pytest.mark.parametrize(("status", "permanent"), [(429, False), (500, False), (403, True)])
def test_teams_refusals_inside_a_200_are_refusals(status: int, permanent: bool) -> None:
    said = f"Webhook message delivery failed with error: Microsoft Teams endpoint returned HTTP error {status}"
    with pytest.raises(DeliveryError) as caught:
        teams.check_answer(Sent("r", "q", f"HTTP 200 OK\n{said} with ContextId tcid=1"))
    assert (caught.value.permanent, caught.value.error) == (permanent, f"Teams answered {status}")
    assert teams.check_answer(Sent("r", "q", "HTTP 202 Accepted")).answer == "HTTP 202 Accepted"


# Telegram


class Markup(HTMLParser):
    """Tags and what stands outside of code, as Telegram would read it."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: list[tuple[str, str]] = []
        self.open: list[str] = []
        self.loose = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, " ".join(f"{n}={v}" for n, v in attrs)))
        self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if not {"code", "pre", "a"} & set(self.open):
            self.loose += data


def read_html(text: str) -> Markup:
    markup = Markup()
    markup.feed(text)
    markup.close()
    assert markup.open == []
    return markup


@pytest.mark.parametrize("text", WIDEST)
def test_telegram_escapes_everything_and_links_nothing_by_itself(text: str) -> None:
    body = telegram.render(TELEGRAM, hostile_alert(text))
    assert units(body["text"]) <= telegram.MESSAGE_LIMIT
    assert not re.search(r"&(?!amp;|lt;|gt;|quot;|#x27;)", body["text"])
    markup = read_html(body["text"])
    assert {tag for tag, _ in markup.tags} <= {"b", "code", "pre", "a"}
    assert [attrs for _, attrs in markup.tags if attrs] == ["href=https://watch.example/incidents/3"]
    assert not re.search(rf"[@#/.$](?![\s{JOINER}])(?!$)", markup.loose)


@given(text=st.text(alphabet="<>&@/ab😀", max_size=400), limit=st.integers(20, 300))
def test_telegram_texts_fit_and_end_on_whole_entities(text: str, limit: int) -> None:
    shown = telegram.plain(text, limit)
    assert units(shown) <= limit
    assert not re.search(r"[<>]|&(?!amp;|lt;|gt;)", shown)


def test_telegram_message_has_every_part() -> None:
    body = telegram.render(TELEGRAM, plain_alert())
    assert (body["chat_id"], body["parse_mode"]) == ("-100123", "HTML")
    assert body["link_preview_options"] == {"is_disabled": True}
    assert "message_thread_id" not in body
    assert body["text"].startswith("<b>🔴 Shop is down</b>\n")
    assert "Target: <code>https://shop.example/</code>" in body["text"]
    assert "<pre>&lt;h1&gt;Sorry&lt;/h1&gt;\nback soon</pre>" in body["text"]
    topic = telegram.render(TELEGRAM.model_copy(update={"message_thread_id": 7}), plain_alert())
    assert topic["message_thread_id"] == 7


@pytest.mark.parametrize(
    ("status", "body", "seconds"),
    [
        (429, '{"ok":false,"error_code":429,"description":"Too Many","parameters":{"retry_after":35}}', 35.0),
        (429, '{"ok":false,"parameters":{}}', None),
        (429, '{"parameters":{"retry_after":-1}}', None),
        (429, '{"parameters":{"retry_after":1e999}}', None),
        (429, "[]", None),
        (429, "<html>", None),
        (500, '{"parameters":{"retry_after":35}}', None),
    ],
)
def test_telegram_says_in_the_body_how_long_to_wait(status: int, body: str, seconds: float | None) -> None:
    assert telegram.retry_hint(HttpAnswer(status, "", httpx.Headers(), body)) == seconds


# ntfy


@pytest.mark.parametrize("text", WIDEST)
def test_ntfy_stays_a_message_and_plain_text(text: str) -> None:
    body = ntfy.render(NTFY, hostile_alert(text))
    assert len(body["message"].encode()) <= 4096
    assert len(body["title"].encode()) <= 250
    assert size(body) <= 8192
    assert set(body) == {"topic", "title", "message", "priority", "tags", "click", "actions"}
    assert not re.search(r"[\x00-\x09\x0b-\x1f\u202e]", body["title"] + body["message"])


def test_ntfy_rings_louder_for_what_is_down() -> None:
    down, up = ntfy.render(NTFY, plain_alert()), ntfy.render(NTFY, recovery())
    assert (down["priority"], up["priority"]) == (5, 3)
    assert (down["tags"][0], up["tags"][0]) == ("rotating_light", "white_check_mark")
    assert (down["topic"], down["title"]) == ("ops-of-shop", "Shop is down")
    assert down["click"] == "https://watch.example/incidents/3"
    assert "connection refused by 192.0.2.7:443" in down["message"]
    assert "click" not in ntfy.render(NTFY, plain_alert().model_copy(update={"link": None}))


def test_ntfy_signs_in_by_token_or_by_name_or_not_at_all() -> None:
    assert ntfy.authorization(NTFY) == {"Authorization": "Bearer tk_secret"}
    by_name = NtfyConfig(topic="t", username="phil", password="mypass")
    assert ntfy.authorization(by_name) == {"Authorization": "Basic cGhpbDpteXBhc3M="}
    assert ntfy.authorization(NtfyConfig(topic="t")) == {}


# PagerDuty


@pytest.mark.parametrize("text", WIDEST)
def test_pagerduty_events_are_within_limits(text: str) -> None:
    (event,) = pagerduty.render(PAGERDUTY, hostile_alert(text), KEY)
    assert 0 < len(event["payload"]["summary"]) <= 1024
    assert len(event["payload"]["source"]) > 0
    assert len(event["dedup_key"]) <= 255
    assert size(event) <= 512 * 1024
    assert not re.search(r"[\r\n\u202e]", event["payload"]["summary"])


def test_pagerduty_triggers_and_resolves_one_alert_an_incident() -> None:
    (down,), (up,) = (pagerduty.render(PAGERDUTY, alert, KEY) for alert in (plain_alert(), recovery()))
    assert (down["event_action"], up["event_action"]) == ("trigger", "resolve")
    assert down["dedup_key"] == up["dedup_key"] == "farwatch:incident-3"
    assert down["payload"]["severity"] == "critical"
    assert down["payload"]["summary"] == "Shop is down: connection refused by 192.0.2.7:443"
    assert down["payload"]["source"] == "https://shop.example/"
    assert down["payload"]["custom_details"]["Why"] == "2 of 2 regions say down"
    assert down["links"] == [{"href": "https://watch.example/incidents/3", "text": "Open incident 3"}]
    assert set(up) == {"routing_key", "event_action", "dedup_key"}
    (degraded,) = pagerduty.render(PAGERDUTY, plain_alert(severity="degraded"), KEY)
    assert degraded["payload"]["severity"] == "warning"


@pytest.mark.parametrize(
    ("kind", "action", "key"),
    [
        ("resolved", "resolve", "farwatch:incident-3"),
        ("region_silent", "trigger", "farwatch:incident-3:silent"),
        ("region_returned", "resolve", "farwatch:incident-3:silent"),
        ("region_suspect", "trigger", "farwatch:incident-3:vote"),
        ("region_cleared", "resolve", "farwatch:incident-3:vote"),
    ],
)
def test_pagerduty_knows_what_ends_what(kind: str, action: str, key: str) -> None:
    (event,) = pagerduty.render(PAGERDUTY, plain_alert().model_copy(update={"kind": kind}), KEY)
    assert (event["event_action"], event["dedup_key"]) == (action, key)


def group(kind: Any, count: int = 40, name: str = "Shop") -> Alert:
    members = [
        Member(name=f"{name} {number}", moment="down", monitor_id=number, incident_id=number, since_ms=NOW_MS)
        for number in range(1, count + 1)
    ]
    return build_group(kind, "Web, tag shop", "group-1/tag/shop", members, NOW_MS, PUBLIC, "msg_1")


def test_pagerduty_alerts_of_a_group_end_one_by_one() -> None:
    down = pagerduty.render(PAGERDUTY, group("group_down"), KEY)
    assert [event["dedup_key"] for event in down] == [f"farwatch:incident-{number}" for number in range(1, 41)]
    assert down[6]["payload"]["summary"] == "Shop 7 is down"
    assert down[6]["payload"]["custom_details"]["Why"] == "40 monitors have trouble: Web, tag shop"
    up = pagerduty.render(PAGERDUTY, group("group_up"), KEY)
    assert {event["event_action"] for event in up} == {"resolve"}
    assert [event["dedup_key"] for event in up] == [event["dedup_key"] for event in down]
    assert "group_behind" in pagerduty.CHANGES


@pytest.mark.parametrize("name", ["Shop", "👩<&@" * 40])
def test_groups_of_a_thousand_fit_everywhere(name: str) -> None:
    alert = group("group_down", 1000, name)
    assert size(teams.render(alert)) <= teams.MESSAGE_MAX_BYTES
    text = telegram.render(TELEGRAM, alert)["text"]
    assert units(text) <= telegram.MESSAGE_LIMIT
    assert 'href="https://watch.example/incidents?told=msg_1"' in text
    assert "1000 monitors have trouble" in text
    assert len(ntfy.render(NTFY, alert)["message"].encode()) <= 4096
    assert len(pagerduty.render(PAGERDUTY, alert, KEY)) == 100


def test_links_to_acknowledge_and_silence_are_shown_where_links_are() -> None:
    links = {"acknowledge_link": f"{PUBLIC}/act/a?k=1&x=2", "silence_link": f"{PUBLIC}/act/s"}
    alert = plain_alert().model_copy(update=links)
    words = [each["title"] for each in teams.render(alert)["attachments"][0]["content"]["actions"]]
    assert words == ["Open incident 3", "Acknowledge", "Silence"]
    assert f'<a href="{PUBLIC}/act/a?k=1&amp;x=2">Acknowledge</a>' in telegram.render(TELEGRAM, alert)["text"]
    body = ntfy.render(NTFY, alert)
    assert body["click"] == f"{PUBLIC}/incidents/3"
    assert [action["url"] for action in body["actions"]] == list(links.values())
    assert f"Acknowledge: {PUBLIC}/act/a?k=1&x=2" in plain_text(alert)
    (event,) = pagerduty.render(PAGERDUTY, alert, KEY)
    assert [link["text"] for link in event["links"]] == words


def test_pagerduty_acknowledges() -> None:
    assert pagerduty.ACTIONS["acknowledged"] == "acknowledge"


# The webhook's own body


def webhook_config(body: str, content_type: str = "application/json", **fields: Any) -> WebhookConfig:
    return WebhookConfig(url="https://h.example/", headers={"Content-Type": content_type}, body=body, **fields)


@pytest.mark.parametrize("text", WIDEST)
def test_a_body_of_ones_own_stays_json_whatever_is_filled_in(text: str) -> None:
    template = json.dumps({name: f"<{{{{{name}}}}}>" for name in PLACEHOLDERS})
    alert = hostile_alert(text)
    told = json.loads(webhook.build_body(webhook_config(template), alert, KEY))
    assert set(told) == set(PLACEHOLDERS)
    assert told["monitor"] == f"<{alert.monitor_name}>"
    assert told["cause"] == f"<{alert.error}>"
    assert told["event"] == "<incident.down>"


@pytest.mark.parametrize(
    ("kind", "expected"),
    [
        ("text/plain", "x={{state}} & <b>"),
        ("application/x-www-form-urlencoded", "x=%7B%7Bstate%7D%7D+%26+%3Cb%3E"),
        ("application/xml", "x={{state}} &amp; &lt;b&gt;"),
    ],
)
def test_values_are_escaped_for_the_content_type_and_filled_in_once(kind: str, expected: str) -> None:
    alert = plain_alert(monitor_name="{{state}} & <b>")
    assert webhook.build_body(webhook_config("x={{ monitor }}", kind), alert, KEY).decode() == expected


def test_every_placeholder_has_a_value_and_what_is_unknown_is_empty() -> None:
    assert set(webhook.placeholder_values(plain_alert(), KEY)) == set(PLACEHOLDERS)
    values = webhook.placeholder_values(recovery(), KEY)
    assert (values["state"], values["event"], values["duration"]) == ("up", "incident.recovered", "2h 30m")
    assert values["key"] == KEY
    test = webhook.placeholder_values(sample_alert("Ops", NOW_MS, ""), KEY)
    assert (test["state"], test["incident_id"], test["link"]) == ("test", "", "")


def test_the_signature_covers_ones_own_body_and_a_get_has_none() -> None:
    assert webhook.build_body(webhook_config('{"a": "{{key}}"}'), plain_alert(), KEY) == b'{"a": "msg_0199_1_down"}'
    assert webhook.build_body(WebhookConfig(url="https://h.example/", method="GET"), plain_alert(), KEY) == b""


# All


@given(text=st.text(max_size=300), limit=st.integers(3, 200))
def test_texts_cut_by_bytes_stay_text(text: str, limit: int) -> None:
    shown = cut_bytes(text, limit)
    assert len(shown.encode(errors="replace")) <= limit
    assert shown == text or shown.endswith("…")


@pytest.mark.parametrize("text", HOSTILE)
def test_plain_texts_are_free_of_control_characters(text: str) -> None:
    shown = plain_text(hostile_alert(text))
    assert not re.search(r"[\x00-\x09\x0b-\x1f\u202a-\u202e\u2066-\u2069]", shown)
    assert len(shown) < 8000


@pytest.mark.parametrize("alert", [sample_alert("Ops", NOW_MS, PUBLIC), sample_alert("Ops", NOW_MS, "")])
def test_the_sample_looks_right_everywhere(alert: Alert) -> None:
    assert "🔵 Test message from Farwatch" in all_texts(teams.render(alert))
    assert telegram.render(TELEGRAM, alert)["text"].startswith("<b>🔵 Test message")
    assert ntfy.render(NTFY, alert)["title"] == "Test message from Farwatch"
    opened, ended = pagerduty.render(PAGERDUTY, alert, KEY)
    assert (opened["event_action"], opened["payload"]["severity"]) == ("trigger", "info")
    assert ended == {"routing_key": "k" * 32, "event_action": "resolve", "dedup_key": f"farwatch:{KEY}"}
    assert opened["dedup_key"] == ended["dedup_key"]
