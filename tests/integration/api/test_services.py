"""What goes over the bus: check now, incidents, channel tests, push, live updates, and the sites API."""

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest
import uvicorn
from fastapi import FastAPI

from farwatch_api.push import PushGateway
from farwatch_bus import Bus, ensure_region
from farwatch_events import subjects
from farwatch_events.checks import (
    CheckNowReply,
    CheckNowRequest,
    IncidentCommand,
    RegisterRegionRequest,
    Reply,
    TestChannelReply,
    TestChannelRequest,
)
from farwatch_events.live import LiveCheck, LiveMonitor, LiveMonitors
from farwatch_events.masking import MASK
from farwatch_events.results import CheckResult, Heartbeat, ResultBatch, parse_result_message
from tests.integration.api.conftest import API_TOKEN, TestDeps
from tests.support.waiting import eventually

HTTP = {"type": "http", "name": "Shop", "url": "https://shop.example/"}


async def create(client: httpx.AsyncClient, **fields: Any) -> dict[str, Any]:
    answer = await client.post("/api/monitors", json={**HTTP, **fields})
    assert answer.status_code == 201, answer.text
    created: dict[str, Any] = answer.json()["data"]
    return created


def result(monitor_id: int, request_id: str | None = None) -> CheckResult:
    return CheckResult(
        monitor_id=monitor_id,
        config_version=1,
        slot_ms=1_700_000_000_000,
        kind="manual",
        outcome="up",
        started_ms=1_700_000_000_000,
        finished_ms=1_700_000_000_050,
        latency_ms=50,
        request_id=request_id,
    )


async def test_check_now_answers_each_regions_result(client: httpx.AsyncClient, bus: Bus, data: Any) -> None:
    monitor = await create(client, timeout_seconds=1)
    silent: set[str] = set()

    async def schedule(body: bytes) -> bytes:
        request = CheckNowRequest.from_bytes(body)
        for region in ("eu", "us"):
            if region not in silent:
                live = LiveCheck(
                    request_id=request.request_id, region=region, result=result(request.monitor_id, request.request_id)
                )
                await bus.publish(subjects.live_check(request.request_id), live.to_bytes())
        return CheckNowReply(regions=["eu", "us"], slot_ms=1).to_bytes()

    path = f"/api/monitors/{monitor['id']}/check"
    data(await client.post(path), 503)
    await bus.respond(subjects.CHECK_NOW_COMMAND, schedule)
    found = data(await client.post(path))
    assert [each["region"] for each in found["results"]] == ["eu", "us"]
    assert found["results"][0]["ok"] is True
    silent.add("us")
    partly = data(await client.post(path), 202)
    assert (partly["missing"], len(partly["results"])) == (["us"], 1)
    data(await client.post("/api/monitors/99/check"), 404)
    await client.post(f"/api/monitors/{monitor['id']}/pause")
    data(await client.post(path), 409)


async def insert_incident(deps: TestDeps, monitor_id: int) -> None:
    async with deps.direct() as connection:
        await connection.execute(
            "insert into health.incidents (id, monitor_id, monitor_name, state, severity, opened_at, error_class,"
            " error, regions, evidence) values (7, $1, 'Shop', 'open', 'down', now() - interval '9000 seconds',"
            " 'timeout', 'no answer', '{eu}', $2)",
            monitor_id,
            {"body": "x"},
        )
        await connection.execute(
            "insert into health.incident_timeline (incident_id, seq, at, kind, sentence)"
            " values (7, 1, now(), 'opened', 's')"
        )
        await connection.execute(
            "insert into alerting.deliveries (channel_id, moment, dedup_key, thread, incident_id, give_up_at, message)"
            " values (3, 'down', 'k', 't', 7, now(), '{}')"
        )
        await connection.execute(
            "insert into alerting.delivery_items (delivery_id, position, thread, moment)"
            " values (1, 1, 'incident-7', 'down')"
        )
        await connection.execute(
            "insert into alerting.delivery_attempts (delivery_id, attempt, at, ok) values (1, 1, now(), true)"
        )


async def test_incidents_are_read_here_and_changed_by_their_service(
    client: httpx.AsyncClient, deps: TestDeps, bus: Bus, data: Any
) -> None:
    monitor = await create(client)
    await insert_incident(deps, monitor["id"])
    listed = data(await client.get(f"/api/incidents?state=open&monitor_id={monitor['id']}"))["items"]
    assert [each["id"] for each in listed] == [7]
    one = data(await client.get("/api/incidents/7"))
    assert (one["duration"], one["cause"]) == ("2h 30m", {"error_class": "timeout", "error": "no answer"})
    assert one["timeline"][0]["sentence"] == "s"
    assert one["deliveries"][0]["trail"][0]["ok"] is True
    assert one["evidence"] == {"body": "x"}

    data(await client.post("/api/incidents/7/acknowledge"), 503)
    heard: list[IncidentCommand] = []

    async def answer(body: bytes) -> bytes:
        command = IncidentCommand.from_bytes(body)
        heard.append(command)
        refused = {8: "not_found", 9: "conflict"}.get(command.incident_id)
        return Reply(ok=refused is None, error="why", code=refused).to_bytes()

    for subject in (subjects.ACKNOWLEDGE_COMMAND, subjects.RESOLVE_COMMAND, subjects.NOTE_COMMAND):
        await bus.respond(subject, answer)
    data(await client.post("/api/incidents/7/acknowledge"))
    data(await client.post("/api/incidents/7/resolve", json={"text": "fixed"}))
    data(await client.post("/api/incidents/7/notes", json={"text": "looking"}), 201)
    data(await client.post("/api/incidents/7/notes", json={}), 422)
    data(await client.post("/api/incidents/8/resolve"), 404)
    data(await client.post("/api/incidents/9/resolve"), 409)
    who = ("token:environment", "the API token of the environment")
    assert [(each.text, each.actor, each.actor_name) for each in heard[:3]] == [
        ("", *who),
        ("fixed", *who),
        ("looking", *who),
    ]


async def test_an_incident_names_who_acted_even_when_they_are_gone(
    client: httpx.AsyncClient, deps: TestDeps, data: Any
) -> None:
    """People by name, tokens by theirs, links by where they stood; numbers only where nothing else is known."""
    monitor = await create(client)
    await insert_incident(deps, monitor["id"])
    hook = {"name": "Ops", "type": "discord", "config": {"webhook_url": "https://discord.test/api/webhooks/1/abc"}}
    channel = data(await client.post("/api/channels", json=hook), 201)
    people = [{"email": f"{name}@example.com", "name": name, "password": "a long pass word 9"} for name in "abc"]
    users = [data(await client.post("/api/users", json=each), 201)["id"] for each in people]
    token = data(await client.post("/api/tokens", json={"name": "deploy", "user_id": users[1]}), 201)
    actors = {
        f"user:{users[0]}": "a",
        f"user:{users[1]}": "b (deleted)",
        "user:9999": "a deleted user (number 9999)",
        f"token:{token['id']}": "the API token “deploy”",
        f"link:channel-{channel['id']}": "a link in Discord (Ops)",
        "token:environment": "the API token of the environment",
        "incidents": None,
    }
    data(await client.delete(f"/api/users/{users[1]}"))
    async with deps.direct() as connection:
        seen = "update health.incidents set evidence = null, acknowledged_by = $1"
        await connection.execute(seen, f"user:{users[0]}")
        await connection.execute("delete from health.incident_timeline")
        for number, actor in enumerate(actors, start=1):
            await connection.execute(
                "insert into health.incident_timeline (incident_id, seq, at, kind, sentence, actor, data)"
                " values (7, $1, now(), 'noted', 's', $2, '{}')",
                number,
                actor,
            )
    one = data(await client.get("/api/incidents/7"))
    assert {each["actor"]: each["actor_name"] for each in one["timeline"]} == actors
    assert (one["acknowledged_by"], one["acknowledged_by_name"]) == (f"user:{users[0]}", "a")
    page = (await client.get("/incidents/7", headers={"Accept": "text/html"})).text
    assert all(name in page for name in actors.values() if name)
    assert "user:" not in page


CHANNELS: dict[str, dict[str, Any]] = {
    "discord": {"webhook_url": "https://discord.test/api/webhooks/1/abc-secret"},
    "slack": {"webhook_url": "https://hooks.slack.test/services/abc-secret"},
    "webhook": {"url": "https://sink.test/hook", "headers": {"X-Api-Key": "abc-secret", "X-Plain": "seen"}},
    "email": {
        "smtp_server": "smtp.test",
        "smtp_port": 587,
        "username": "ada",
        "password": "abc-secret",
        "from_email": "a@example.com",
        "to_email": "b@example.com",
        "use_tls": True,
    },
}


async def test_channels_of_every_type_keep_their_secrets(client: httpx.AsyncClient, deps: TestDeps, data: Any) -> None:
    for kind, config in CHANNELS.items():
        body = {"name": kind, "type": kind, "config": config}
        created = await client.post("/api/channels", json=body)
        channel = data(created, 201)
        path = f"/api/channels/{channel['id']}"
        assert "abc-secret" not in created.text
        assert MASK in created.text
        assert channel["moments"] == ["down", "up"]
        assert data(await client.put(path, json=channel)) == channel
        changed = data(await client.patch(path, json={"name": "New", "moments": ["down"], "config": {}}))
        assert (changed["name"], changed["moments"], changed["config"]) == ("New", ["down"], channel["config"])
        async with deps.read() as connection:
            stored = await connection.fetchval("select config from config.channels where id = $1", channel["id"])
            log = await connection.fetchval("select string_agg(data::text, ' ') from log.events")
        secrets = [value for value in [*stored.values(), *(stored.get("headers") or {}).values()] if is_closed(value)]
        assert [("abc-secret" in deps.box.decrypt(value)) for value in secrets] == [True]
        assert "abc-secret" not in log
        assert "enc:v1:" not in log
        data(await client.delete(path))
        data(await client.get(path), 404)
    assert data(await client.get("/api/channels"))["items"] == []


def is_closed(value: Any) -> bool:
    return isinstance(value, str) and value.startswith("enc:v1:")


async def test_bad_channels_name_the_field(client: httpx.AsyncClient, data: Any) -> None:
    good = {"name": "d", "type": "discord", "config": {"webhook_url": "https://x.test/"}}
    for wrong, field in (
        ({"type": "pigeon"}, "type"),
        ({"config": {"webhook_url": "nonsense"}}, "config.webhook_url"),
        ({"config": {"webhook_url": MASK}}, "config.webhook_url"),
        ({"config": {"webhook_url": "enc:v1:x"}}, "config.webhook_url"),
        ({"config": {}}, "config.webhook_url"),
        ({"config": {"webhook_url": "https://x.test/", "colour": 1}}, "config.colour"),
        ({"config": 5}, "config"),
        ({"moments": ["sometimes"]}, "moments.0"),
        ({"name": ""}, "name"),
        ({"extra": 1}, "extra"),
    ):
        errors = data(await client.post("/api/channels", json={**good, **wrong}), 422)["errors"]
        assert field in [error["field"] for error in errors], (wrong, errors)


async def test_a_channel_test_answers_what_the_notifier_says(client: httpx.AsyncClient, bus: Bus, data: Any) -> None:
    body = {"name": "d", "type": "discord", "config": {"webhook_url": "https://x.test/"}}
    channel = data(await client.post("/api/channels", json=body), 201)
    path = f"/api/channels/{channel['id']}/test"
    data(await client.post(path), 503)

    async def answer(request: bytes) -> bytes:
        assert TestChannelRequest.from_bytes(request).channel_id == channel["id"]
        return TestChannelReply(ok=False, error="404", answer="no such webhook").to_bytes()

    await bus.respond(subjects.TEST_CHANNEL_COMMAND, answer)
    found = await client.post(path)
    assert (data(found)["ok"], data(found)["answer"]) == (False, "no such webhook")
    assert "404" in found.json()["message"]
    data(await client.post("/api/channels/99/test"), 404)


async def test_a_push_is_acknowledged_only_when_the_bus_has_it(
    client: httpx.AsyncClient, stranger: httpx.AsyncClient, bus: Bus, data: Any
) -> None:
    monitor = data(await client.post("/api/monitors", json={"type": "push", "name": "Backup"}), 201)
    url = monitor["push_url"]
    data(await stranger.get(url), 503)
    await ensure_region(bus, subjects.PUSH_REGION)
    data(await stranger.get(f"{url}?status=up&msg=OK&ping="))
    data(await stranger.post(f"{url}?status=down&msg=disk%20full&ping=12.5"))
    data(await stranger.get(f"{url}/start?rid=night"))
    data(await stranger.post(f"{url}/3?rid=night", content=b"3 files are gone"))
    data(await stranger.post(f"{url}/fail", content=b"\xff" * 9000))
    data(await stranger.get(f"{url}/256"), 422)
    data(await stranger.get(f"{url}/begin"), 401)
    data(await stranger.get(f"{url}?ping=fast"), 422)
    data(await stranger.get(f"{url}?msg=a%00b"), 400)
    reader = bus.reader(subjects.results_stream(subjects.PUSH_REGION), 1)
    batches = [parse_result_message(message.data) for message in await reader.batch(10, 2)]
    results = [each for batch in batches if isinstance(batch, ResultBatch) for each in batch.results]
    assert [(each.outcome, each.error, each.latency_ms) for each in results] == [
        ("up", None, None),
        ("down", "disk full", 12.5),
        ("up", None, None),
        ("down", "3 files are gone", None),
        ("down", "\N{REPLACEMENT CHARACTER}" * 500, None),
    ]
    calls = [each.push for each in results if each.push]
    assert [(call.signal, call.run_id, call.exit_code) for call in calls] == [
        ("finish", None, None), ("finish", None, None), ("start", "night", None), ("finish", "night", 3),
        ("finish", None, None),
    ]  # fmt: skip
    assert (calls[0].message, len(calls[-1].message)) == ("OK", 1000)
    assert all(each.monitor_id == monitor["id"] and each.config_version == 1 for each in results)
    await client.post(f"/api/monitors/{monitor['id']}/pause")
    assert data(await stranger.get(url))["recorded"] is False
    await client.delete(f"/api/monitors/{monitor['id']}")
    data(await stranger.get(url), 404)


async def test_the_push_gateway_registers_and_beats(deps: TestDeps, bus: Bus) -> None:
    asked: list[str] = []

    async def register(body: bytes) -> bytes:
        asked.append(RegisterRegionRequest.from_bytes(body).region)
        await ensure_region(bus, subjects.PUSH_REGION)
        return Reply(ok=True).to_bytes()

    await bus.respond(subjects.REGISTER_REGION_COMMAND, register)
    stop = asyncio.Event()
    task = asyncio.create_task(PushGateway(deps.bus, deps.publisher).run(stop))
    await eventually(lambda: asked)
    reader = bus.reader(subjects.results_stream(subjects.PUSH_REGION), 1)
    beats: list[Heartbeat] = []
    while len(beats) < 2:
        found = [parse_result_message(message.data) for message in await reader.batch(10, 3)]
        beats += [each for each in found if isinstance(each, Heartbeat)]
    assert 1500 < beats[1].sent_ms - beats[0].sent_ms < 4000
    assert beats[1].watermark_ms == beats[1].sent_ms
    stop.set()
    await task
    assert asked == ["push"]


@pytest.fixture
async def served(app: FastAPI) -> AsyncIterator[str]:
    """The application behind a real uvicorn: streams need one."""
    config = uvicorn.Config(app, port=0, lifespan="off", log_config=None, access_log=False, timeout_graceful_shutdown=1)
    config.load()
    listener = config.bind_socket()
    server = uvicorn.Server(config)
    task = asyncio.create_task(server._serve([listener]))
    await eventually(lambda: server.started)
    yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    server.should_exit = True
    await task


async def next_event(lines: AsyncIterator[str]) -> dict[str, str]:
    event: dict[str, str] = {}
    async with asyncio.timeout(10):
        async for line in lines:
            if line and not line.startswith(":"):
                name, _, value = line.partition(": ")
                event[name] = value
            elif "data" in event:
                return event
            elif not line:
                event = {}
    raise AssertionError("the stream ended")


def live(monitor_id: int, slot_ms: int, verdict: str = "up", **more: Any) -> bytes:
    told = LiveMonitor(monitor_id=monitor_id, slot_ms=slot_ms, region="eu", verdict=verdict, **more)
    return LiveMonitors(monitors=[told]).to_bytes()


async def test_live_patches_reach_the_browser_coalesced_and_resume(
    served: str, client: httpx.AsyncClient, deps: TestDeps, bus: Bus
) -> None:
    monitor = await create(client)
    other = await create(client)
    stop = asyncio.Event()
    counting = asyncio.create_task(deps.hub.run(stop))
    headers = {"Authorization": f"Bearer {API_TOKEN}"}
    path = f"/api/live?monitors={monitor['id']}"
    async with httpx.AsyncClient(base_url=served, headers=headers, timeout=15) as http:
        async with http.stream("GET", path) as stream:
            assert stream.headers["content-type"].startswith("text/event-stream")
            lines = stream.aiter_lines()
            await eventually(lambda: deps.hub.clients)
            for slot in range(1, 6):
                await bus.publish(subjects.live_monitors(), live(monitor["id"], slot * 1000))
                await bus.publish(subjects.live_monitors(), live(other["id"], slot * 1000))
            seen: list[dict[str, Any]] = []
            counts: dict[str, int] = {}
            event: dict[str, str] = {}
            while sum(len(each["results"]) for each in seen) < 5 or not counts:
                event = await next_event(lines)
                patch = json.loads(event["data"])
                seen += patch["monitors"]
                counts = patch.get("counts", counts)
            assert len(seen) <= 2
            assert {each["monitor_id"] for each in seen} == {monitor["id"]}
            assert seen[-1]["state"] == "up"
            assert counts["pending"] == 2
        await eventually(lambda: not deps.hub.clients)
        down = live(monitor["id"], 9000, "down", verdict_changed=True, outcome="down", incident_id=3)
        await bus.publish(subjects.live_monitors(), down)
        async with http.stream("GET", path, headers={"Last-Event-ID": event["id"]}) as stream:
            lines, patch = stream.aiter_lines(), {"monitors": []}
            while not patch["monitors"]:
                patch = json.loads((await next_event(lines))["data"])
            assert (patch["monitors"][0]["verdict"], patch["monitors"][0]["incident_id"]) == ("down", 3)
        async with http.stream("GET", path, headers={"Last-Event-ID": "gone-1"}) as stream:
            assert (await next_event(stream.aiter_lines()))["event"] == "resync"
        assert (await http.get("/api/live?monitors=" + ",".join(map(str, range(1, 102))))).status_code == 422
    stop.set()
    counting.cancel()


async def test_sites_are_bare_objects(client: httpx.AsyncClient, deps: TestDeps, bus: Bus) -> None:
    async def first_result() -> None:
        async def stored() -> bool:
            async with deps.read() as connection:
                return bool(await connection.fetchval("select count(*) from config.monitors"))

        await eventually(stored)
        await asyncio.sleep(0.1)
        last = {"slot": "2026-01-01T00:00:00Z", "latency_ms": 12.5, "ok": True}
        async with deps.direct() as connection:
            await connection.execute(
                "insert into health.monitor_state (monitor_id, region, vote, vote_slot, state, last_check)"
                " values (1, 'eu', 'up', now(), '{}', $1)",
                last,
            )
            await connection.execute("insert into health.verdicts (monitor_id, verdict, since) values (1, 'up', now())")
            await connection.execute("create table health.check_results_test partition of health.check_results default")
            await connection.execute(
                "insert into health.check_results (slot, monitor_id, latency_ms, region, outcome)"
                " values (now(), 1, 12.5, 'eu', 'up')"
            )
        await bus.publish(subjects.live_monitors(), live(1, 1000))

    task = asyncio.create_task(first_result())
    body = {"url": "https://example.com/", "name": "Example", "check_interval_seconds": 300}
    made = await client.post("/sites", json=body)
    await task
    assert made.status_code == 201
    site = made.json()
    assert (site["id"], site["status"], site["response_time_ms"]) == (1, "up", 12.5)
    assert (site["last_checked_at"], site["check_interval_seconds"]) == ("2026-01-01T00:00:00Z", 300)
    assert (await client.get("/sites")).json() == [site]
    history = (await client.get("/sites/1/history")).json()
    assert [set(item) for item in history] == [{"status", "response_time_ms", "checked_at"}]
    assert (await client.get("/api/monitors/1")).json()["data"]["interval_seconds"] == 300
    assert (await client.delete("/sites/1")).status_code == 200
    assert (await client.get("/sites")).json() == []

    pending = (await client.post("/sites", json={"url": "https://example.com/", "expected_status_code": 204})).json()
    assert (pending["status"], pending["response_time_ms"], pending["last_checked_at"]) == ("pending", None, None)
    assert (pending["name"], pending["expected_status_code"]) == ("https://example.com/", 204)
    assert (await client.post("/sites", json={"url": "nonsense"})).status_code == 422


async def test_the_webhook_is_one_discord_channel(client: httpx.AsyncClient, data: Any) -> None:
    first = await client.post("/webhook", json={"url": "https://discord.test/api/webhooks/1/s3cret"})
    second = await client.post("/webhook", json={"url": "https://discord.test/api/webhooks/2/s3cret", "name": "Ops"})
    assert (first.status_code, second.status_code) == (201, 200)
    assert first.json()["id"] == second.json()["id"]
    assert "s3cret" not in first.text + second.text
    channels = data(await client.get("/api/channels"))["items"]
    assert [(each["type"], each["name"]) for each in channels] == [("discord", "Ops")]
    assert channels[0]["moments"] == ["down", "up", "first_failure", "first_success"]
    assert (await client.post("/webhook", json={"url": "nonsense"})).status_code == 422


async def test_regions_and_the_log(client: httpx.AsyncClient, deps: TestDeps, data: Any) -> None:
    async with deps.direct() as connection:
        await connection.execute("insert into config.regions (name) values ('eu'), ('us'), ('push')")
        await connection.execute(
            "insert into health.regions (region, state, last_heartbeat_at) values ('eu', 'live', now()),"
            " ('us', 'silent', now() - interval '1 day')"
        )
        await connection.execute(
            "insert into health.probers (region, prober, software, loop_lag_ms, last_seen_at)"
            " values ('eu', 'p1', '0.1', 1.5, now())"
        )
    regions = data(await client.get("/api/regions"))["items"]
    assert [(each["region"], each["state"], len(each["probers"])) for each in regions] == [
        ("eu", "live", 1),
        ("us", "silent", 0),
    ]
    data(await client.delete("/api/regions/eu"), 409)
    data(await client.delete("/api/regions/mars"), 404)
    data(await client.delete("/api/regions/push"), 404)
    data(await client.delete("/api/regions/us"))
    for number in range(5):
        await create(client, name=f"m{number}")
    first = data(await client.get("/api/events?limit=4"))
    rest = data(await client.get(f"/api/events?limit=4&cursor={first['next_cursor']}"))
    positions = [each["position"] for each in first["items"] + rest["items"]]
    assert positions == [6, 5, 4, 3, 2, 1]
    assert rest["items"][-1]["type"] == "region.deleted"
    assert len(data(await client.get("/api/events?type=monitor.created&stream=monitor-1"))["items"]) == 1


async def test_a_database_that_is_away_is_a_503(
    client: httpx.AsyncClient, stranger: httpx.AsyncClient, deps: TestDeps, data: Any
) -> None:
    deps.db.pool.terminate()
    data(await client.get("/api/monitors"), 503)
    data(await client.post("/api/monitors", json=HTTP), 503)
    data(await stranger.get("/api/monitors", headers={"Authorization": "Bearer fw_x"}), 503)
    data(await stranger.get("/push/x"), 503)
    assert (await stranger.get("/healthz")).status_code == 200
