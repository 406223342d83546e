"""Policies, silences, drills and the links in messages, over the API."""

from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest

from farwatch_events.policies import POLICY_MOMENTS
from farwatch_runtime.links import AlertLink, make_link
from farwatch_store import Database
from tests.integration.api.conftest import BASE, Browser, Data, TestDeps


async def add_channel(client: httpx.AsyncClient, data: Data, name: str = "ops") -> int:
    body = {"name": name, "type": "webhook", "config": {"url": "https://hook.example/"}}
    return int(data(await client.post("/api/channels", json=body), 201)["id"])


async def add_monitor(client: httpx.AsyncClient, data: Data, **fields: Any) -> int:
    body = {"name": "Shop", "type": "http", "url": "https://shop.example/", **fields}
    return int(data(await client.post("/api/monitors", json=body), 201)["id"])


async def test_policies_are_added_changed_listed_and_removed(client: httpx.AsyncClient, data: Data) -> None:
    channel = await add_channel(client, data)
    body = {"name": "Nights", "time_zone": "Europe/Berlin", "steps": [{"target": {"channels": [channel]}}]}
    added = data(await client.post("/api/policies", json=body), 201)
    assert (added["name"], added["enabled"], added["steps"][0]["target"]["channels"]) == ("Nights", True, [channel])
    path = f"/api/policies/{added['id']}"
    changed = data(await client.patch(path, json={"reminder_seconds": 3600}))
    assert (changed["reminder_seconds"], changed["time_zone"]) == (3600, "Europe/Berlin")
    assert data(await client.put(path, json={**changed, "name": "Days"}))["name"] == "Days"
    assert [each["name"] for each in data(await client.get("/api/policies"))["items"]] == ["Days"]
    events = data(await client.get("/api/events", params={"stream": f"policy-{added['id']}"}))["items"]
    assert [each["type"] for each in events] == ["policy.updated", "policy.updated", "policy.created"]
    data(await client.delete(path))
    data(await client.get(path), 404)


@pytest.mark.parametrize(
    ("body", "field", "words"),
    [
        ({"name": "x", "steps": [{"target": {"channels": [99]}}]}, "steps", "names channel 99, which does not exist"),
        ({"name": "x", "time_zone": "Mars"}, "time_zone", "is not a time zone"),
        ({"name": "x", "timezone": "UTC"}, "timezone", "did you mean time_zone?"),
    ],
)
async def test_a_wrong_policy_is_explained(
    client: httpx.AsyncClient, data: Data, body: dict[str, Any], field: str, words: str
) -> None:
    (error,) = data(await client.post("/api/policies", json=body), 422)["errors"]
    assert error["field"] == field
    assert words in error["message"]


async def test_the_preview_says_who_would_be_told_and_when(client: httpx.AsyncClient, data: Data) -> None:
    first, second = await add_channel(client, data, "chat"), await add_channel(client, data, "phone")
    monitor_id = await add_monitor(client, data, tags=["shop"])
    plain = data(await client.post("/api/policies/preview", json={"monitor_id": monitor_id}))
    assert plain["default_decides"] is True
    assert [(p["channel"], p["after_seconds"], p["why_not"]) for p in plain["planned"]] == [
        ("chat", 0, None),
        ("phone", 0, None),
    ]
    steps = [{"target": {"channels": [first]}}, {"after_seconds": 600, "target": {"channels": [second]}}]
    draft = {"name": "draft", "match": {"tags": ["shop"]}, "steps": steps}
    seen = data(await client.post("/api/policies/preview", json={"monitor_id": monitor_id, "policy": draft}))
    assert [(p["channel"], p["after_seconds"]) for p in seen["planned"]] == [("chat", 0), ("phone", 600)]
    assert data(await client.get("/api/policies"))["items"] == [], "a preview stores nothing"


async def test_the_preview_says_which_channel_hears_of_which_moment(client: httpx.AsyncClient, data: Data) -> None:
    first, second = await add_channel(client, data, "chat"), await add_channel(client, data, "phone")
    monitor_id = await add_monitor(client, data)
    steps = [{"target": {"channels": [first]}}, {"after_seconds": 600, "target": {"channels": [second]}}]

    async def heard(**fields: Any) -> dict[str, list[str]]:
        body = {"monitor_id": monitor_id, "policy": {"name": "draft", "steps": steps, **fields}}
        found: dict[str, list[str]] = {}
        for each in data(await client.post("/api/policies/preview", json=body))["moments"]:
            assert (each["policy_id"], each["policy"]) == (-1, "policy “draft”")
            found.setdefault(each["moment"], []).extend([] if each["why_not"] else [each["channel"]])
        return found

    both = ["chat", "phone"]
    nobody: dict[str, list[str]] = {each: [] for each in POLICY_MOMENTS}
    assert await heard() == nobody | {"down": both, "up": both}, "as the channels say"
    own = await heard(moments=["degraded", "first_failure"])
    assert own == nobody | {"degraded": both, "first_failure": ["chat"]}, "first failures go to the first step"
    assert await heard(moments=[], reminder_seconds=600) == nobody | {"reminder": both}
    assert await heard(steps=[]) == {}


async def test_silences_are_seen_in_the_preview_and_end(client: httpx.AsyncClient, data: Data) -> None:
    await add_channel(client, data)
    monitor_id = await add_monitor(client, data)
    ends = (datetime.now(UTC) + timedelta(hours=1)).isoformat()
    body = {"match": {"monitors": [monitor_id]}, "reason": "moving", "ends_at": ends}
    silence = data(await client.post("/api/silences", json=body), 201)
    assert silence["state"] == "current"
    seen = data(await client.post("/api/policies/preview", json={"monitor_id": monitor_id}))["planned"]
    assert [(p["kind"], p["reason"]) for p in seen] == [
        ("hold", f"silence {silence['id']}: moving"),
        ("step", seen[1]["reason"]),
    ]
    assert seen[1]["after_seconds"] in range(3598, 3601)
    path = f"/api/silences/{silence['id']}"
    assert data(await client.patch(path, json={"reason": "still moving"}))["reason"] == "still moving"
    assert data(await client.delete(path))["state"] == "cancelled"
    data(await client.delete(path), 409)
    past = {**body, "ends_at": "2020-01-01T00:00:00Z"}
    assert data(await client.post("/api/silences", json=past), 422)["errors"][0]["field"] == "ends_at"


async def test_why_nobody_was_told_is_a_sentence(client: httpx.AsyncClient, data: Data) -> None:
    monitor_id = await add_monitor(client, data)
    seen = data(await client.get(f"/api/monitors/{monitor_id}/alerts"))
    assert seen["answer"] == "Nobody was told because no incident was open: nothing was decided about it yet."
    assert (seen["incident"], seen["deliveries"], seen["waiting"]) == (None, [], [])


async def test_a_drill_reports_the_time_to_its_acknowledgement(client: httpx.AsyncClient, data: Data) -> None:
    monitor_id = await add_monitor(client, data)
    drill = data(await client.post("/api/drills", json={"monitor_id": monitor_id}), 201)
    assert (drill["state"], drill["seconds_to_acknowledgement"]) == ("running", None)
    data(await client.post("/api/drills", json={"monitor_id": monitor_id}), 409)
    done = data(await client.post(f"/api/drills/{drill['id']}/acknowledge"))
    assert done["state"] == "acknowledged"
    assert 0 <= done["seconds_to_acknowledgement"] < 30
    assert data(await client.get("/api/incidents"))["items"] == [], "it is no incident"
    data(await client.post(f"/api/drills/{drill['id']}/acknowledge"), 409)


async def test_a_link_shows_first_and_acts_once_without_signing_in(
    client: httpx.AsyncClient, stranger: httpx.AsyncClient, browser: Browser, deps: TestDeps, data: Data
) -> None:
    monitor_id = await add_monitor(client, data)
    drill = data(await client.post("/api/drills", json={"monitor_id": monitor_id}), 201)
    url = make_link(deps.box, BASE, AlertLink(f"drill-{drill['id']}", 7, "msg_1"))
    assert url is not None
    page = await stranger.get(url)
    assert (page.status_code, "I am on it" in page.text) == (200, True)
    assert data(await client.get(f"/api/drills/{drill['id']}"))["state"] == "running", (
        "a scanner that opens it acts not"
    )
    silenced = await stranger.post(url, data={"action": "silence", "hours": "4"})
    assert "Silenced for 4 h" in silenced.text
    assert (await stranger.post(url, data={"action": "silence"})).status_code == 409
    done = await browser.http.post(url, data={"action": "acknowledge"})
    assert (done.status_code, "Acknowledged" in done.text) == (200, True)
    after = data(await client.get(f"/api/drills/{drill['id']}"))
    assert (after["state"], after["acknowledged_by"]) == ("acknowledged", "link:channel-7")


async def test_a_link_that_is_not_ours_does_nothing(stranger: httpx.AsyncClient, deps: TestDeps) -> None:
    url = make_link(deps.box, BASE, AlertLink("incident-1", 7, "msg_1"))
    assert url is not None
    for wrong in (url[:-2], url[:-1] + ("A" if url[-1] != "A" else "B"), f"{BASE}/alert/{'x' * 40}"):
        assert (await stranger.get(wrong)).status_code == 404
        assert (await stranger.post(wrong, data={"action": "acknowledge"})).status_code == 404
    assert (await stranger.get(url)).status_code == 404  # no such incident


async def test_parents_exist_and_make_no_circle(client: httpx.AsyncClient, data: Data) -> None:
    router = await add_monitor(client, data, name="Router")
    host = await add_monitor(client, data, name="Host", parents=[router])
    wrong = data(await client.patch(f"/api/monitors/{router}", json={"parents": [host]}), 422)["errors"][0]
    assert (wrong["field"], wrong["message"]) == ("parents", "must not stand behind this monitor themselves")
    missing = data(await client.patch(f"/api/monitors/{host}", json={"parents": [999]}), 422)["errors"][0]
    assert missing["message"] == "names monitor 999, which does not exist"


async def test_the_fallback_channel_is_chosen_and_cleared(client: httpx.AsyncClient, data: Data) -> None:
    channel = await add_channel(client, data, "spare")
    path = "/api/channels/fallback"
    assert data(await client.get(path)) == {"channel_id": None, "name": None}
    assert data(await client.put(path, json={"channel_id": channel})) == {"channel_id": channel, "name": "spare"}
    (error,) = data(await client.put(path, json={"channel_id": 999}), 422)["errors"]
    assert error["field"] == "channel_id"
    assert data(await client.put(path, json={"channel_id": None}))["channel_id"] is None
    events = data(await client.get("/api/events", params={"stream": f"channel-{channel}"}))["items"]
    assert [each["data"].get("changed") for each in events[:2]] == [["fallback"], ["fallback"]]


async def test_the_preview_knows_the_parents_of_parents(
    client: httpx.AsyncClient, data: Data, database: Database
) -> None:
    await add_channel(client, data)
    router = await add_monitor(client, data, name="Router")
    switch = await add_monitor(client, data, name="Switch", parents=[router])
    shop = await add_monitor(client, data, parents=[switch])
    async with database.connection() as connection:
        await connection.execute(
            "insert into health.incidents (id, monitor_id, monitor_name, state, severity, opened_at)"
            " values (1, $1, 'Router', 'open', 'down', now())",
            router,
        )
    seen = data(await client.post("/api/policies/preview", json={"monitor_id": shop}))["planned"]
    assert any("Router, which it stands behind, is down" in each["reason"] for each in seen)


async def test_the_page_of_a_group_shows_exactly_whom_the_message_named(
    client: httpx.AsyncClient, data: Data, database: Database
) -> None:
    channel, monitor = await add_channel(client, data), await add_monitor(client, data)
    async with database.connection() as connection:
        await connection.execute(
            "insert into health.incidents (id, monitor_id, monitor_name, state, severity, opened_at, resolved_at)"
            " select n, $1 + n, 'Host ' || n, 'resolved', 'down', now(), now() from generate_series(1, 4) n",
            monitor,
        )
        delivery = await connection.fetchval(
            "insert into alerting.deliveries (channel_id, moment, dedup_key, thread, message, give_up_at)"
            " values ($1, 'down', 'msg_group', 'group-1', '{}', now()) returning id",
            channel,
        )
        await connection.execute(
            "insert into alerting.delivery_items (delivery_id, position, thread, moment)"
            " values ($1, 1, 'incident-2', 'down'), ($1, 2, 'incident-4', 'behind'), ($1, 3, 'drill-1', 'down')",
            delivery,
        )
    found = data(await client.get("/api/incidents", params={"told_by": "msg_group"}))["items"]
    assert [each["id"] for each in found] == [4, 2]
    assert data(await client.get("/api/incidents", params={"told_by": "another"}))["items"] == []
