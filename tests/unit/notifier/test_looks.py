"""What each channel makes of a message: the right parts, within the service's limits, and foreign text harmless."""

import base64
import email
import hashlib
import hmac
import json
import re
from email.message import EmailMessage
from email.policy import default as modern_policy
from html.parser import HTMLParser
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from farwatch_events.channels import EmailConfig, WebhookConfig
from farwatch_notifier.channels import discord, slack, webhook
from farwatch_notifier.channels import email as mail
from farwatch_notifier.channels.email_body import DARK, FILLS, render_html, render_text
from farwatch_notifier.message import Alert, build_alert, sample_alert
from farwatch_notifier.outbound import HttpAnswer
from tests.unit.notifier.samples import EVIDENCE, NOW_MS, channel, facts, monitor, opened, recorded
from tests.unit.notifier.samples import resolved as ended

PUBLIC = "https://watch.example"
KEY = "msg_0199_1_down"
SIGNING_SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
EMAIL = EmailConfig(
    smtp_server="mail.example.org",
    from_email="Farwatch <alerts@example.org>",
    to_email=["a@example.org", "b@example.org"],
)

HOSTILE = [
    "@everyone and @here",
    "<@123456> <@&5> <#7> <!channel> <!here|x> <https://evil.example|click>",
    "**bold** __u__ ~~s~~ ||spoiler|| `code` ```block``` > quote # head [a](https://evil.example)",
    "<script>alert(1)</script><img src=x onerror=alert(1)> & \" '",
    "a\r\nBcc: victim@example.org\r\n\r\n<html>",
    "\u202egnp.exe \u2066x \u200b zero",
    "שלום עולם مرحبا 👩‍🚀🔥",
    "{{7*7}} {cause} ${x} %s {0.__class__}",
    "\\" * 300,
    "x" * 1_000_000,
    "<" * 5_000,
    "=?utf-8?q?=0D=0ABcc:_victim@example.org=0D=0A=0D=0A<html>?= =?utf-8?b?DQpCY2M6IHZAeC5vcmc=?=",
    "a\x00b\x07\x1b[31m\x7f\x85\ufffe c",
    "``` \n~~~\n    code\n\n---\n| a | b |\n* one\n1. two\n![i](https://evil.example/i.png)",
    "&lt;script&gt; &amp;lt; &#60;b&#62;",
    "🔥" * 5_000,
]


def hostile_alert(text: str) -> Alert:
    evidence = EVIDENCE.model_copy(update={"body": text[:1000], "status_line": text, "address": text})
    cause = opened().cause.model_copy(update={"error": text})
    event = opened(monitor_name=text, cause=cause, reason=text, evidence=evidence, regions=["eu"])
    alert = build_alert(recorded(event), facts(channel(1), monitor=monitor(name=text, target=text)), PUBLIC)
    assert alert is not None
    return alert


def plain_alert(**fields: Any) -> Alert:
    alert = build_alert(recorded(opened(**fields)), facts(channel(1)), PUBLIC)
    assert alert is not None
    return alert


def recovery() -> Alert:
    alert = build_alert(recorded(ended()), facts(channel(1)), PUBLIC)
    assert alert is not None
    return alert


def all_texts(value: Any) -> list[str]:
    if isinstance(value, str):
        return [value]
    parts = value.values() if isinstance(value, dict) else value if isinstance(value, list) else []
    return [text for part in parts for text in all_texts(part)]


# Discord


def unescaped(text: str) -> str:
    """What is left of a Discord text when everything escaped or in a code block is taken out."""
    return re.sub(r"\\[^0-9A-Za-z\s]", "", re.sub(r"```\n[^`]*\n```", "", text))


@pytest.mark.parametrize("text", HOSTILE)
def test_discord_shows_foreign_text_as_text(text: str) -> None:
    body = discord.render(hostile_alert(text))
    embed = body["embeds"][0]
    assert body["allowed_mentions"] == {"parse": []}
    assert "content" not in body
    shown = [embed["title"], embed["description"], *(f["value"] for f in embed["fields"] if f["name"] != "Since")]
    for each in shown:
        assert not set("*_~`|<>[]@#") & set(unescaped(each)), each
        assert "https:" not in unescaped(each)


@pytest.mark.parametrize("text", HOSTILE)
def test_discord_stays_within_its_limits(text: str) -> None:
    embed = discord.render(hostile_alert(text))["embeds"][0]
    assert len(embed["title"]) <= 256
    assert len(embed["description"]) <= 4096
    assert len(embed["fields"]) <= 25
    assert all(0 < len(f["name"]) <= 256 and 0 < len(f["value"]) <= 1024 for f in embed["fields"])
    assert sum(len(text) for text in all_texts(embed)) <= 6000


@given(text=st.text(max_size=400), limit=st.integers(2, 300))
def test_discord_escapes_fit_and_end_on_whole_escapes(text: str, limit: int) -> None:
    escaped = discord.escape(text, limit)
    assert len(escaped) <= limit
    assert not set("\\*_~`|<>[]()@#:") & set(unescaped(escaped))


def test_discord_is_red_and_then_green_and_links_to_the_incident() -> None:
    down, up = (discord.render(alert)["embeds"][0] for alert in (plain_alert(), recovery()))
    assert (down["color"], up["color"]) == (0xD92D20, 0x17A34A)
    assert (down["title"], up["title"]) == ("🔴 Shop is down", "🟢 Shop has recovered")
    assert down["url"] == "https://watch.example/incidents/3"
    assert {f["name"]: f["value"] for f in up["fields"]}["Duration"] == "2h 30m"
    assert {f["name"]: f["value"] for f in down["fields"]}["Since"] == f"<t:{NOW_MS // 1000}:f>"


@pytest.mark.parametrize(
    ("status", "body", "seconds"),
    [
        (429, '{"message": "You are being rate limited.", "retry_after": 0.529, "global": false}', 0.529),
        (429, '{"retry_after": -1}', None),
        (429, '{"retry_after": NaN}', None),
        (429, "busy", None),
        (429, "[]", None),
        (500, '{"retry_after": 3}', None),
    ],
)
def test_discord_says_in_the_body_how_long_to_wait(status: int, body: str, seconds: float | None) -> None:
    import httpx

    assert discord.retry_hint(HttpAnswer(status, "", httpx.Headers(), body)) == seconds


# Slack


@pytest.mark.parametrize("text", HOSTILE)
def test_slack_keeps_foreign_text_out_of_markup(text: str) -> None:
    body = slack.render(hostile_alert(text))
    assert not re.search(r"[<>]", body["text"])
    markup = [part for part in mrkdwn_of(body["blocks"]) if not re.fullmatch(r"\*[A-Z][a-z]+\*", part)]
    assert markup == ["<https://watch.example/incidents/3|Open incident 3>"]


def mrkdwn_of(value: Any) -> list[str]:
    if isinstance(value, dict) and value.get("type") == "mrkdwn":
        return [value["text"]]
    parts = value.values() if isinstance(value, dict) else value if isinstance(value, list) else []
    return [text for part in parts for text in mrkdwn_of(part)]


@pytest.mark.parametrize("text", HOSTILE)
def test_slack_stays_within_its_limits(text: str) -> None:
    body = slack.render(hostile_alert(text))
    assert len(body["text"]) <= 3000
    assert len(body["blocks"]) <= 50
    for block in body["blocks"]:
        if block["type"] == "header":
            assert 0 < len(block["text"]["text"]) <= 150
        for each in block.get("fields", []):
            assert 0 < len(each["text"]) <= 2000
        if block["type"] == "section" and "text" in block:
            assert 0 < len(block["text"]["text"]) <= 3000


@given(text=st.text(alphabet="<>&ab ", max_size=400), limit=st.integers(6, 300))
def test_slack_escapes_fit_and_end_on_whole_entities(text: str, limit: int) -> None:
    escaped = slack.escape(text, limit)
    assert len(escaped) <= limit
    assert not re.search(r"[<>]|&(?!amp;|lt;|gt;)", escaped)


def test_slack_has_blocks_and_a_fallback_for_notifications() -> None:
    body = slack.render(recovery())
    assert body["text"] == "🟢 Shop has recovered: Shop is up again after 2h 30m."
    assert [block["type"] for block in body["blocks"]][:2] == ["header", "section"]
    assert "2h 30m" in all_texts(body["blocks"])


# Webhook


def test_webhook_body_has_every_part() -> None:
    body = json.loads(webhook.render(plain_alert()).model_dump_json())
    assert body["type"] == "incident.down"
    assert body["timestamp"] == "2026-11-18T11:06:40.000Z"
    data = body["data"]
    assert data["monitor"] == {"id": 1, "name": "Shop", "type": "http", "target": "https://shop.example/"}
    assert data["incident"]["opened_at"] == "2026-11-18T11:06:40.000Z"
    assert data["cause"] == {"error_class": "connect_refused", "error": "connection refused by 192.0.2.7:443"}
    assert data["answered"]["status"] == "HTTP/1.1 503 Service Unavailable"
    assert data["link"] == "https://watch.example/incidents/3"


def test_webhook_recovery_tells_the_duration() -> None:
    part = webhook.render(recovery()).data.incident
    assert part is not None
    assert (part.duration_seconds, part.duration, part.resolved_at) == (9000, "2h 30m", "2026-11-18T11:06:40.000Z")


@pytest.mark.parametrize("text", HOSTILE)
def test_webhook_bodies_are_json_of_bounded_size(text: str) -> None:
    encoded = webhook.render(hostile_alert(text)).model_dump_json().encode()
    assert json.loads(encoded)["data"]["monitor"]["name"]
    assert len(encoded) < 16_384


def test_webhook_signature_is_that_of_standard_webhooks() -> None:
    """The example of the Standard Webhooks specification's own libraries."""
    signature = webhook.sign(SIGNING_SECRET, "msg_p5jXN8AQM9LWM0D4loKWxJek", 1614265330, b'{"test": 2432232314}')
    assert signature == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="


def test_webhook_headers_carry_key_time_and_signature_beside_the_configured_ones() -> None:
    config = WebhookConfig(url="https://h.example/", headers={"X-Team": "web"}, signing_secret=SIGNING_SECRET)
    headers = webhook.build_headers(config, KEY, 1_795_000_000, b"{}")
    signed = hmac.new(base64.b64decode(SIGNING_SECRET[6:]), f"{KEY}.1795000000.{{}}".encode(), hashlib.sha256)
    assert headers == {
        "Content-Type": "application/json",
        "X-Team": "web",
        "webhook-id": KEY,
        "webhook-timestamp": "1795000000",
        "webhook-signature": "v1," + base64.b64encode(signed.digest()).decode(),
    }


def test_webhook_content_type_can_be_chosen_and_no_secret_means_no_signature() -> None:
    config = WebhookConfig(url="https://h.example/", headers={"content-type": "application/vnd.x+json"})
    headers = webhook.build_headers(config, KEY, 1, b"{}")
    assert headers["content-type"] == "application/vnd.x+json"
    assert "Content-Type" not in headers
    assert "webhook-signature" not in headers


# Email


class Tags(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.seen: set[str] = set()
        self.handlers: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.seen.add(tag)
        self.handlers += [name for name, _ in attrs if name.startswith("on")]


def parsed(alert: Alert) -> EmailMessage:
    message = email.message_from_bytes(mail.render(EMAIL, alert, KEY).as_bytes(), policy=modern_policy)
    assert isinstance(message, EmailMessage)
    return message


@pytest.mark.parametrize("text", HOSTILE)
def test_mails_have_no_foreign_markup_and_no_foreign_headers(text: str) -> None:
    alert = hostile_alert(text)
    tags = Tags()
    tags.feed(render_html(alert))
    assert tags.seen <= {
        "html", "head", "meta", "style", "title", "body", "div", "table", "tr", "td", "span", "h1", "p", "pre", "a",
    }  # fmt: skip
    assert tags.handlers == []
    message = parsed(alert)
    assert message["Bcc"] is None
    assert message["To"] == "a@example.org, b@example.org"
    assert len(str(message["Subject"])) <= 200
    assert "\n" not in str(message["Subject"])


def test_mails_are_html_and_text_in_one() -> None:
    message = parsed(plain_alert())
    assert message.get_content_type() == "multipart/alternative"
    assert [part.get_content_type() for part in message.iter_parts()] == ["text/plain", "text/html"]
    assert message["Subject"] == "🔴 Shop is down"
    text, html = render_text(plain_alert()), render_html(plain_alert())
    for words in ("connection refused by 192.0.2.7:443", "https://shop.example/", "https://watch.example/incidents/3"):
        assert words in text
        assert words in html
    assert "#d92d20" in html
    assert "&lt;h1&gt;Sorry&lt;/h1&gt;" in html
    assert "> <h1>Sorry</h1>" in text


def test_mails_of_one_incident_make_one_thread_and_repeats_have_one_id() -> None:
    down, up = parsed(plain_alert()), parsed(recovery())
    assert down["References"] == up["References"] == up["In-Reply-To"] == "<farwatch.incident-3@example.org>"
    assert down["Message-ID"] == f"<{KEY}@example.org>" == parsed(plain_alert())["Message-ID"]
    assert down["Auto-Submitted"] == "auto-generated"


LIGHT_PAIRS = [
    ("#101828", "#ffffff"),
    ("#475467", "#ffffff"),
    ("#667085", "#ffffff"),
    ("#344054", "#f9fafb"),
    *(("#ffffff", fill) for fill in FILLS.values()),
]


def luminance(colour: str) -> float:
    """Of sRGB, as WCAG 2 defines it."""
    parts = [int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)]
    red, green, blue = (c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def contrast(first: str, second: str) -> float:
    low, high = sorted((luminance(first), luminance(second)))
    return (high + 0.05) / (low + 0.05)


def test_mails_can_be_read_in_the_light_and_in_the_dark() -> None:
    html = render_html(plain_alert())
    colours = {name: dict(part.split(":") for part in style.split(";")) for name, style in DARK.items()}
    dark = [(colours[name]["color"], colours["card"]["background"]) for name in ("strong", "soft")]
    dark.append((colours["code"]["color"], colours["code"]["background"]))
    assert [(pair, contrast(*pair)) for pair in [*LIGHT_PAIRS, *dark] if contrast(*pair) < 4.5] == []
    classes = {name for found in re.findall(r'class="([^"]+)"', html) for name in found.split()}
    assert classes == set(DARK)
    assert "@media (prefers-color-scheme:dark){.page{background:#0c111d!important}" in html
    for tag in re.findall(r'style="([^"]*[^-]color:[^"]*)"', html):
        shown = re.findall(r"(?<![-\w])color:(#\w+)", tag)
        assert set(shown) <= {text for text, _ in LIGHT_PAIRS}, tag


def test_links_to_acknowledge_and_silence_stand_beside_the_incident() -> None:
    given = {"acknowledge_link": f"{PUBLIC}/act/a?k=1&x=(2)", "silence_link": f"{PUBLIC}/act/s"}
    alert = plain_alert().model_copy(update=given)
    fields = {f["name"]: f["value"] for f in discord.render(alert)["embeds"][0]["fields"]}
    assert fields["Act"] == f"[Acknowledge](<{PUBLIC}/act/a?k=1&x=(2%29>) · [Silence](<{PUBLIC}/act/s>)"
    footer = slack.render(alert)["blocks"][-1]["elements"][0]["text"]
    assert f"<{PUBLIC}/act/a?k=1&amp;x=(2)|Acknowledge> · <{PUBLIC}/act/s|Silence>" in footer
    assert f"Acknowledge: {PUBLIC}/act/a?k=1&x=(2)" in render_text(alert)
    assert f'href="{PUBLIC}/act/a?k=1&amp;x=(2)"' in render_html(alert)
    assert "Act" not in {f["name"] for f in discord.render(plain_alert())["embeds"][0]["fields"]}


def test_the_sample_has_looks_for_every_channel() -> None:
    alert = sample_alert("Ops", NOW_MS, PUBLIC)
    assert "Test message" in discord.render(alert)["embeds"][0]["title"]
    assert "Test message" in slack.render(alert)["text"]
    assert webhook.render(alert).type == "test"
    assert "Test message" in str(parsed(alert)["Subject"])
