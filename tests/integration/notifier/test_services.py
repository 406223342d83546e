"""Teams, Telegram, ntfy, PagerDuty and Apprise end to end, against stand-ins that answer as the services document."""

import asyncio
import json
import os
import time
from collections.abc import Callable
from typing import Any

import pytest

from farwatch_events.channels import AppriseConfig
from farwatch_notifier.app import Notifier
from farwatch_notifier.channels import apprise
from farwatch_notifier.message import sample_alert
from farwatch_notifier.outbound import Outbound
from farwatch_notifier.outcome import DeliveryError
from tests.integration.notifier.conftest import StartNotifier
from tests.integration.notifier.world import World
from tests.support.http import HttpServer, Request, Response

TOKEN = "123456:hush-AAAAAAAAAAAAAAAAAAAAAAAAAAAA"
ROUTING_KEY = "hush" + "0" * 28


def json_answer(status: int, body: Any, **headers: str) -> Response:
    return Response(status, json.dumps(body).encode(), {"Content-Type": "application/json", **headers})


async def down_and_up(world: World, count: int = 1) -> list[dict[str, Any]]:
    monitor_id = await world.add_monitor()
    incident_id = await world.open_incident(monitor_id)
    await world.settled(count)
    await world.resolve_incident(incident_id, monitor_id)
    return await world.settled(2 * count)


async def all_trails(world: World) -> str:
    rows = await world.deliveries()
    return str(rows) + "".join([str(await world.attempts(row["id"])) for row in rows])


# Microsoft Teams: a workflow answers 202 without a body.


async def test_teams_gets_a_red_and_a_green_card(notifier: Notifier, world: World, http_sink: HttpServer) -> None:
    http_sink.response = Response(202, b"")
    await world.add_channel("teams", {"webhook_url": http_sink.url + "workflows/hush/triggers/manual?sig=hush"})
    rows = await down_and_up(world)
    assert [row["state"] for row in rows] == ["delivered"] * 2
    cards = [request.json()["attachments"][0]["content"] for request in http_sink.requests]
    assert [card["body"][0]["style"] for card in cards] == ["attention", "good"]
    assert cards[0]["actions"][0]["url"] == "https://watch.example/incidents/1"
    assert http_sink.requests[0].path.endswith("?sig=hush")
    assert "hush" not in await all_trails(world)


async def test_teams_throttling_is_waited_for_and_a_dead_workflow_is_final(
    notifier: Notifier, world: World, http_sink: HttpServer, second_sink: HttpServer
) -> None:
    refused = "Webhook message delivery failed with error: Microsoft Teams endpoint returned HTTP error 429"
    http_sink.script = [
        Response(429, b"Rate limit is exceeded.", {"Retry-After": "1"}),
        Response(200, refused.encode()),
    ]
    http_sink.response = Response(202, b"")
    second_sink.response = json_answer(404, {"error": {"code": "WorkflowNotFound"}})
    patient = await world.add_channel("teams", {"webhook_url": http_sink.url + "w"})
    dead = await world.add_channel("teams", {"webhook_url": second_sink.url + "w"})
    await world.open_incident(await world.add_monitor())
    rows = {row["channel_id"]: row for row in await world.settled(2)}
    assert (rows[patient]["state"], rows[patient]["attempts"]) == ("delivered", 3)
    errors = [attempt["error"] for attempt in await world.attempts(rows[patient]["id"])]
    assert errors[1] == "Teams answered 429"
    assert (rows[dead]["state"], rows[dead]["attempts"]) == ("failed", 1)


# Telegram: 200 with "ok"; errors carry error_code, description and parameters.


async def test_telegram_gets_html_in_the_chat_and_the_token_stays_hidden(
    notifier: Notifier, world: World, http_sink: HttpServer
) -> None:
    http_sink.response = json_answer(200, {"ok": True, "result": {"message_id": 5, "text": TOKEN}})
    await world.add_channel(
        "telegram", {"bot_token": TOKEN, "chat_id": -100123, "message_thread_id": 9, "api_url": http_sink.url}
    )
    rows = await down_and_up(world)
    assert [row["state"] for row in rows] == ["delivered"] * 2
    assert {request.path for request in http_sink.requests} == {f"/bot{TOKEN}/sendMessage"}
    bodies = [request.json() for request in http_sink.requests]
    assert [(body["chat_id"], body["message_thread_id"]) for body in bodies] == [("-100123", 9)] * 2
    assert bodies[0]["text"].startswith("<b>🔴 Shop is down</b>")
    assert "<b>sorry</b>" not in bodies[0]["text"]
    assert "hush" not in await all_trails(world)


async def test_telegram_flood_control_is_obeyed_and_a_blocked_bot_is_final(
    notifier: Notifier, world: World, http_sink: HttpServer, second_sink: HttpServer
) -> None:
    flood = {"ok": False, "error_code": 429, "description": "Too Many Requests: retry after 1"}
    http_sink.script = [json_answer(429, flood | {"parameters": {"retry_after": 1}})]
    http_sink.response = json_answer(200, {"ok": True})
    second_sink.response = json_answer(
        403, {"ok": False, "error_code": 403, "description": "Forbidden: bot was blocked by the user"}
    )
    base = {"bot_token": TOKEN, "chat_id": "@operations"}
    patient = await world.add_channel("telegram", base | {"api_url": http_sink.url})
    blocked = await world.add_channel("telegram", base | {"api_url": second_sink.url})
    started = time.monotonic()
    await world.open_incident(await world.add_monitor())
    rows = {row["channel_id"]: row for row in await world.settled(2)}
    assert (rows[patient]["state"], rows[patient]["attempts"]) == ("delivered", 2)
    assert time.monotonic() - started >= 1
    assert (rows[blocked]["state"], rows[blocked]["attempts"]) == ("failed", 1)
    assert "bot was blocked" in rows[blocked]["answer"]


# ntfy: 200 with the message; errors carry code, http and error.


async def test_ntfy_publishes_json_signed_in_and_keeps_topic_and_token(
    notifier: Notifier, world: World, http_sink: HttpServer
) -> None:
    http_sink.responder = lambda request: json_answer(200, {"id": "x", "event": "message", **request.json()})
    await world.add_channel("ntfy", {"server_url": http_sink.url, "topic": "hush-topic", "token": "tk_hush"})
    rows = await down_and_up(world)
    assert [row["state"] for row in rows] == ["delivered"] * 2
    down, up = http_sink.requests
    assert (down.method, down.path, down.headers["authorization"]) == ("POST", "/", "Bearer tk_hush")
    assert (down.json()["topic"], down.json()["priority"], up.json()["priority"]) == ("hush-topic", 5, 3)
    assert down.json()["click"] == "https://watch.example/incidents/1"
    assert "hush" not in await all_trails(world)


async def test_ntfy_limits_are_tried_again_and_a_forbidden_topic_is_final(
    notifier: Notifier, world: World, http_sink: HttpServer, second_sink: HttpServer
) -> None:
    limit = {"code": 42901, "http": 429, "error": "limit reached: too many requests"}
    http_sink.script = [json_answer(429, limit)]
    http_sink.response = json_answer(200, {"id": "x"})
    second_sink.response = json_answer(403, {"code": 40301, "http": 403, "error": "forbidden"})
    patient = await world.add_channel("ntfy", {"server_url": http_sink.url, "topic": "ops"})
    forbidden = await world.add_channel(
        "ntfy", {"server_url": second_sink.url, "topic": "ops", "username": "phil", "password": "hush-password"}
    )
    await world.open_incident(await world.add_monitor())
    rows = {row["channel_id"]: row for row in await world.settled(2)}
    assert (rows[patient]["state"], rows[patient]["attempts"]) == ("delivered", 2)
    assert (rows[forbidden]["state"], rows[forbidden]["attempts"]) == ("failed", 1)
    assert second_sink.requests[0].headers["authorization"].startswith("Basic ")
    trail = await all_trails(world)
    assert "hush" not in trail
    assert second_sink.requests[0].headers["authorization"].removeprefix("Basic ") not in trail


# PagerDuty: 202 with the dedup_key; 400 lists errors; 429 has no body.


class PagerDuty:
    """Alerts by key, as the Events API keeps them."""

    def __init__(self) -> None:
        self.alerts: dict[str, str] = {}
        self.changes: list[str] = []
        self.actions: list[str] = []

    def answer(self, request: Request) -> Response:
        body = request.json()
        if len(body["routing_key"]) != 32:
            errors = ["Length of 'routing_key' is incorrect (should be 32 characters)"]
            return json_answer(400, {"status": "invalid event", "message": "Event object is invalid", "errors": errors})
        if request.path == "/v2/change/enqueue":
            self.changes.append(body["payload"]["summary"])
            return json_answer(202, {"status": "success", "message": "Change event processed"})
        assert request.path == "/v2/enqueue"
        key, action = body["dedup_key"], body["event_action"]
        self.actions.append(action)
        if action == "trigger":
            assert body["payload"]["severity"] in ("critical", "error", "warning", "info")
            self.alerts[key] = "triggered"
        elif key in self.alerts:
            self.alerts[key] = "resolved"
        return json_answer(202, {"status": "success", "message": "Event processed", "dedup_key": key})


async def test_pagerduty_alert_is_triggered_and_resolved_by_its_key(
    notifier: Notifier, world: World, http_sink: HttpServer
) -> None:
    service = PagerDuty()
    http_sink.responder = service.answer
    http_sink_url = http_sink.url.rstrip("/")
    channel = {"routing_key": ROUTING_KEY, "api_url": http_sink_url, "key_prefix": "fw-eu"}
    await world.add_channel("pagerduty", channel)
    rows = await down_and_up(world)
    assert [row["state"] for row in rows] == ["delivered"] * 2
    assert service.alerts == {"fw-eu:incident-1": "resolved"}
    assert "hush" not in await all_trails(world)


async def test_pagerduty_throttling_is_tried_again_and_an_invalid_event_is_final(
    notifier: Notifier, world: World, http_sink: HttpServer, second_sink: HttpServer
) -> None:
    http_sink.script = [Response(429, b"")]
    http_sink.response = json_answer(202, {"status": "success"})
    second_sink.response = json_answer(400, {"status": "invalid event", "errors": ["'routing_key' is unknown"]})
    patient = await world.add_channel("pagerduty", {"routing_key": ROUTING_KEY, "api_url": http_sink.url})
    invalid = await world.add_channel("pagerduty", {"routing_key": ROUTING_KEY, "api_url": second_sink.url})
    await world.open_incident(await world.add_monitor())
    rows = {row["channel_id"]: row for row in await world.settled(2)}
    assert (rows[patient]["state"], rows[patient]["attempts"]) == ("delivered", 2)
    assert (rows[invalid]["state"], rows[invalid]["attempts"]) == ("failed", 1)
    assert "'routing_key' is unknown" in rows[invalid]["answer"]


async def test_a_test_of_pagerduty_leaves_no_alert_open(
    notifier: Notifier, world: World, http_sink: HttpServer
) -> None:
    service = PagerDuty()
    http_sink.responder = service.answer
    channel = await world.add_channel("pagerduty", {"routing_key": ROUTING_KEY, "api_url": http_sink.url})
    reply = await notifier.trial.send_test(channel)
    assert (reply.ok, reply.error) == (True, None)
    assert service.actions == ["trigger", "resolve"]
    assert list(service.alerts.values()) == ["resolved"]


# Webhook with a body of its own


async def test_a_webhook_sends_a_body_of_ones_own(notifier: Notifier, world: World, http_sink: HttpServer) -> None:
    await world.webhook(http_sink.url, body='{"text": "{{monitor}} is {{state}}", "since": "{{since}}"}')
    await world.webhook(
        http_sink.url + "form",
        headers={"Content-Type": "application/x-www-form-urlencoded"},
        body="what={{title}}&key={{key}}",
    )
    rows = await down_and_up(world, 2)
    assert [row["state"] for row in rows] == ["delivered"] * 4
    told = [request.json()["text"] for request in http_sink.requests if request.path == "/"]
    assert told == ["Shop is down", "Shop is up"]
    form = next(request for request in http_sink.requests if request.path == "/form")
    assert form.body.decode() == f"what=Shop+is+down&key={form.headers['webhook-id']}"


# Apprise


def through(server: HttpServer, *paths: str) -> AppriseConfig:
    return AppriseConfig.model_validate({"urls": [f"json://127.0.0.1:{server.port}/{path}" for path in paths]})


@pytest.fixture
async def outbound() -> Any:
    made = Outbound.create()
    yield made
    await made.close()


async def test_apprise_delivers_and_its_urls_stay_hidden(
    notifier: Notifier, world: World, http_sink: HttpServer
) -> None:
    urls = [f"json://127.0.0.1:{http_sink.port}/hush-path", f"xml://user:hush-pass@127.0.0.1:{http_sink.port}/x"]
    await world.add_channel("apprise", {"urls": urls})
    rows = await down_and_up(world)
    assert [row["state"] for row in rows] == ["delivered"] * 2
    told = [request.json() for request in http_sink.requests if request.path == "/hush-path"]
    assert [body["title"] for body in told] == ["🔴 Shop is down", "🟢 Shop has recovered"]
    assert [body["type"] for body in told] == ["failure", "success"]
    assert "Cause: connection refused" in told[0]["message"]
    assert sum(request.path == "/x" for request in http_sink.requests) == 2
    assert "hush" not in await all_trails(world)


@pytest.mark.parametrize(("status", "state"), [(404, "failed"), (429, "delivered"), (503, "delivered")])
async def test_apprise_failures_are_final_or_tried_again(
    status: int, state: str, notifier: Notifier, world: World, http_sink: HttpServer
) -> None:
    http_sink.script = [Response(status, b"no")]
    await world.add_channel("apprise", {"urls": [f"json://127.0.0.1:{http_sink.port}/hush-path"]})
    await world.open_incident(await world.add_monitor())
    row = (await world.settled(1))[0]
    assert row["state"] == state
    first = (await world.attempts(row["id"]))[0]
    assert str(status) in first["error"]
    assert "hush" not in await all_trails(world)


async def test_a_retry_goes_to_the_urls_that_have_not_taken_it(outbound: Outbound, http_sink: HttpServer) -> None:
    http_sink.responder = lambda request: Response(
        503 if request.path == "/b" and len([r for r in http_sink.requests if r.path == "/b"]) == 1 else 200
    )
    config, alert = through(http_sink, "a", "b"), sample_alert("Ops", 0, "")
    with pytest.raises(DeliveryError) as caught:
        await apprise.send(config, alert, "msg_retry", outbound)
    assert not caught.value.permanent
    sent = await apprise.send(config, alert, "msg_retry", outbound)
    assert [request.path for request in http_sink.requests] == ["/a", "/b", "/b"]
    assert "took it before" in sent.answer
    await apprise.send(config, alert, "msg_next", outbound)
    assert len(http_sink.requests) == 5


async def test_a_service_that_hangs_gives_its_place_back_to_nobody_and_blocks_no_other_channel(
    monkeypatch: pytest.MonkeyPatch, outbound: Outbound, http_sink: HttpServer, second_sink: HttpServer
) -> None:
    await apprise.send(through(second_sink, "warm"), sample_alert("Ops", 0, ""), "msg_warm", outbound)
    monkeypatch.setattr(apprise, "TIMEOUT_SECONDS", 0.5)
    http_sink.response = Response(200, delay_seconds=4)
    config, alert = through(http_sink, "slow"), sample_alert("Ops", 0, "")
    sends = [apprise.send(config, alert, f"msg_{number}", outbound) for number in range(apprise.THREADS_PER_CHANNEL)]
    failures = await asyncio.gather(*sends, return_exceptions=True)
    assert all("no answer within" in str(failure) for failure in failures)
    with pytest.raises(DeliveryError, match="still hang"):
        await apprise.send(config, alert, "msg_more", outbound)
    await apprise.send(through(second_sink, "quick"), alert, "msg_quick", outbound)
    assert second_sink.requests[-1].path == "/quick"


async def test_apprise_ignores_proxies_and_netrc_of_the_environment(
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Any,
    outbound: Outbound,
    http_sink: HttpServer,
    second_sink: HttpServer,
) -> None:
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.setenv(name, second_sink.url)
    (tmp_path / "netrc").write_text("machine 127.0.0.1 login me password hush-netrc\n")
    monkeypatch.setenv("NETRC", os.fspath(tmp_path / "netrc"))
    await apprise.send(through(http_sink, "a"), sample_alert("Ops", 0, ""), "msg_proxy", outbound)
    assert (len(http_sink.requests), second_sink.connections) == (1, 0)
    assert "authorization" not in http_sink.requests[0].headers


async def test_apprise_follows_no_redirect(outbound: Outbound, http_sink: HttpServer, second_sink: HttpServer) -> None:
    http_sink.response = Response(307, headers={"Location": second_sink.url})
    with pytest.raises(DeliveryError):
        await apprise.send(through(http_sink, "a"), sample_alert("Ops", 0, ""), "msg_redirect", outbound)
    assert second_sink.connections == 0


async def test_a_url_that_apprise_cannot_read_says_so_without_it(outbound: Outbound) -> None:
    config = AppriseConfig(urls="pover://hush-not-enough")
    with pytest.raises(DeliveryError) as caught:
        await apprise.send(config, sample_alert("Ops", 0, ""), "msg_unread", outbound)
    assert "does not understand the URL" in caught.value.error
    assert "hush" not in caught.value.error + caught.value.request + caught.value.answer


HOSTILE_NAME = "@everyone <!channel> <b>x</b> [a](https://e.example)\r\nX: y \u202e{{7*7}} 👩‍🚀"


@pytest.mark.parametrize("kind", ["teams", "telegram", "ntfy", "pagerduty", "webhook", "apprise"])
async def test_hostile_names_pass_through_every_service(
    kind: str, start: StartNotifier, world: World, http_sink: HttpServer
) -> None:
    configs: dict[str, Callable[[], dict[str, Any]]] = {
        "teams": lambda: {"webhook_url": http_sink.url},
        "telegram": lambda: {"bot_token": TOKEN, "chat_id": "1", "api_url": http_sink.url},
        "ntfy": lambda: {"server_url": http_sink.url, "topic": "t"},
        "pagerduty": lambda: {"routing_key": ROUTING_KEY, "api_url": http_sink.url},
        "webhook": lambda: {"url": http_sink.url, "body": '{"text": "{{monitor}} {{cause}}"}'},
        "apprise": lambda: {"urls": f"json://127.0.0.1:{http_sink.port}/"},
    }
    await world.add_channel(kind, configs[kind]())
    await start()
    await world.open_incident(await world.add_monitor(HOSTILE_NAME), name=HOSTILE_NAME + "x" * 100_000)
    row = (await world.settled(1))[0]
    assert (row["state"], row["error"]) == ("delivered", None)
    body = http_sink.requests[0].body.decode()
    assert "\u202e" not in body
    assert "\\r" not in body
    assert "👩‍🚀" in json.dumps(json.loads(body), ensure_ascii=False)
