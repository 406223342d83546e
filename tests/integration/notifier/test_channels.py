"""Each channel end to end: from an event in the log to what a real server received."""

import base64
import hashlib
import hmac
import ssl
from pathlib import Path
from typing import Any

import pytest
import trustme

from farwatch_notifier.app import Notifier
from tests.integration.notifier.conftest import StartNotifier
from tests.integration.notifier.world import World
from tests.support.http import HttpServer, Response
from tests.support.smtp import SmtpSink
from tests.support.waiting import eventually

SIGNING_SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"


async def test_down_and_up_reach_all_four_channels_once(
    notifier: Notifier, world: World, http_sink: HttpServer, smtp_sink: SmtpSink
) -> None:
    http_sink.responder = lambda request: Response(204 if "discord" in request.path else 200)
    await world.add_channel("discord", {"webhook_url": http_sink.url + "discord/hush"})
    await world.add_channel("slack", {"webhook_url": http_sink.url + "slack/hush"})
    await world.webhook(http_sink.url + "hook")
    mail = {"smtp_server": "127.0.0.1", "smtp_port": smtp_sink.port, "use_tls": False}
    await world.add_channel("email", mail | {"from_email": "a@example.org", "to_email": "ops@example.org"})
    monitor_id = await world.add_monitor()
    incident_id = await world.open_incident(monitor_id)
    await world.settled(4)
    await world.resolve_incident(incident_id, monitor_id)
    rows = await world.settled(8)

    assert [row["state"] for row in rows] == ["delivered"] * 8
    assert all(row["attempts"] == 1 and row["delivered_at"] for row in rows)
    by_path = {path: [r.json() for r in http_sink.requests if r.path == path] for path in
               ("/discord/hush", "/slack/hush", "/hook")}  # fmt: skip
    assert [body["embeds"][0]["title"] for body in by_path["/discord/hush"]] == [
        "🔴 Shop is down",
        "🟢 Shop has recovered",
    ]
    assert [body["text"].split(":")[0] for body in by_path["/slack/hush"]] == [
        "🔴 Shop is down",
        "🟢 Shop has recovered",
    ]
    assert [body["type"] for body in by_path["/hook"]] == ["incident.down", "incident.recovered"]
    assert by_path["/hook"][1]["data"]["incident"]["duration"] == "2h 30m"
    assert [mail.subject for mail in smtp_sink.mails] == ["🔴 Shop is down", "🟢 Shop has recovered"]
    assert smtp_sink.mails[0].recipients == ["ops@example.org"]
    assert smtp_sink.mails[0].message["References"] == smtp_sink.mails[1].message["References"]
    assert "https://watch.example/incidents/1" in smtp_sink.mails[0].part("plain")


async def test_webhook_sends_method_headers_and_a_signature_that_verifies(
    notifier: Notifier, world: World, http_sink: HttpServer
) -> None:
    await world.webhook(
        http_sink.url + "in?key=hush",
        method="PUT",
        headers={"Authorization": "Bearer hush-token", "X-Team": "wéb"},
        signing_secret=SIGNING_SECRET,
    )
    http_sink.response = Response(200, b"thank you, Bearer hush-token")
    await world.open_incident(await world.add_monitor())
    row = (await world.settled(1))[0]
    request = http_sink.requests[0]
    assert (request.method, request.path) == ("PUT", "/in?key=hush")
    assert request.headers["authorization"] == "Bearer hush-token"
    assert request.headers["webhook-id"] == row["dedup_key"]
    signed = f"{row['dedup_key']}.{request.headers['webhook-timestamp']}.".encode() + request.body
    digest = hmac.new(base64.b64decode(SIGNING_SECRET[6:]), signed, hashlib.sha256).digest()
    assert request.headers["webhook-signature"] == "v1," + base64.b64encode(digest).decode()

    attempt = (await world.attempts(row["id"]))[0]
    assert attempt["ok"]
    assert attempt["answer"] == "HTTP 200 Status\nthank you, ********"
    trail = str(row) + str(attempt)
    assert "hush" not in trail
    assert SIGNING_SECRET not in trail
    assert "Authorization: ********" in attempt["request"]


async def test_a_get_webhook_calls_the_address_without_a_body(
    notifier: Notifier, world: World, http_sink: HttpServer
) -> None:
    await world.webhook(http_sink.url, method="GET")
    await world.open_incident(await world.add_monitor())
    await world.settled(1)
    assert (http_sink.requests[0].method, http_sink.requests[0].body) == ("GET", b"")


async def test_redirects_keep_to_the_host_and_to_method_and_body(
    notifier: Notifier, world: World, http_sink: HttpServer, second_sink: HttpServer
) -> None:
    elsewhere = second_sink.url.replace("127.0.0.1", "localhost")

    def answer(request: Any) -> Response:
        status, target = {
            "/same": (307, "/final"),
            "/other": (307, elsewhere),
            "/plain": (302, "/final"),
            "/final": (200, ""),
        }[request.path]
        return Response(status, headers={"Location": target})

    http_sink.responder = answer
    same = await world.webhook(http_sink.url + "same")
    other = await world.webhook(http_sink.url + "other")
    plain = await world.webhook(http_sink.url + "plain")
    await world.open_incident(await world.add_monitor())
    states = {row["channel_id"]: row["state"] for row in await world.settled(3)}
    assert states == {same: "delivered", other: "failed", plain: "failed"}
    assert second_sink.connections == 0
    final = next(request for request in http_sink.requests if request.path == "/final")
    assert (final.method, final.json()["type"]) == ("POST", "incident.down")


async def test_a_huge_answer_is_read_up_to_4_kib(notifier: Notifier, world: World, http_sink: HttpServer) -> None:
    http_sink.response = Response(200, b"x" * 3_000_000)
    await world.webhook(http_sink.url)
    await world.open_incident(await world.add_monitor())
    row = (await world.settled(1))[0]
    assert row["state"] == "delivered"
    assert len(row["answer"]) <= 4200


async def test_proxies_of_the_environment_are_ignored(
    monkeypatch: pytest.MonkeyPatch, start: StartNotifier, world: World, http_sink: HttpServer, second_sink: HttpServer
) -> None:
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, second_sink.url)
    await start()
    await world.webhook(http_sink.url)
    await world.open_incident(await world.add_monitor())
    await world.settled(1)
    assert (len(http_sink.requests), second_sink.connections) == (1, 0)


def server_side(authority: tuple[trustme.CA, Path]) -> ssl.SSLContext:
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    authority[0].issue_cert("localhost").configure_cert(context)
    return context


def email_to(sink: SmtpSink, **fields: Any) -> dict[str, Any]:
    base = {"smtp_server": "localhost", "smtp_port": sink.port, "from_email": "Farwatch <alerts@example.org>"}
    return base | {"to_email": ["a@example.org", "B <b@example.org>"]} | fields


@pytest.mark.filterwarnings("ignore:Requiring AUTH while not requiring TLS:UserWarning")
@pytest.mark.parametrize("mode", ["starttls", "tls"])
async def test_mail_is_encrypted_and_signed_in(
    mode: str, notifier: Notifier, world: World, authority: tuple[trustme.CA, Path]
) -> None:
    context = server_side(authority)
    sink = SmtpSink(
        tls=context if mode == "tls" else None,
        starttls=context if mode == "starttls" else None,
        users={"alerts": "hush-password"},
    )
    await sink.start()
    try:
        config = email_to(sink, username="alerts", password="hush-password", use_tls=mode)
        await world.add_channel("email", config)
        await world.open_incident(await world.add_monitor())
        row = (await world.settled(1))[0]
        assert (row["state"], row["error"]) == ("delivered", None)
        assert sink.mails[0].sender == "alerts@example.org"
        assert sink.mails[0].recipients == ["a@example.org", "b@example.org"]
        assert "&lt;b&gt;sorry&lt;/b&gt;" in sink.mails[0].part("html")
        assert "hush" not in str(await world.attempts(row["id"]))
    finally:
        await sink.stop()


async def test_a_wrong_password_is_final_and_says_so(
    notifier: Notifier, world: World, authority: tuple[trustme.CA, Path]
) -> None:
    sink = SmtpSink(starttls=server_side(authority), users={"alerts": "right"})
    await sink.start()
    try:
        await world.add_channel("email", email_to(sink, username="alerts", password="wrong-password"))
        await world.open_incident(await world.add_monitor())
        row = (await world.settled(1))[0]
        assert row["state"] == "failed"
        assert "535" in row["error"]
        assert "wrong-password" not in str(row)
    finally:
        await sink.stop()


async def test_starttls_is_never_left_out_silently(notifier: Notifier, world: World, smtp_sink: SmtpSink) -> None:
    channel_id = await world.add_channel("email", email_to(smtp_sink, use_tls=True))
    await world.open_incident(await world.add_monitor())
    await eventually(lambda: attempted(world, channel_id))
    row = (await world.deliveries(channel_id))[0]
    assert row["state"] == "failed"
    assert "STARTTLS" in row["error"]
    assert smtp_sink.mails == []


async def test_an_untrusted_certificate_keeps_the_mail_back(notifier: Notifier, world: World, tmp_path: Path) -> None:
    sink = SmtpSink(starttls=server_side((trustme.CA(), tmp_path)))
    await sink.start()
    try:
        channel_id = await world.add_channel("email", email_to(sink))
        await world.open_incident(await world.add_monitor())
        await eventually(lambda: attempted(world, channel_id))
        row = (await world.deliveries(channel_id))[0]
        assert "certificate" in row["error"].lower()
        assert sink.mails == []
    finally:
        await sink.stop()


async def attempted(world: World, channel_id: int) -> bool:
    rows = await world.deliveries(channel_id)
    return bool(rows and rows[0]["attempts"])


async def test_a_mail_server_that_is_busy_gets_another_try(
    notifier: Notifier, world: World, smtp_sink: SmtpSink
) -> None:
    smtp_sink.answers = ["451 try later"]
    await world.add_channel("email", email_to(smtp_sink, smtp_server="127.0.0.1", use_tls="none"))
    await world.open_incident(await world.add_monitor())
    row = (await world.settled(1))[0]
    attempts = await world.attempts(row["id"])
    assert [attempt["ok"] for attempt in attempts] == [False, True]
    assert "451 try later" in attempts[0]["error"]
    assert len(smtp_sink.mails) == 1


async def test_a_message_that_the_mail_server_refuses_is_final(
    notifier: Notifier, world: World, smtp_sink: SmtpSink
) -> None:
    smtp_sink.answers = ["554 looks like spam"]
    await world.add_channel("email", email_to(smtp_sink, smtp_server="127.0.0.1", use_tls="none"))
    await world.open_incident(await world.add_monitor())
    row = (await world.settled(1))[0]
    assert (row["state"], row["attempts"]) == ("failed", 1)
    assert "554 looks like spam" in row["error"]
