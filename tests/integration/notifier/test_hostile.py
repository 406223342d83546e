"""What others wrote arrives as harmless text in every channel: sent over real sockets, judged on the bytes received."""

import json
import re
import xml.etree.ElementTree as ET
from collections import Counter
from collections.abc import AsyncIterator, Callable
from html.parser import HTMLParser
from typing import Any
from urllib.parse import parse_qs

import pytest

from farwatch_events.channels import parse_channel
from farwatch_events.events import IncidentAcknowledged
from farwatch_notifier.channels import webhook
from farwatch_notifier.channels.parts import JOINER
from farwatch_notifier.facts import Facts
from farwatch_notifier.message import Alert, Member, build_alert, build_group
from farwatch_notifier.outbound import Outbound
from farwatch_notifier.registry import CHANNELS
from tests.support.http import HttpServer, Request, Response
from tests.support.smtp import Mail, SmtpSink
from tests.unit.notifier.samples import NOW_MS, channel, facts, incident, recorded
from tests.unit.notifier.samples import resolved as ended
from tests.unit.notifier.test_looks import HOSTILE, hostile_alert

PUBLIC = "https://watch.example"
BOT_TOKEN = "123456:hush-AAAAAAAAAAAAAAAAAAAAAAAAAAAA"
TEXTS = [
    *HOSTILE,
    "@everyone <@U123> <!subteam^S1> <at>Ada</at> @channel @all /start #general $TSLA",
    "😀@" * 300_000,
    "&" * 1_000_000,
    '"' * 1_000_000,
    "\\" * 1_000_000,
    "\x00" * 1_000_000 + "x",
    "",
    "\x00\u202e",
]
CONTROLS = re.compile(r"[\x00-\x09\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\u2028\u2029\ud800-\udfff]")
OWN_LINK = f"{PUBLIC}/incidents/3"


def alerts_of(text: str) -> list[Alert]:
    """The same text as name, cause, reason, answer, person, and as members of a group."""
    known: Facts = facts(channel(1), incident=incident(monitor_name=text, reason=text, error=text))
    seen = IncidentAcknowledged(at_ms=NOW_MS, incident_id=3, monitor_id=1, actor="user:7")
    told = [
        build_alert(recorded(seen, by=text), known, PUBLIC),
        build_alert(recorded(ended(monitor_name=text, reason=text)), known, PUBLIC),
    ]
    members = [Member(name=text, moment="down", monitor_id=n, incident_id=n, since_ms=NOW_MS) for n in range(1, 4)]
    group = build_group("group_down", text, "group-1", members, NOW_MS, PUBLIC, "msg_g")
    links = {"acknowledge_link": f"{PUBLIC}/alert/abc", "silence_link": f"{PUBLIC}/alert/abc?do=silence"}
    return [hostile_alert(text).model_copy(update=links), *[each for each in told if each is not None], group]


def benign(alert: Alert) -> Alert:
    """The same message about nothing bad: what stands around the foreign texts."""
    foreign = ("title", "sentence", "monitor_name", "target", "error", "reason", "answered_status", "answered_excerpt")
    words = {name: "word" for name in foreign if getattr(alert, name)}
    return alert.model_copy(update=words)


def strings(value: Any) -> list[str]:
    if isinstance(value, str):
        return [value]
    parts = value.values() if isinstance(value, dict) else value if isinstance(value, list) else []
    return [text for part in parts for text in strings(part)]


def body_of(request: Request) -> Any:
    """Read as strictly as it gets: UTF-8 without errors, JSON, no control characters however they are written."""
    body = json.loads(request.body.decode("utf-8", errors="strict"))
    assert [text for text in strings(body) if CONTROLS.search(text)] == []
    return body


def plain_headers(request: Request) -> None:
    """None but ours, and ASCII: no foreign text is sent in one."""
    ours = {"host", "user-agent", "accept", "accept-encoding", "content-length", "content-type", "webhook-id"}
    ours |= {"webhook-timestamp", "authorization", "connection", "x-apprise-id", "x-apprise-recursion-count"}
    assert set(request.headers) <= ours
    assert all(value.isascii() for value in request.headers.values())


# Discord: Markdown escaped, mentions off, lengths of its embeds.

_UNESCAPED_MARKUP = re.compile(r"(?<!\\)(?:\\\\)*[*_~`|<>\[\]()#@]")


def judge_discord(request: Request, alert: Alert) -> None:
    body = body_of(request)
    assert set(body) == {"embeds", "allowed_mentions"}
    assert body["allowed_mentions"] == {"parse": []}
    (embed,) = body["embeds"]
    ours = {"Since", "Duration", "Act", "Answer"}
    foreign = [embed["title"], embed["description"], *(f["value"] for f in embed["fields"] if f["name"] not in ours)]
    assert [text for text in foreign if _UNESCAPED_MARKUP.search(text) or re.search(r"\w://", text)] == []
    for field in embed["fields"]:
        assert 0 < len(field["name"]) <= 256
        assert 0 < len(field["value"]) <= 1024
        if field["name"] == "Answer":
            assert field["value"].count("```") == 2
        if field["name"] == "Act":
            assert set(re.findall(r"https?://[^>]*", field["value"])) <= {alert.acknowledge_link, alert.silence_link}
    assert 0 < len(embed["title"]) <= 256
    assert len(embed["description"]) <= 4096
    counted = [embed["title"], embed["description"], embed["footer"]["text"], *strings(embed["fields"])]
    assert sum(len(text) for text in counted) <= 6000


# Slack: &, < and > as entities wherever markup is read; everything else is plain_text.


def judge_slack(request: Request, _alert: Alert) -> None:
    body = body_of(request)
    assert set(body) == {"text", "blocks"}
    assert not re.search(r"[<>]|&(?!amp;|lt;|gt;)", body["text"])
    for text in markup_of(body["blocks"]):
        assert re.fullmatch(r"\*[A-Z][a-z]+\*", text) or re.fullmatch(
            rf"<{PUBLIC}/[^<>|]*\|[A-Z][a-z]+[^<>|]*>( · <{PUBLIC}/[^<>|]*\|[A-Z][a-z]+>)*", text
        )
    assert len(body["blocks"]) <= 50
    assert len(body["text"]) <= 40_000
    for kind, text in plain_texts(body["blocks"]):
        escaped = text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
        most = {"header": 150, "fields": 2000}.get(kind, 3000)
        assert 0 < len(escaped.encode("utf-16-le")) // 2 <= most


def markup_of(value: Any) -> list[str]:
    if isinstance(value, dict) and value.get("type") == "mrkdwn":
        return [value["text"]]
    parts = value.values() if isinstance(value, dict) else value if isinstance(value, list) else []
    return [text for part in parts for text in markup_of(part)]


def plain_texts(blocks: list[dict[str, Any]]) -> list[tuple[str, str]]:
    found = []
    for block in blocks:
        texts = [("fields", each) for each in block.get("fields", [])]
        texts += [(block["type"], block["text"])] if "text" in block else []
        found += [(kind, each["text"]) for kind, each in texts if each["type"] == "plain_text"]
    return found


# Teams: foreign text in TextRuns alone, no mention entities, 28 KB.


def judge_teams(request: Request, alert: Alert) -> None:
    body = body_of(request)
    assert len(request.body) <= 28_000
    card = body["attachments"][0]["content"]
    assert set(card["msteams"]) == {"width"}
    kinds = Counter(kinds_of(card["body"]))
    assert set(kinds) <= {"Container", "ColumnSet", "Column", "RichTextBlock", "TextRun"}
    assert kinds["RichTextBlock"] == kinds["TextRun"]
    assert {each["type"] for each in card["actions"]} == {"Action.OpenUrl"}
    assert {each["url"] for each in card["actions"]} <= {alert.link, alert.acknowledge_link, alert.silence_link}
    fallback = card["fallbackText"]
    assert not re.search(r"(?<!\\)(?:\\\\)*[*_`\[\]()<>#!|~]", fallback)
    assert not re.search(r"\w://|@\w", fallback)


def kinds_of(value: Any) -> list[str]:
    if isinstance(value, dict):
        own = [value["type"]] if "type" in value else []
        return own + [kind for part in value.values() for kind in kinds_of(part)]
    return [kind for part in value for kind in kinds_of(part)] if isinstance(value, list) else []


# Telegram: HTML with the few tags that are ours, balanced; nothing that becomes a link by itself outside of <code>.


class Markup(HTMLParser):
    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.tags: list[tuple[str, tuple[tuple[str, str | None], ...]]] = []
        self.open: list[str] = []
        self.loose = ""
        self.text = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, tuple(attrs)))
        if tag not in ("meta", "br"):
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text += data
        if not {"code", "pre", "a"} & set(self.open):
            self.loose += data

    def handle_comment(self, data: str) -> None:
        raise AssertionError(f"a comment: {data[:80]}")

    def unknown_decl(self, data: str) -> None:
        raise AssertionError(f"a declaration: {data[:80]}")


def read_markup(text: str) -> Markup:
    markup = Markup()
    markup.feed(text)
    markup.close()
    assert markup.open == []
    return markup


def judge_telegram(request: Request, alert: Alert) -> None:
    body = body_of(request)
    text = body["text"]
    assert (body["parse_mode"], body["link_preview_options"]) == ("HTML", {"is_disabled": True})
    assert 0 < len(text.encode("utf-16-le")) // 2 <= 4096
    assert not re.search(r"&(?!amp;|lt;|gt;|quot;|#x27;)", text)
    markup = read_markup(text)
    assert {tag for tag, _ in markup.tags} <= {"b", "code", "pre", "a"}
    hrefs = {value for _, attrs in markup.tags for _, value in attrs}
    assert hrefs <= {alert.link, alert.acknowledge_link, alert.silence_link}
    assert not re.search(rf"[@#/$](?![\s{JOINER}]|$)", markup.loose)


# ntfy: JSON with a message under 4,096 bytes that stays a message; nothing foreign in a header or an action.


def judge_ntfy(request: Request, alert: Alert) -> None:
    body = body_of(request)
    assert set(body) <= {"topic", "title", "message", "priority", "tags", "click", "actions"}
    assert 0 < len(body["message"].encode()) <= 4096
    assert 0 < len(body["title"].encode()) <= 250
    assert len(request.body) <= 8192
    urls = {each["url"] for each in body.get("actions", [])} | {body["click"]}
    assert urls <= {alert.link, alert.acknowledge_link, alert.silence_link}
    assert "\n" not in body["title"]


# PagerDuty: lengths of the Events API.


def judge_pagerduty(request: Request, _alert: Alert) -> None:
    body = body_of(request)
    assert len(request.body) <= 512 * 1024
    assert len(body["dedup_key"]) <= 255
    if body["event_action"] != "trigger":
        return
    payload = body["payload"]
    assert 0 < len(payload["summary"].encode("utf-16-le")) // 2 <= 1024
    assert "\n" not in payload["summary"] + payload["source"]
    assert payload["source"]
    assert payload["severity"] in ("critical", "warning", "error", "info")
    assert {each["href"].startswith(PUBLIC) for each in body["links"]} <= {True}


# Webhook: exactly the documented JSON, whose texts are the message's.


def judge_webhook(request: Request, alert: Alert) -> None:
    told = webhook.WebhookBody.model_validate(body_of(request))
    assert told == webhook.render(alert)
    assert (told.data.title, told.data.text) == (alert.title, alert.sentence)
    assert len(request.body) <= 64 * 1024


# Email: headers as a mail program decodes them, and an HTML part of our elements alone.

OWN_HEADERS = {
    "Subject", "From", "To", "Message-ID", "In-Reply-To", "References", "Auto-Submitted", "X-Farwatch-Moment", "Date",
    "MIME-Version", "Content-Type",
}  # fmt: skip


def judge_email(mail: Mail, alert: Alert, plain: Mail) -> None:
    message = mail.message
    assert set(message.keys()) - {"X-Peer"} == OWN_HEADERS
    assert message["To"] == "ops@example.org"
    subject = mail.subject
    assert 0 < len(subject) <= 200
    assert not CONTROLS.search(subject)
    assert "\n" not in subject
    # What a lenient reader decodes once more is still no line of its own.
    assert "=?" not in subject
    assert max(len(line) for line in message.as_bytes().split(b"\n")) <= 998
    assert len(message.as_bytes()) < 128 * 1024
    assert [part.get_content_type() for part in message.iter_parts()] == ["text/plain", "text/html"]
    html, like = read_markup(mail.part("html")), read_markup(plain.part("html"))
    assert html.tags == like.tags, "the elements and attributes are those of a message about nothing bad"
    assert alert.title in re.sub(r"\s+", " ", html.text)
    assert not CONTROLS.search(mail.part("plain").replace("\r\n", "\n"))


JUDGES: dict[str, Callable[[Request, Alert], None]] = {
    "discord": judge_discord,
    "slack": judge_slack,
    "teams": judge_teams,
    "telegram": judge_telegram,
    "ntfy": judge_ntfy,
    "pagerduty": judge_pagerduty,
    "webhook": judge_webhook,
}


def test_every_channel_is_judged() -> None:
    assert {*JUDGES, "email", "apprise"} == set(CHANNELS)


@pytest.fixture
async def outbound() -> AsyncIterator[Outbound]:
    made = Outbound.create()
    yield made
    await made.close()


def config_of(kind: str, sink: HttpServer) -> Any:
    configs: dict[str, dict[str, Any]] = {
        "discord": {"webhook_url": sink.url},
        "slack": {"webhook_url": sink.url},
        "teams": {"webhook_url": sink.url},
        "telegram": {"bot_token": BOT_TOKEN, "chat_id": "1", "api_url": sink.url},
        "ntfy": {"server_url": sink.url, "topic": "ops"},
        "pagerduty": {"routing_key": "k" * 32, "api_url": sink.url},
        "webhook": {"url": sink.url},
    }
    return parse_channel(kind, configs[kind])


@pytest.mark.parametrize("kind", sorted(JUDGES))
async def test_foreign_text_is_text(kind: str, outbound: Outbound, http_sink: HttpServer) -> None:
    config = config_of(kind, http_sink)
    for text in TEXTS:
        for alert in alerts_of(text):
            http_sink.requests.clear()
            sent = await CHANNELS[kind](config, alert, "msg_1", outbound)
            assert not CONTROLS.search(sent.rendered)
            assert http_sink.requests
            for request in http_sink.requests:
                plain_headers(request)
                JUDGES[kind](request, alert)


async def test_foreign_text_is_text_in_mails(outbound: Outbound, smtp_sink: SmtpSink) -> None:
    config = parse_channel("email", mail_config(smtp_sink))
    for text in TEXTS:
        for alert in alerts_of(text):
            smtp_sink.mails.clear()
            await CHANNELS["email"](config, alert, "msg_1", outbound)
            await CHANNELS["email"](config, benign(alert), "msg_1", outbound)
            hostile, plain = smtp_sink.mails
            judge_email(hostile, alert, plain)


def mail_config(sink: SmtpSink) -> dict[str, Any]:
    return {
        "smtp_server": "127.0.0.1",
        "smtp_port": sink.port,
        "use_tls": "none",
        "from_email": "a@example.org",
        "to_email": "ops@example.org",
    }


@pytest.mark.parametrize("kind", ["json", "form", "xml"])
async def test_foreign_text_is_text_through_apprise(kind: str, outbound: Outbound, http_sink: HttpServer) -> None:
    config = parse_channel("apprise", {"urls": f"{kind}://127.0.0.1:{http_sink.port}/"})
    for number, text in enumerate(TEXTS):
        for alert in alerts_of(text):
            http_sink.requests.clear()
            await CHANNELS["apprise"](config, alert, f"msg_{kind}_{number}_{alert.kind}", outbound)
            (request,) = http_sink.requests
            plain_headers(request)
            title, message = READ[kind](request)
            shown = f"{title}\n{message}"
            assert not CONTROLS.search(shown)
            assert not re.search(rf"[@<][^\s{JOINER}]|\]\(", shown)
            assert len(request.body) < 64 * 1024


def read_json(request: Request) -> tuple[str, str]:
    body = body_of(request)
    return body["title"], body["message"]


def read_form(request: Request) -> tuple[str, str]:
    body = parse_qs(request.body.decode("ascii"), strict_parsing=True)
    return body["title"][0], body["message"][0]


def read_xml(request: Request) -> tuple[str, str]:
    found = {element.tag.rpartition("}")[2]: element for element in ET.fromstring(request.body).iter()}
    assert len(found["Subject"]) == len(found["Message"]) == 0, "no element beside the service's own"
    return found["Subject"].text or "", found["Message"].text or ""


READ = {"json": read_json, "form": read_form, "xml": read_xml}


async def test_foreign_text_is_text_in_mails_of_apprise(outbound: Outbound, smtp_sink: SmtpSink) -> None:
    url = f"mailto://127.0.0.1:{smtp_sink.port}/?from=a@example.org&to=ops@example.org&smtp=127.0.0.1"
    config = parse_channel("apprise", {"urls": url})
    for number, text in enumerate(TEXTS):
        alert, *_ = alerts_of(text)
        smtp_sink.mails.clear()
        await CHANNELS["apprise"](config, alert, f"msg_mail_{number}", outbound)
        (mail,) = smtp_sink.mails
        assert mail.recipients == ["ops@example.org"]
        own = {"Subject", "From", "To", "Message-ID", "Date", "X-Application", "MIME-Version"}
        assert set(mail.message.keys()) - {"X-Peer"} <= own | {"Content-Type", "Content-Transfer-Encoding"}
        assert not CONTROLS.search(mail.subject.replace("\n", "\0"))
        assert "=?" not in mail.subject
        assert mail.message.get_content_type() == "text/plain"
        assert not CONTROLS.search(mail.part("plain").replace("\r\n", "\n"))


@pytest.mark.parametrize(
    "kind", ["application/json", "application/x-www-form-urlencoded", "application/xml", "text/plain"]
)
async def test_foreign_text_cannot_leave_its_place_in_a_body_of_ones_own(
    kind: str, outbound: Outbound, http_sink: HttpServer
) -> None:
    template = {
        "application/json": '{"name": "{{monitor}}", "why": "{{cause}}"}',
        "application/x-www-form-urlencoded": "name={{monitor}}&why={{cause}}",
        "application/xml": '<a name="{{monitor}}"><why>{{cause}}</why></a>',
        "text/plain": "{{monitor}}",
    }[kind]
    config = parse_channel("webhook", {"url": http_sink.url, "headers": {"Content-Type": kind}, "body": template})
    for text in TEXTS:
        alert, *_ = alerts_of(text)
        http_sink.requests.clear()
        http_sink.response = Response(200)
        await CHANNELS["webhook"](config, alert, "msg_1", outbound)
        received = http_sink.requests[0].body.decode("utf-8", errors="strict")
        expected = (alert.monitor_name, alert.error or "")
        if "json" in kind:
            assert tuple(json.loads(received).values()) == expected
        elif "form" in kind:
            found = parse_qs(received, keep_blank_values=True, strict_parsing=True)
            assert (found["name"][0], found["why"][0], len(found)) == (*expected, 2)
        elif "xml" in kind:
            root = ET.fromstring(received)
            assert (root.attrib["name"], root[0].text or "") == expected
            assert (len(root.attrib), len(root), len(root[0])) == (1, 1, 0)
        else:
            assert received == expected[0]
