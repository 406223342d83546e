"""Every channel type through its form and the API: fields on the page, secrets stored encrypted and shown masked."""

import html
import re
from typing import Any

import httpx
import pytest

from farwatch_api.presentation.fields import channel_fields
from farwatch_api.presentation.words import CHANNEL_WORDS
from farwatch_events.channels import CHANNEL_TYPES, secret_fields
from farwatch_events.masking import MASK
from tests.integration.api.conftest import Browser, TestDeps
from tests.unit.events.test_channels import FULL, SIGNING_SECRET


def controls(page: str) -> dict[str, str]:
    """Name and tag of each control of a channel's configuration."""
    found = re.findall(r'<(input|textarea|select)[^>]* name="config\.(\w+)"', page)
    return {name: tag for tag, name in found}


@pytest.mark.parametrize("kind", CHANNEL_TYPES)
async def test_the_form_has_every_field_and_what_it_sends_is_kept(kind: str, browser: Browser, deps: TestDeps) -> None:
    blank = (await browser.http.get(f"/settings/channels/new?type={kind}")).text
    assert f"New {CHANNEL_WORDS[kind]} channel" in html.unescape(blank)
    shown = controls(blank)
    assert set(shown) == set(CHANNEL_TYPES[kind].model_fields)
    areas = {name for name, tag in shown.items() if tag == "textarea"}
    assert areas == {"webhook": {"headers", "body"}, "apprise": {"urls"}}.get(kind, set())

    created = await browser.http.post(
        "/api/channels", json={"name": "Ops", "type": kind, "config": FULL[kind]}, headers=browser.headers()
    )
    assert created.status_code == 201, created.text
    channel = created.json()["data"]
    edit = html.unescape((await browser.http.get(f"/settings/channels/{channel['id']}")).text)
    assert MASK in edit
    assert "hush" not in edit
    assert SIGNING_SECRET not in edit
    async with deps.direct() as connection:
        stored = await connection.fetchval("select config::text from config.channels where id = $1", channel["id"])
    assert "hush" not in stored
    assert stored.count("enc:v1:") >= len([name for name in secret_fields(kind) if FULL[kind].get(name)])


def test_a_field_that_may_be_left_out_keeps_its_kind() -> None:
    fields = {field.name: field for kind in CHANNEL_TYPES for field in channel_fields(kind, {})}
    assert (fields["message_thread_id"].kind, fields["message_thread_id"].value) == ("number", "")
    assert (fields["to_email"].kind, fields["headers"].kind, fields["method"].kind) == ("text", "pairs", "choice")
    assert (fields["urls"].multiline, fields["body"].multiline, fields["url"].multiline) == (True, True, False)


@pytest.mark.parametrize(
    ("kind", "change", "field"),
    [
        ("webhook", {"body": "{{nobody}}"}, "config.body"),
        ("webhook", {"method": "GET"}, "config.body"),
        ("apprise", {"urls": "dbus://"}, "config.urls"),
        ("apprise", {"urls": ["json://h", "file:///etc/passwd"]}, "config.urls"),
        ("pagerduty", {"routing_key": "short"}, "config.routing_key"),
        ("telegram", {"chat_id": "Operations"}, "config.chat_id"),
    ],
)
async def test_what_cannot_work_is_refused_at_its_field(
    kind: str, change: dict[str, Any], field: str, client: httpx.AsyncClient
) -> None:
    answer = await client.post("/api/channels", json={"name": "Ops", "type": kind, "config": FULL[kind] | change})
    assert answer.status_code == 422
    assert field in answer.text


async def test_a_masked_list_of_urls_keeps_them_and_a_new_one_replaces_them(
    client: httpx.AsyncClient, deps: TestDeps
) -> None:
    body = {"name": "Ops", "type": "apprise", "config": FULL["apprise"]}
    channel = (await client.post("/api/channels", json=body)).json()["data"]
    assert channel["config"] == {"urls": MASK}
    path = f"/api/channels/{channel['id']}"
    async with deps.direct() as connection:
        query = "select config->>'urls' from config.channels where id = $1"
        before = await connection.fetchval(query, channel["id"])
        await client.put(path, json=body | {"name": "Night", "config": {"urls": MASK}})
        assert await connection.fetchval(query, channel["id"]) == before
        await client.put(path, json=body | {"config": {"urls": ["json://h.example/x"]}})
        after = await connection.fetchval(query, channel["id"])
    assert deps.box.decrypt(after) == "json://h.example/x"
