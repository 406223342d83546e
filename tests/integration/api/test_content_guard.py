"""Assertions, the content guard and its one click through REST."""

from typing import Any

import httpx

from farwatch_store import read_stream
from tests.integration.api.conftest import TestDeps

SHOP: dict[str, Any] = {"type": "http", "name": "Shop", "url": "https://shop.example/"}


async def test_accepting_is_an_event_with_its_actor(client: httpx.AsyncClient, deps: TestDeps, data: Any) -> None:
    created = data(await client.post("/api/monitors", json={**SHOP, "content_guard": True}), 201)
    assert created["content_guard"] is True
    path = f"/api/monitors/{created['id']}/content-guard/accept"
    assert data(await client.post(path))["id"] == created["id"]
    async with deps.read() as connection:
        recorded = await read_stream(connection, f"monitor-{created['id']}")
    assert recorded[-1].type == "monitor.content_accepted"
    assert recorded[-1].meta.actor != ""


async def test_nothing_to_accept(client: httpx.AsyncClient, data: Any) -> None:
    created = data(await client.post("/api/monitors", json=SHOP), 201)
    answer = await client.post(f"/api/monitors/{created['id']}/content-guard/accept")
    assert answer.status_code == 422
    assert answer.json()["data"]["errors"][0]["field"] == "content_guard"
    assert (await client.post("/api/monitors/999999/content-guard/accept")).status_code == 404


async def test_assertions_are_kept_as_written_or_refused_with_their_place(client: httpx.AsyncClient, data: Any) -> None:
    wanted = [
        {"subject": "header.X-Cache", "operator": "equals", "value": "HIT", "severity": "degraded"},
        {"subject": "body.json.$.queue", "operator": "less_than", "value": 10},
    ]
    created = data(await client.post("/api/monitors", json={**SHOP, "assertions": wanted}), 201)
    assert created["assertions"] == [
        {"subject": "header.x-cache", "operator": "equals", "value": "HIT", "severity": "degraded"},
        {"subject": "body.json.queue", "operator": "less_than", "value": 10, "severity": "down"},
    ]
    wrong = [*wanted, {"subject": "body", "operator": "matches", "value": "(a"}]
    answer = await client.patch(f"/api/monitors/{created['id']}", json={"assertions": wrong})
    assert answer.status_code == 422
    assert answer.json()["data"]["errors"][0]["field"] == "assertions.2.value"


async def test_a_proxy_password_is_kept_and_never_shown(client: httpx.AsyncClient, data: Any) -> None:
    proxy = {"proxy": "socks5://proxy.example:1080", "proxy_username": "me", "proxy_password": "s3cret-1"}
    answer = await client.post("/api/monitors", json={**SHOP, **proxy, "json": {"a": 1}, "method": "POST"})
    created = data(answer, 201)
    assert (created["proxy_password"], created["json"]) == ("********", {"a": 1})
    assert "s3cret-1" not in answer.text
    again = data(await client.put(f"/api/monitors/{created['id']}", json=created))
    assert again["config_version"] == created["config_version"], "an answer sent back changes nothing"
