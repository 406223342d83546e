"""From the set-up link to a monitor that is checked live."""

import re
from collections.abc import Iterator

import httpx
import pytest
from playwright.sync_api import Browser, Page, expect

from tests.e2e.conftest import DESK, EMAIL, PASSWORD, FirstVisit, watched
from tests.e2e.target import Target
from tests.support.up import Up

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(180)]  # the first test waits for a whole Farwatch to start


def test_set_up_makes_the_administrator_and_leads_to_the_box(up: Up, first_visit: FirstVisit) -> None:
    assert "password" in first_visit.refused.lower()
    assert first_visit.landed_on == f"{up.url}/"
    assert first_visit.heading == "What should Farwatch watch?"


def test_the_set_up_link_works_once(up: Up, first_visit: FirstVisit) -> None:
    answer = httpx.get(first_visit.link, trust_env=False, timeout=10)
    assert answer.status_code == 403
    assert "no longer good" in answer.text


def test_signing_in_keeps_where_one_wanted_to_go(up: Up, browser: Browser, first_visit: FirstVisit) -> None:
    with watched(browser.new_context(base_url=up.url, viewport=DESK), "sign-in") as page:
        page.goto("/settings/tokens")
        expect(page).to_have_url(re.compile("/sign-in"))
        page.get_by_label("E-mail").fill(EMAIL)
        page.get_by_label("Password").fill("not the password")
        page.get_by_role("button", name="Sign in").click()
        expect(page.get_by_role("alert")).to_contain_text("wrong")
        page.get_by_label("E-mail").fill(EMAIL)
        page.get_by_label("Password").fill(PASSWORD)
        page.get_by_role("button", name="Sign in").click()
        expect(page).to_have_url(f"{up.url}/settings/tokens")


@pytest.fixture
def emptied(api: httpx.Client) -> Iterator[None]:
    """Whatever the test creates in the browser goes afterwards."""
    yield
    for monitor in api.get("/api/monitors", params={"limit": 100}).json()["data"]["items"]:
        api.delete(f"/api/monitors/{monitor['id']}")


def test_quick_add_recognises_creates_and_shows_the_first_result_live(
    page: Page, target: Target, emptied: None
) -> None:
    page.goto("/")
    if page.get_by_role("button", name="Quick add").is_visible():
        page.get_by_role("button", name="Quick add").click()
    port = target.url.rsplit(":", 1)[1]
    page.get_by_label("URLs or hosts to watch").fill(f"{target.url}/shop, 127.0.0.1:{port}\n127.0.0.1 not//a|host<>")
    found = page.locator(".quick-found li")
    expect(found).to_have_count(4)
    expect(found.nth(0)).to_contain_text("HTTP")
    expect(found.nth(2).locator("option").first).to_have_text("Ping")
    page.get_by_label("URLs or hosts to watch").fill(f"{target.url}/shop, 127.0.0.1:{port}")
    page.get_by_role("button", name="Watch all 2").click()
    shop = page.locator(".row", has_text="/shop")
    expect(shop.locator(".badge")).to_have_text("Up", timeout=15_000)
    expect(shop.locator("[data-latency]")).to_have_text(re.compile(r"\d ms"))
    expect(shop.locator("fw-beats .u")).not_to_have_count(0)
    expect(page.locator(".row", has_text=f"127.0.0.1:{port}").locator(".badge").first).to_have_text("Up")
    expect(page.locator("#live")).to_have_attribute("data-state", "live")


def test_one_url_leads_to_its_page(page: Page, target: Target, emptied: None) -> None:
    page.goto("/")
    if page.get_by_role("button", name="Quick add").is_visible():
        page.get_by_role("button", name="Quick add").click()
    page.get_by_label("URLs or hosts to watch").fill(f"{target.url}/only")
    page.get_by_role("button", name="Start watching").click()
    expect(page).to_have_url(re.compile(r"/monitors/\d+$"))
    expect(page.locator("#hero .badge")).to_have_text("Up", timeout=15_000)
