"""Pages about checking: the form, the guard's card and the regions, as the server writes them."""

import re
from typing import Any

import httpx
import pytest

from tests.integration.api.conftest import TestDeps

SHOP: dict[str, Any] = {"type": "http", "name": "Shop", "url": "https://shop.example/", "content_guard": True}
DIFFERENT = {
    "slot": "2026-01-01T12:00:00Z",
    "region": "eu",
    "ok": True,
    "outcome": "degraded",
    "latency_ms": 12.0,
    "phases": {"dns_ms": 1.0},
    "status_code": 200,
    "address": "192.0.2.1",
    "attempts": 1,
    "error": None,
    "reasons": ["A script from evil.example is new on the page"],
    "assertions": [{"subject": "status", "operator": "equals", "expected": "200", "seen": "200", "ok": True}],
    "certificate": None,
    "content_guard": {
        "learned": True,
        "answers": 3,
        "differences": ["A script from evil.example is new on the page"],
    },
}


async def see(deps: TestDeps, monitor_id: int, last_check: dict[str, Any]) -> None:
    async with deps.direct() as connection:
        await connection.execute(
            "insert into health.monitor_state (monitor_id, region, vote, vote_slot, state, last_check)"
            " values ($1, 'eu', 'degraded', $2::timestamptz, '[]', $3)",
            monitor_id,
            deps.now(),
            last_check,
        )


async def page(client: httpx.AsyncClient, path: str) -> str:
    """Its text with single spaces, without tags."""
    answer = await client.get(path, headers={"Accept": "text/html"})
    assert answer.status_code == 200, answer.text
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", answer.text))


async def test_a_page_that_differs_can_be_accepted_there(client: httpx.AsyncClient, deps: TestDeps, data: Any) -> None:
    monitor_id = data(await client.post("/api/monitors", json=SHOP), 201)["id"]
    path = f"/monitors/{monitor_id}"
    assert "learns, 0 of 3 answers" in await page(client, path)
    await see(deps, monitor_id, DIFFERENT)
    before = await page(client, path)
    assert "A script from evil.example is new on the page" in before
    assert "Status code is 200 saw 200" in before
    assert "Accept the new state" in before
    data(await client.post(f"/api/monitors/{monitor_id}/content-guard/accept"))
    after = await page(client, path)
    assert "Accept the new state" not in after
    assert "it counts from the next check on" in after


async def test_a_check_stored_by_an_older_version_is_shown(
    client: httpx.AsyncClient, deps: TestDeps, data: Any
) -> None:
    monitor_id = data(await client.post("/api/monitors", json=SHOP), 201)["id"]
    old = {
        name: value
        for name, value in DIFFERENT.items()
        if name not in ("outcome", "content_guard", "assertions", "reasons")
    }
    await see(deps, monitor_id, old)
    assert "Accept the new state" not in await page(client, f"/monitors/{monitor_id}")


@pytest.mark.parametrize("kind", ["http", "ping", "port", "dns", "tls", "push"])
async def test_every_type_has_its_form(client: httpx.AsyncClient, kind: str) -> None:
    assert "Start watching" in await page(client, f"/monitors/new?type={kind}&target=example.com")


async def test_what_is_written_in_the_form_is_escaped(client: httpx.AsyncClient, data: Any) -> None:
    assertion = {"subject": "body", "operator": "contains", "value": "'><script>alert(1)</script>"}
    made = {**SHOP, "json": {"a": "</textarea><script>"}, "method": "POST", "assertions": [assertion]}
    monitor_id = data(await client.post("/api/monitors", json=made), 201)["id"]
    answer = await client.get(f"/monitors/{monitor_id}/edit", headers={"Accept": "text/html"})
    assert "<script>alert" not in answer.text
    assert "</textarea><script>" not in answer.text


async def test_a_clone_takes_the_secrets_along(client: httpx.AsyncClient, deps: TestDeps, data: Any) -> None:
    headers = {"Authorization": "Bearer token-9"}
    made = data(await client.post("/api/monitors", json={**SHOP, "headers": headers}), 201)
    again = {**made, "name": "Shop copy"}
    assert (await client.post("/api/monitors", json=again)).status_code == 422
    copied = await client.post(f"/api/monitors?clone_of={made['id']}", json=again)
    assert data(copied, 201)["headers"] == {"Authorization": "********"}
    async with deps.direct() as connection:
        rows = await connection.fetch("select spec->'headers'->>'Authorization' as secret from config.monitors")
    assert [deps.box.decrypt(row["secret"]) for row in rows] == ["Bearer token-9"] * 2
    assert (await client.post("/api/monitors?clone_of=999", json=again)).status_code == 404


async def test_each_prober_says_how_it_is_and_why(client: httpx.AsyncClient, deps: TestDeps) -> None:
    async with deps.direct() as connection:
        await connection.execute("insert into config.regions (name) values ('eu') on conflict do nothing")
        await connection.execute(
            "insert into health.regions (region, state, reason) values ('eu', 'suspect', 'Sees failures alone')"
        )
        await connection.execute(
            "insert into health.probers (region, prober, software, healthy, reason, in_flight, capacity, loop_lag_ms,"
            " last_seen_at, started_at) values ('eu', 'one', '1.2.3', false, 'No canary answers', 7, 2000, 81, now(),"
            " now()), ('eu', 'two', '1.2.2', true, null, 0, 2000, 1, now() - interval '5 minutes', now())"
        )
    text = await page(client, "/settings/regions")
    assert "Sees failures alone" in text
    shown = ("Unwell", "No canary answers", "7 of 2000", "81 ms", "1.2.3")
    assert [each for each in shown if each not in text] == []
    assert re.search(r"Gone\s+two", text)
    assert "1.2.2" not in text, "one that is gone needs a line, not its last figures"
