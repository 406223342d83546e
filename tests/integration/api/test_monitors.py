"""Monitors through REST: all types, secrets, validation."""

import json
from typing import Any

import httpx
import pytest

from farwatch_events.masking import MASK
from farwatch_store import read_stream
from tests.integration.api.conftest import TestDeps

HTTP = {"type": "http", "name": "Shop", "url": "https://shop.example/"}
MINIMAL: dict[str, dict[str, Any]] = {
    "http": HTTP,
    "ping": {"type": "ping", "name": "Router", "host": "192.0.2.1"},
    "port": {"type": "port", "name": "Mail", "host": "mail.example", "port": 25},
    "dns": {"type": "dns", "name": "Zone", "host": "example.com", "record_type": "MX"},
    "tls": {"type": "tls", "name": "Cert", "host": "example.com"},
    "push": {"type": "push", "name": "Backup", "grace_seconds": 60},
}


async def create(client: httpx.AsyncClient, **fields: Any) -> dict[str, Any]:
    answer = await client.post("/api/monitors", json={**HTTP, **fields})
    assert answer.status_code == 201, answer.text
    created: dict[str, Any] = answer.json()["data"]
    return created


@pytest.mark.parametrize("kind", MINIMAL)
async def test_each_type_lives_through_create_read_change_pause_resume_and_delete(
    client: httpx.AsyncClient, deps: TestDeps, data: Any, kind: str
) -> None:
    created = data(await client.post("/api/monitors", json=MINIMAL[kind]), 201)
    path = f"/api/monitors/{created['id']}"
    assert created["state"] == "pending"
    assert created["interval_seconds"] == 60
    assert created["timeout_seconds"] == 10
    assert ("push_url" in created) == (kind == "push")

    assert data(await client.get(path)) == created
    renamed = data(await client.patch(path, json={"name": "Renamed", "tags": ["a", "b", "a"]}))
    assert (renamed["name"], renamed["tags"], renamed["config_version"]) == ("Renamed", ["a", "b"], 2)

    replaced = data(await client.put(path, json={**renamed, "interval_seconds": 30}))
    assert (replaced["interval_seconds"], replaced["name"], replaced["config_version"]) == (30, "Renamed", 3)

    paused = data(await client.post(f"{path}/pause"))
    assert (paused["state"], paused["enabled"], paused["config_version"]) == ("paused", False, 4)
    again = data(await client.post(f"{path}/pause"))
    assert again["config_version"] == 4
    assert data(await client.post(f"{path}/resume"))["state"] == "pending"

    data(await client.delete(path))
    data(await client.get(path), 404)
    data(await client.delete(path), 404)
    async with deps.read() as connection:
        events = await read_stream(connection, f"monitor-{created['id']}")
    assert [event.type for event in events] == [
        "monitor.created",
        "monitor.updated",
        "monitor.updated",
        "monitor.paused",
        "monitor.resumed",
        "monitor.deleted",
    ]
    assert {event.meta.actor for event in events} == {"token:environment"}
    assert events[1].data["changed"] == ["name", "tags"]


async def test_a_change_that_changes_nothing_makes_no_event(
    client: httpx.AsyncClient, deps: TestDeps, data: Any
) -> None:
    created = await create(client, headers={"Authorization": "Bearer abc"})
    same = data(await client.put(f"/api/monitors/{created['id']}", json=created))
    assert same == created
    async with deps.read() as connection:
        assert len(await read_stream(connection, f"monitor-{created['id']}")) == 1


async def test_ids_are_never_given_again(client: httpx.AsyncClient, data: Any) -> None:
    first = await create(client)
    data(await client.delete(f"/api/monitors/{first['id']}"))
    assert (await create(client))["id"] > first["id"]


async def test_secrets_are_masked_kept_and_encrypted(client: httpx.AsyncClient, deps: TestDeps, data: Any) -> None:
    secret, word = "tok-5f3e9a-very-secret", "hunter2-hunter2"
    created = await create(
        client,
        headers={"X-Api-Key": secret, "Accept": "text/html"},
        auth={"type": "basic", "username": "ada", "password": word},
    )
    assert created["headers"] == {"X-Api-Key": MASK, "Accept": "text/html"}
    assert created["auth"]["password"] == MASK
    path = f"/api/monitors/{created['id']}"
    data(await client.put(path, json={**created, "name": "Still secret"}))
    data(await client.patch(path, json={"headers": {"X-Api-Key": MASK, "Accept": "*/*"}}))

    async with deps.read() as connection:
        stored = await connection.fetchval("select spec from config.monitors where id = $1", created["id"])
        log = await connection.fetchval("select string_agg(data::text, ' ') from log.events")
    assert deps.box.decrypt(stored["headers"]["X-Api-Key"]) == secret
    assert deps.box.decrypt(stored["auth"]["password"]) == word
    everything = json.dumps(stored) + log
    for address in (path, "/api/monitors", "/api/events", "/sites"):
        everything += (await client.get(address)).text
    assert secret not in everything
    assert word not in everything
    assert "enc:v1:" not in log


async def test_a_mask_with_nothing_behind_it_is_refused(client: httpx.AsyncClient, data: Any) -> None:
    errors = data(await client.post("/api/monitors", json={**HTTP, "headers": {"X-Api-Key": MASK}}), 422)["errors"]
    assert [error["field"] for error in errors] == ["headers.X-Api-Key"]
    created = await create(client, headers={"X-Api-Key": "one"})
    patch = {"headers": {"X-Api-Key": MASK, "Cookie": MASK}, "auth": {"type": "bearer", "token": MASK}}
    errors = data(await client.patch(f"/api/monitors/{created['id']}", json=patch), 422)["errors"]
    assert {error["field"] for error in errors} == {"headers.Cookie", "auth.token"}


async def test_the_encrypted_form_cannot_be_written_by_hand(client: httpx.AsyncClient, data: Any) -> None:
    for fields in (
        {"headers": {"X-Token": "enc:v1:abc"}},
        {"headers": {"Accept": "enc:v1:" + "a" * 100_000}},
        {"auth": {"type": "bearer", "token": "enc:v1:abc"}},
    ):
        data(await client.post("/api/monitors", json={**HTTP, **fields}), 422)


BAD_FIELDS: list[tuple[dict[str, Any], str]] = [
    ({"url": "not a url"}, "url"),
    ({"url": "ftp://example.com"}, "url"),
    ({"url": "file:///etc/passwd"}, "url"),
    ({"url": "http://"}, "url"),
    ({"url": "http://user:pass@example.com"}, "url"),
    ({"url": None}, "url"),
    ({"type": "nonsense"}, "type"),
    ({"type": None}, "type"),
    ({"type": ["http"]}, "type"),
    ({"interval_seconds": 0}, "interval_seconds"),
    ({"interval_seconds": "soon"}, "interval_seconds"),
    ({"interval_seconds": 10**400}, "interval_seconds"),
    ({"interval_seconds": 1e308}, "interval_seconds"),
    ({"timeout_seconds": 300}, "timeout_seconds"),
    ({"interval_seconds": 10, "timeout_seconds": 20}, "timeout_seconds"),
    ({"name": ""}, "name"),
    ({"name": "a\0b"}, "name"),
    ({"name": "x" * 201}, "name"),
    ({"name": {"deep": 1}}, "name"),
    ({"nmae": "x"}, "nmae"),
    ({"headers": {"X-A": "a\nb"}}, "headers.X-A"),
    ({"headers": {"X A": "b"}}, "headers.X A"),
    ({"headers": {"X-A": 5}}, "headers.X-A"),
    ({"headers": {"X-A": "b" * 20_000}}, "headers"),
    ({"headers": {"X-A": "\ud800"}}, "headers.X-A"),
    ({"headers": []}, "headers"),
    ({"expected_status": ["999"]}, "expected_status"),
    ({"regions": ["Not Valid"]}, "regions.0"),
    ({"regions": ["push"]}, "regions"),
    ({"tags": ["with space"]}, "tags.0"),
    ({"channels": [999]}, "channels"),
    ({"channels": [2**70]}, "channels.0"),
    ({"auth": {"type": "basic"}}, "auth.username"),
    ({"auth": "x"}, "auth"),
    ({"body": "x" * 70_000}, "body"),
]


async def test_bad_fields_are_named(client: httpx.AsyncClient, data: Any) -> None:
    for fields, field in BAD_FIELDS:
        body = json.dumps({**HTTP, **fields})
        answer = await client.post("/api/monitors", content=body, headers={"Content-Type": "application/json"})
        errors = data(answer, 422)["errors"]
        assert field in [error["field"] for error in errors], (fields, errors)
        assert all(error["message"] for error in errors)


async def test_what_is_no_json_object_is_a_400(client: httpx.AsyncClient, data: Any) -> None:
    for body in (b"", b"nonsense", b"[1]", b'"x"', b"{" * 100_000, b"\xff\xfe", b'{"a": NaN}', b"null"):
        for method, path in (("POST", "/api/monitors"), ("PATCH", "/api/monitors/1"), ("POST", "/sites")):
            answer = await client.request(method, path, content=body)
            assert answer.status_code == 400, (method, path, answer.text)
            data(answer, 400)


async def test_large_bodies_are_a_413(client: httpx.AsyncClient, data: Any) -> None:
    data(await client.post("/api/monitors", json={**HTTP, "headers": {"X": "v" * 10_000_000}}), 413)

    data(await client.get("/api/monitors", headers={"X-Large": "v" * 100_000}), 431)

    async def pieces() -> Any:
        for _ in range(200):
            yield b"x" * 10_000

    data(await client.post("/api/monitors", content=pieces()), 413)


ODD_ADDRESSES = [
    ("/api/monitors?cursor=garbage", 422),
    ("/api/monitors?cursor=WyJtb25pdG9yczppZCIsIDk5OTk5OTk5OTk5OTk5OTk5OTk5XQ", 422),
    ("/api/monitors?cursor=" + "A" * 2000, 422),
    ("/api/monitors?limit=0", 422),
    ("/api/monitors?limit=501", 422),
    ("/api/monitors?limit=x", 422),
    ("/api/monitors?state=sleeping", 422),
    ("/api/monitors?type=gopher", 422),
    ("/api/monitors?q=%00", 400),
    ("/api/monitors?q=%25_%5C%27", 200),
    ("/api/monitors?tag=%27;drop", 200),
    ("/api/monitors?region=%27", 422),
    ("/api/monitors/0", 422),
    ("/api/monitors/abc", 422),
    ("/api/monitors/99999999999999999999999", 422),
    ("/api/monitors/9223372036854775807", 404),
    ("/api/monitors/1/checks?hours=-1", 422),
    ("/api/monitors/1/checks?hours=nan", 422),
    ("/api/monitors/1/checks?resolution=week", 422),
    ("/api/monitors/12345/uptime", 404),
    ("/api/monitors/12345/latency", 404),
    ("/api/heartbeats?monitors=1,x", 422),
    ("/api/heartbeats?monitors=99999999999999999999", 422),
    ("/api/incidents/5", 404),
    ("/api/incidents?state=x", 422),
    ("/api/events?type=nothing", 422),
    ("/api/events?since=yesterday", 422),
    ("/api/channels/7", 404),
    ("/api/maintenance/7", 404),
    ("/api/users/7", 404),
    ("/api/nothing", 404),
    ("/nothing", 404),
    ("/api/monitors/", 404),
    ("/sites/7", 404),
    ("/sites/7/history", 404),
    ("/push/unknown-token", 404),
]


async def test_odd_addresses_are_4xx(client: httpx.AsyncClient, data: Any) -> None:
    for path, status in ODD_ADDRESSES:
        answer = await client.get(path)
        assert answer.status_code == status, (path, answer.text)
        data(answer, status)


async def test_a_wrong_method_is_a_405(client: httpx.AsyncClient, data: Any) -> None:
    data(await client.delete("/api/monitors"), 405)
    data(await client.post("/api/status"), 405)


async def test_type_cannot_change_and_patch_null_restores_the_default(client: httpx.AsyncClient, data: Any) -> None:
    created = await create(client, expected_text="hello", interval_seconds=120)
    path = f"/api/monitors/{created['id']}"
    errors = data(await client.patch(path, json={"type": "ping"}), 422)["errors"]
    assert errors[0]["field"] == "type"
    patched = data(await client.patch(path, json={"expected_text": None, "interval_seconds": 5}))
    assert (patched["expected_text"], patched["interval_seconds"], patched["timeout_seconds"]) == (None, 5, 4)


async def test_pages_over_a_thousand_monitors_in_every_order(
    client: httpx.AsyncClient, deps: TestDeps, data: Any
) -> None:
    async with deps.direct() as connection:
        await connection.execute(
            """
            insert into config.monitors (name, type, spec, tags)
            select 'Monitor ' || n % 37, 'http',
                jsonb_build_object('type', 'http', 'name', 'Monitor ' || n % 37, 'url', 'http://x/' || n,
                    'interval_seconds', 60, 'regions', case when n % 2 = 0 then '["eu"]'::jsonb else '[]'::jsonb end),
                case when n % 10 = 0 then array['ten'] else '{}'::text[] end
            from generate_series(1, 1000) as n
            """
        )
        await connection.execute(
            """
            insert into health.verdicts (monitor_id, verdict, since)
            select id, case when id % 100 = 0 then 'down' when id % 3 = 0 then 'up' else 'unknown' end, now()
            from config.monitors
            """
        )
    for sort in ("id", "name", "worst"):
        seen: list[dict[str, Any]] = []
        cursor = ""
        while True:
            found = data(await client.get(f"/api/monitors?limit=170&sort={sort}&cursor={cursor}"))
            seen += found["items"]
            cursor = found["next_cursor"]
            if cursor is None:
                break
        assert len({item["id"] for item in seen}) == len(seen) == 1000
        if sort == "worst":
            assert [item["state"] for item in seen[:10]] == ["down"] * 10
            assert seen[-1]["state"] == "up"
    tagged = data(await client.get("/api/monitors?tag=ten&limit=500"))["items"]
    assert len(tagged) == 100
    assert len(data(await client.get("/api/monitors?region=us&limit=500"))["items"]) == 500
    assert len(data(await client.get("/api/monitors?q=http://x/77&limit=500"))["items"]) == 11
    assert len(data(await client.get("/api/monitors?state=down&limit=500"))["items"]) == 10
    mismatch = data(await client.get("/api/monitors?limit=1&sort=name"))["next_cursor"]
    data(await client.get(f"/api/monitors?sort=id&cursor={mismatch}"), 422)
    counts = data(await client.get("/api/status"))["monitors"]
    assert (counts["total"], counts["down"]) == (1000, 10)


async def test_maintenance_and_pause_lie_over_the_verdict(client: httpx.AsyncClient, data: Any) -> None:
    plain, tagged = await create(client), await create(client, tags=["db"])
    window = {
        "name": "Upgrade",
        "tags": ["db"],
        "starts_at": "2020-01-01T00:00:00Z",
        "ends_at": "2099-01-01T00:00:00+02:00",
    }
    scheduled = data(await client.post("/api/maintenance", json=window), 201)
    assert scheduled["state"] == "current"
    states = {item["id"]: item["state"] for item in data(await client.get("/api/monitors"))["items"]}
    assert states == {plain["id"]: "pending", tagged["id"]: "maintenance"}
    cancelled = data(await client.delete(f"/api/maintenance/{scheduled['id']}"))
    assert cancelled["state"] == "cancelled"
    assert data(await client.get(f"/api/monitors/{tagged['id']}"))["state"] == "pending"
    data(await client.patch(f"/api/maintenance/{scheduled['id']}", json={"name": "x"}), 409)
