"""The list and the page of a monitor, while things happen."""

import re
import time
from collections.abc import Callable, Iterator

import httpx
import pytest
from playwright.sync_api import Page, expect

from tests.e2e.target import Target
from tests.support.up import Up

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(180)]  # the first test waits for a whole Farwatch to start


@pytest.fixture
def failing(target: Target) -> Iterator[Target]:
    target.status = 200
    yield target
    target.status = 200


def test_down_is_shown_live_and_leads_to_the_incident(
    page: Page, failing: Target, make_monitor: Callable[..., int]
) -> None:
    monitor_id = make_monitor(name="Payments", url=f"{failing.url}/pay", retries=0)
    other = make_monitor(name="Zebra", url=f"{failing.url}/zebra", interval_seconds=3600)
    page.goto("/")
    row = page.locator(f"#monitor-{monitor_id}")
    expect(row.locator(".badge")).to_have_text("Up", timeout=15_000)
    before = page.locator(".row[id]").evaluate_all("rows => rows.map((row) => row.id)")
    failing.status = 503
    expect(row.locator(".badge")).to_have_text("Down", timeout=20_000)
    expect(page.locator("#headline")).to_have_text("1 monitor is down")
    expect(row).to_contain_text("503")
    assert page.locator(".row[id]").evaluate_all("rows => rows.map((row) => row.id)") == before
    assert f"monitor-{other}" in before

    page.goto(f"/monitors/{monitor_id}")
    page.get_by_role("link", name="Open incident").click()
    expect(page.locator("#incident-hero .badge")).to_have_text("Down")
    expect(page.locator("#timeline-list li")).not_to_have_count(0)
    expect(page.get_by_role("heading", name="Evidence")).to_be_visible()
    expect(page.locator("#main")).to_contain_text("upstream went away")
    page.get_by_role("button", name="Acknowledge").click()
    expect(page.locator("#incident-hero .badge")).to_have_text("Acknowledged")
    page.get_by_label("Note").fill("Restarting it")
    page.get_by_role("button", name="Add note").click()
    expect(page.locator("#timeline-list")).to_contain_text("Restarting it")
    failing.status = 200
    expect(page.locator("#incident-hero .badge")).to_have_text("Resolved", timeout=25_000)


def test_filters_live_in_the_address(page: Page, target: Target, make_monitor: Callable[..., int]) -> None:
    make_monitor(name="Alpha", url=target.url, tags=["shop"])
    make_monitor(name="Beta", type="port", host="127.0.0.1", port=int(target.url.rsplit(":", 1)[1]))
    page.goto("/")
    page.keyboard.press("/")
    page.keyboard.type("alph")
    expect(page.locator(".row[id]")).to_have_count(1)
    expect(page).to_have_url(re.compile(r"\?q=alph$"))
    page.reload()
    expect(page.locator(".row[id]")).to_have_count(1)
    page.get_by_label("Search monitors").fill("")
    page.get_by_label("Type").select_option("port")
    expect(page.locator(".row[id]")).to_contain_text("Beta")
    expect(page).to_have_url(re.compile(r"\?type=port$"))
    page.goto("/?q=nothing-like-that")
    expect(page.get_by_role("heading", name="No monitor matches")).to_be_visible()


def test_the_heartbeat_bar_is_walked_by_keys(page: Page, target: Target, make_monitor: Callable[..., int]) -> None:
    monitor_id = make_monitor(name="Bar", url=target.url)
    page.goto("/")
    bar = page.locator(f"#monitor-{monitor_id} fw-beats")
    expect(bar.locator(".u")).not_to_have_count(0, timeout=15_000)
    bar.focus()
    page.keyboard.press("ArrowLeft")
    expect(page.locator(".tip")).to_contain_text("Up")
    expect(page.locator(".tip")).to_contain_text("ms")
    expect(bar).to_have_attribute("aria-label", re.compile("Bar: "))


def test_check_now_shows_each_region(page: Page, target: Target, make_monitor: Callable[..., int]) -> None:
    assertion = {"subject": "header.x-cache", "operator": "equals", "value": "MISS", "severity": "degraded"}
    expected = [assertion, {"subject": "status", "operator": "less_than", "value": 300}]
    monitor_id = make_monitor(name="Now", url=target.url, interval_seconds=3600, assertions=expected)
    page.goto(f"/monitors/{monitor_id}")
    expect(page.locator("#hero .badge")).to_have_text("Up", timeout=15_000)
    page.keyboard.press("c")
    expect(page.locator(".region-result")).to_have_count(2, timeout=20_000)
    first = page.locator(".region-result").first
    expect(first.locator(".waterfall-lines li", has_text="First byte")).to_contain_text("ms")
    expect(first.locator(".expectations li")).to_have_text(
        [re.compile("Header x-cache is MISS.*saw HIT"), re.compile("Status code is under 300.*saw 200")]
    )
    expect(first.locator(".facts")).to_contain_text("127.0.0.1")
    expect(page.locator("fw-chart canvas")).to_be_visible()


def plain_page(title: str, script_host: str) -> str:
    return f"<html><head><title>{title}</title></head><body><script src='https://{script_host}/a.js'></script></body></html>"


@pytest.fixture
def shop(target: Target) -> Iterator[Target]:
    target.page = plain_page("Our shop", "cdn.example")
    yield target
    target.page = None


def test_the_content_guard_tells_what_is_new_and_one_click_accepts_it(
    page: Page, api: httpx.Client, shop: Target, make_monitor: Callable[..., int]
) -> None:
    monitor_id = make_monitor(name="Guarded page", url=shop.url, content_guard=True, interval_seconds=3600)

    def check(times: int) -> None:
        for _ in range(times):
            assert api.post(f"/api/monitors/{monitor_id}/check").status_code == 200

    check(3)
    shop.page = plain_page("Our shop", "evil.example")
    check(2)
    page.goto(f"/monitors/{monitor_id}")
    guard = page.get_by_role("region", name="Content guard")
    expect(guard).to_contain_text("A script from evil.example is new on the page")
    expect(page.locator("#hero .badge")).to_have_text("Degraded", timeout=15_000)
    guard.get_by_role("button", name="Accept the new state").click()
    expect(guard).to_contain_text("it counts from the next check on")

    deadline = time.monotonic() + 30
    while api.get(f"/api/monitors/{monitor_id}").json()["data"]["state"] != "up":
        assert time.monotonic() < deadline, "accepted, and still not up"
        check(1)
    page.reload()
    expect(page.locator("#hero .badge")).to_have_text("Up", timeout=15_000)
    expect(page.locator("#guard")).to_be_hidden()
    expect(page.locator("#settings")).to_contain_text("knows the page and watches it")


def test_pause_resume_clone_and_delete(
    page: Page, up: Up, api: httpx.Client, target: Target, make_monitor: Callable[..., int]
) -> None:
    monitor_id = make_monitor(name="Short-lived", url=target.url, tags=["one"])
    page.goto(f"/monitors/{monitor_id}")
    page.get_by_role("button", name="Pause").click()
    expect(page.locator("#hero .badge")).to_have_text("Paused")
    page.get_by_role("button", name="Resume").click()
    expect(page.get_by_role("button", name="Pause")).to_be_visible()
    page.get_by_role("link", name="Clone").click()
    expect(page.get_by_label("Name", exact=True)).to_have_value("Short-lived copy")
    expect(page.get_by_label("URL")).to_have_value(target.url)
    page.goto(f"/monitors/{monitor_id}")
    page.get_by_role("button", name="Delete").click()
    page.get_by_role("button", name="Delete monitor").click()
    expect(page).to_have_url(f"{up.url}/")
    assert api.get(f"/api/monitors/{monitor_id}").status_code == 404


def test_what_is_not_there_is_a_page(page: Page) -> None:
    answer = page.goto("/monitors/999999")
    assert answer is not None
    assert answer.status == 404
    expect(page.get_by_role("heading", name="Not found")).to_be_visible()
