"""Policies, silences, drills and why somebody was told, in a browser."""

from collections.abc import Callable, Iterator

import httpx
import pytest
from playwright.sync_api import Page, expect

from tests.e2e.target import Target
from tests.e2e.test_looks import violations

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(180)]

PAGES = ("/settings/policies", "/settings/policies/new", "/settings/silences", "/settings/drills")


@pytest.fixture
def channel(api: httpx.Client, target: Target) -> Iterator[int]:
    body = {"name": "Pager <b>", "type": "webhook", "config": {"url": target.url}}
    made = int(api.post("/api/channels", json=body).json()["data"]["id"])
    yield made
    api.delete(f"/api/channels/{made}")


@pytest.fixture
def shop(make_monitor: Callable[..., int], target: Target) -> int:
    return make_monitor(name="Shop", url=target.url, tags=["shop"], interval_seconds=60)


def ready(page: Page) -> None:
    """The scripts of the page have taken over: a click before that does nothing."""
    expect(page.locator("button[data-ready]").last).to_be_enabled(timeout=15_000)


def test_a_policy_is_written_seen_in_the_preview_and_changed(
    page: Page, api: httpx.Client, channel: int, shop: int
) -> None:
    page.goto("/settings/policies/new")
    page.get_by_label("Name").fill("Nights")
    page.get_by_label("Monitors with one of the tags").fill("shop")
    page.get_by_label("Wait before the first alert").fill("2")
    ready(page)
    page.get_by_role("button", name="Add a step").click()
    second = page.locator("[data-rows=steps] [data-row-item]").nth(1)
    second.get_by_label("Tell").select_option(str(channel))
    page.locator("summary", has_text="Quiet hours").click()
    page.get_by_role("button", name="Add quiet hours").click()
    page.get_by_label("By the clock of").fill("Nowhere")
    page.get_by_role("button", name="Add policy").click()
    expect(page.locator("#e-time_zone")).to_contain_text("is not a time zone")
    page.get_by_label("By the clock of").fill("Europe/Berlin")
    page.get_by_role("button", name="Add policy").click()
    expect(page.get_by_role("link", name="Nights")).to_be_visible()
    (stored,) = api.get("/api/policies").json()["data"]["items"]
    try:
        assert (stored["match"]["tags"], stored["delay_seconds"]) == (["shop"], 120)
        assert [step["after_seconds"] for step in stored["steps"]] == [0, 600]
        assert stored["steps"][1]["target"]["channels"] == [channel]
        assert stored["quiet"][0]["starts"] == "22:00"
        assert stored["grouping"] is None
        page.get_by_label("When this monitor").select_option(str(shop))
        page.get_by_role("button", name="Show").click()
        expect(page.locator(".ahead li").first).to_be_visible()
        expect(page.locator(".ahead")).to_contain_text("Pager <b>")
        page.get_by_role("link", name="Nights").click()
        page.get_by_label("Name").fill("Days")
        page.get_by_role("button", name="Save").click()
        expect(page.get_by_role("link", name="Days")).to_be_visible()
        assert api.get(f"/api/policies/{stored['id']}").json()["data"]["steps"] == stored["steps"]
    finally:
        api.delete(f"/api/policies/{stored['id']}")


def test_moments_of_a_policy_are_chosen_and_the_preview_shows_who_hears_of_them(
    page: Page, api: httpx.Client, channel: int, shop: int
) -> None:
    page.goto("/settings/policies/new")
    ready(page)
    page.get_by_label("Name").fill("Early birds")
    page.locator("summary", has_text="At which moments").click()
    expect(page.get_by_label("It has recovered")).to_be_hidden()
    page.get_by_label("Whose choice").select_option("own")
    page.get_by_label("It has recovered").uncheck()
    page.get_by_label("It is still open").uncheck()
    page.get_by_label("A check fails first, unconfirmed").check()
    page.get_by_role("button", name="Add policy").click()
    expect(page.get_by_role("link", name="Early birds")).to_be_visible()
    (stored,) = api.get("/api/policies").json()["data"]["items"]
    try:
        assert stored["moments"] == ["down", "degraded", "first_failure"]
        expect(page.locator(".setting")).to_contain_text(
            "only when it is down or it is degraded or a check fails first"
        )
        page.get_by_label("When this monitor").select_option(str(shop))
        page.get_by_role("button", name="Show").click()
        heard = page.locator("#preview-moments dd")
        expect(heard.nth(0)).to_contain_text("Pager <b>")
        expect(heard.nth(2)).to_contain_text("Nobody")
        expect(heard.nth(2)).to_contain_text("the policy does not take the moment up")
        expect(heard.nth(3).locator("b")).to_have_text("Pager <b>")
        assert violations(page) == []
        page.get_by_role("link", name="Early birds").click()
        ready(page)
        expect(page.get_by_label("A check fails first, unconfirmed")).to_be_checked()
        page.get_by_label("Whose choice").select_option("")
        page.get_by_role("button", name="Save").click()
        expect(page.get_by_role("link", name="Early birds")).to_be_visible()
        assert api.get(f"/api/policies/{stored['id']}").json()["data"]["moments"] is None
    finally:
        api.delete(f"/api/policies/{stored['id']}")


def test_a_silence_is_added_and_ended(page: Page, shop: int) -> None:
    page.goto("/settings/silences")
    page.get_by_label("Why").fill("Moving the rack")
    page.get_by_label("Until").fill("2035-01-01T10:00")
    page.get_by_label("These monitors").select_option(str(shop))
    page.get_by_role("button", name="Silence", exact=True).click()
    row = page.locator(".setting", has_text="Moving the rack")
    expect(row).to_contain_text("Shop")
    ready(page)
    row.get_by_role("button", name="End now").click()
    page.get_by_role("button", name="End it").click()
    expect(row.locator(".badge")).to_have_text("Ended", timeout=15_000)


def test_a_drill_is_started_and_says_how_long_a_human_took(page: Page, channel: int, shop: int) -> None:
    page.goto("/settings/drills")
    page.get_by_label("As if this were down").select_option(str(shop))
    page.get_by_role("button", name="Start the drill").click()
    row = page.locator(".setting", has_text="Shop").first
    expect(row.locator(".badge")).to_have_text("Running", timeout=15_000)
    ready(page)
    row.get_by_role("button", name="Acknowledge").click()
    expect(row.locator(".badge")).to_have_text("Acknowledged", timeout=15_000)
    expect(row).to_contain_text("a human after")


def test_who_was_told_and_who_was_not(
    page: Page, api: httpx.Client, channel: int, make_monitor: Callable[..., int]
) -> None:
    monitor = make_monitor(name="Gone", type="port", host="127.0.0.1", port=1, retries=0)
    page.goto("/")
    expect(page.locator(f"#monitor-{monitor} .badge")).to_have_text("Down", timeout=30_000)
    page.goto(f"/monitors/{monitor}/alerts")
    expect(page.locator("#answer .answer")).to_contain_text("Incident")
    incident = api.get("/api/incidents", params={"monitor_id": monitor}).json()["data"]["items"][0]["id"]
    page.goto(f"/incidents/{incident}")
    row = page.locator("#deliveries details").first
    row.locator("summary").click()
    expect(row.locator(".chain")).to_contain_text("Decided")
    page.locator("#deliveries").evaluate("part => { part.dataset.before = 'yes' }")
    expect(page.locator("#deliveries")).not_to_have_attribute("data-before", "yes", timeout=30_000)  # it came again
    expect(row.locator(".chain")).to_be_visible()
    assert violations(page) == []


def test_the_pages_are_accessible_and_fit_a_phone(phone: Page, channel: int, shop: int) -> None:
    for path in (*PAGES, f"/settings/policies?monitor={shop}", f"/monitors/{shop}/alerts"):
        phone.goto(path)
        phone.wait_for_timeout(250)
        assert phone.evaluate("document.documentElement.scrollWidth - innerWidth") <= 0, path
        assert violations(phone) == [], path
