"""Forms: errors stand at their fields, input stays, what is saved is what was written."""

import re
from collections.abc import Callable, Iterator

import httpx
import pytest
from playwright.sync_api import Page, expect

from tests.e2e.target import Target

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(180)]  # the first test waits for a whole Farwatch to start


def test_errors_stand_at_their_fields_and_input_stays(page: Page) -> None:
    page.goto("/monitors/new")
    page.get_by_label("URL").fill("ftp://example.com")
    page.get_by_label("Name", exact=True).fill("Wrong")
    page.get_by_label("Check every").fill("0")
    page.get_by_role("button", name="Start watching").click()
    expect(page.locator('[data-field="url"] .error')).to_contain_text(
        "must start with http:// or https://", ignore_case=True
    )
    expect(page.locator('[data-field="interval_seconds"] .error')).to_contain_text("at least 5")
    expect(page.get_by_label("URL")).to_have_value("ftp://example.com")
    expect(page.get_by_label("URL")).to_have_attribute("aria-invalid", "true")
    expect(page.get_by_label("URL")).to_be_focused()


def test_a_folded_field_with_an_error_opens(page: Page) -> None:
    page.goto("/monitors/new")
    page.get_by_label("URL").fill("http://example.com")
    page.get_by_text("What counts as up").click()
    page.get_by_label("Accepted status codes").fill("ninety")
    page.get_by_text("What counts as up").click()
    page.get_by_role("button", name="Start watching").click()
    expect(page.get_by_label("Accepted status codes")).to_be_visible()
    expect(page.locator('[data-field="expected_status"] .error')).to_contain_text("ninety")


def test_each_type_shows_its_own_fields(page: Page) -> None:
    page.goto("/monitors/new")
    for kind, shown, hidden in (
        ("Ping", "host", "url"),
        ("TCP port", "port", "url"),
        ("DNS", "record_type", "port"),
        ("Push", "grace_seconds", "host"),
    ):
        page.get_by_role("radio", name=kind, exact=True).check()
        expect(page.locator(f'[data-field="{shown}"]')).to_be_visible()
        expect(page.locator(f'[data-field="{hidden}"]')).to_be_hidden()


def test_editing_saves_what_was_written_and_keeps_the_rest(
    page: Page, api: httpx.Client, target: Target, make_monitor: Callable[..., int]
) -> None:
    monitor_id = make_monitor(
        name="Edited",
        url=target.url,
        headers={"Authorization": "Bearer abc", "Accept": "text/html"},
        tags=["a"],
        retries=3,
        forbidden_text="two\nlines",
    )
    page.goto(f"/monitors/{monitor_id}/edit")
    assert api.patch(f"/api/monitors/{monitor_id}", json={"interval_seconds": 7}).status_code == 200, "somebody else"
    page.get_by_label("Name", exact=True).fill("Edited twice")
    page.get_by_label("Tags").fill("a, b")  # its section is open: a tag is set
    page.get_by_role("button", name="Save changes").click()
    expect(page).to_have_url(re.compile(rf"/monitors/{monitor_id}$"))
    saved = api.get(f"/api/monitors/{monitor_id}").json()["data"]
    assert (saved["name"], saved["tags"], saved["retries"]) == ("Edited twice", ["a", "b"], 3)
    assert (saved["forbidden_text"], saved["interval_seconds"]) == ("two\nlines", 7), "untouched fields are not sent"
    assert saved["headers"] == {"Authorization": "********", "Accept": "text/html"}


def test_options_survive_editing_and_cloning(
    page: Page, api: httpx.Client, target: Target, make_monitor: Callable[..., int]
) -> None:
    port = int(target.url.rsplit(":", 1)[1])
    monitor_id = make_monitor(name="Four", type="port", host="127.0.0.1", port=port, ip_family="ipv4")
    page.goto(f"/monitors/{monitor_id}/edit")
    page.get_by_label("Name", exact=True).fill("Four only")
    page.get_by_role("button", name="Save changes").click()
    expect(page).to_have_url(re.compile(rf"/monitors/{monitor_id}$"))
    page.get_by_role("link", name="Clone").click()
    page.get_by_role("button", name="Start watching").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Four only copy")
    copied = int(page.url.rsplit("/", 1)[1])
    answers = [api.get(f"/api/monitors/{each}").json()["data"]["ip_family"] for each in (monitor_id, copied)]
    api.delete(f"/api/monitors/{copied}")
    assert answers == ["ipv4", "ipv4"]


def test_assertions_are_edited_in_rows_and_a_wrong_one_says_so(
    page: Page, api: httpx.Client, target: Target, make_monitor: Callable[..., int]
) -> None:
    kept = {"subject": "body.json.queue", "operator": "equals", "value": 3, "severity": "degraded"}
    gone = {"subject": "header.x-cache", "operator": "one_of", "value": ["HIT", "MISS"], "severity": "down"}
    monitor_id = make_monitor(name="Rows", url=target.url, assertions=[gone, kept], interval_seconds=3600)
    page.goto(f"/monitors/{monitor_id}/edit")
    rows = page.locator("[data-row]")
    expect(rows).to_have_count(2)
    rows.nth(0).get_by_role("button", name="Remove this assertion").click()
    page.get_by_role("button", name="Add an assertion").click()
    rows.nth(1).get_by_label("Of what").select_option(label="Status code")
    rows.nth(1).get_by_label("How", exact=True).select_option(label="is one of")
    rows.nth(1).get_by_role("textbox", name="Value").fill("teapot")
    page.get_by_role("button", name="Save changes").click()
    expect(rows.nth(1).locator(".error")).to_contain_text("must be a code such as 200", ignore_case=True)
    expect(rows.nth(1).get_by_role("textbox", name="Value")).to_be_focused()
    rows.nth(1).get_by_role("textbox", name="Value").fill("200, 418")
    page.get_by_role("button", name="Save changes").click()
    expect(page).to_have_url(re.compile(rf"/monitors/{monitor_id}$"))
    saved = api.get(f"/api/monitors/{monitor_id}").json()["data"]["assertions"]
    added = {"subject": "status", "operator": "one_of", "value": ["200", "418"], "severity": "down"}
    assert saved == [kept, added]


def test_secrets_are_kept_replaced_and_removed_and_the_body_is_one_of_its_kinds(
    page: Page, api: httpx.Client, target: Target, make_monitor: Callable[..., int]
) -> None:
    monitor_id = make_monitor(
        name="Guarded",
        url=target.url,
        interval_seconds=3600,
        auth={"type": "basic", "username": "ada", "password": "pass-phrase-1"},
        proxy="http://127.0.0.1:9",
        proxy_username="me",
        proxy_password="pass-phrase-2",
    )
    answer = page.goto(f"/monitors/{monitor_id}/edit")
    assert answer is not None
    assert "pass-phrase" not in answer.text()
    page.get_by_label("Body", exact=True).select_option("json")
    expect(page.get_by_label("Method")).to_have_value("POST")
    page.get_by_label("JSON", exact=True).fill("{not json")
    page.get_by_role("button", name="Remove: Proxy’s password").click()
    page.get_by_role("button", name="Save changes").click()
    expect(page.locator('[data-field="json"] .error')).to_contain_text("not JSON")
    page.get_by_label("JSON", exact=True).fill('{"a": [1]}')
    page.get_by_role("button", name="Save changes").click()
    expect(page).to_have_url(re.compile(rf"/monitors/{monitor_id}$"))
    saved = api.get(f"/api/monitors/{monitor_id}").json()["data"]
    assert (saved["json"], saved["body"], saved["proxy_username"]) == ({"a": [1]}, None, "me")
    assert (saved["auth"]["password"], saved["proxy_password"]) == ("********", "")


@pytest.fixture
def no_channels(api: httpx.Client) -> Iterator[None]:
    yield
    for channel in api.get("/api/channels").json()["data"]["items"]:
        api.delete(f"/api/channels/{channel['id']}")


def test_a_channel_is_added_and_tested(page: Page, target: Target, no_channels: None) -> None:
    page.goto("/settings/channels")
    page.get_by_role("link", name="Webhook").click()
    page.get_by_label("Name", exact=True).fill("Hook")
    page.get_by_role("button", name="Add channel").click()
    expect(page.locator('[data-field="config.url"] .error')).to_be_visible()
    page.get_by_label("URL", exact=True).fill(f"{target.url}/hook")
    page.get_by_role("button", name="Add channel").click()
    expect(page).to_have_url(re.compile(r"/settings/channels/\d+"))
    page.get_by_role("button", name="Send me a test").click()
    expect(page.locator("[data-test-state]")).to_have_text("Delivered", timeout=20_000)
    expect(page.locator("#test-result")).to_contain_text("200")
    assert any(path == "/hook" for path, _ in target.received)


def test_a_token_is_shown_once(page: Page, api: httpx.Client) -> None:
    page.goto("/settings/tokens")
    page.get_by_label("Name", exact=True).fill("Deploys")
    page.get_by_role("button", name="Create token").click()
    token = page.locator("[data-token]")
    expect(token).to_be_visible()
    answer = httpx.get(
        f"{api.base_url}/api/status", headers={"Authorization": f"Bearer {token.inner_text()}"}, trust_env=False
    )
    assert answer.status_code == 200
    page.reload()
    expect(page.locator("#new-token")).to_be_hidden()
    expect(page.locator(".setting", has_text="Deploys")).to_be_visible()


def test_a_maintenance_window_is_planned_and_ended(
    page: Page, target: Target, make_monitor: Callable[..., int]
) -> None:
    monitor_id = make_monitor(name="Under repair", url=target.url)
    page.goto("/settings/maintenance")
    page.get_by_label("Name", exact=True).fill("Upgrade")
    page.get_by_label("Begins").fill("2020-01-01T10:00")
    page.get_by_label("Ends").fill("2099-01-01T10:00")
    page.get_by_label("These monitors").select_option(str(monitor_id))
    page.get_by_role("button", name="Plan it").click()
    expect(page.locator(".setting", has_text="Upgrade")).to_contain_text("Now")
    page.goto(f"/monitors/{monitor_id}")
    expect(page.locator("#hero .badge")).to_have_text("Maintenance")
    page.goto("/settings/maintenance")
    page.get_by_role("button", name="End now").click()
    page.get_by_role("button", name="End it").click()
    expect(page.locator(".setting", has_text="Upgrade")).to_contain_text("Cancelled")
