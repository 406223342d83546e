"""Accessible, in both themes, on a desk and on a phone."""

from collections.abc import Callable
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from tests.e2e.conftest import AXE
from tests.e2e.target import Target

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(180)]  # the first test waits for a whole Farwatch to start

PAGES = (
    "/",
    "/monitors/new",
    "/incidents",
    "/settings/channels",
    "/settings/channels/new?type=email",
    "/settings/maintenance",
    "/settings/regions",
    "/settings/tokens",
    "/settings/account",
)


def violations(page: Page) -> list[str]:
    """Serious and critical findings of axe, as "rule: where"."""
    page.evaluate(AXE.read_text())  # the policy forbids a script tag, the driver may evaluate
    found: dict[str, Any] = page.evaluate(
        "axe.run(document, {resultTypes: ['violations'], runOnly: ['wcag2a', 'wcag2aa', 'wcag21aa', 'best-practice']})"
    )
    return [
        f"{each['id']}: {node['target']} {node['failureSummary']}"
        for each in found["violations"]
        if each["impact"] in ("serious", "critical")
        for node in each["nodes"]
    ]


@pytest.fixture
def filled(target: Target, make_monitor: Callable[..., int]) -> int:
    """A monitor that is up, one that is down and one that is paused; the id of the one down."""
    make_monitor(name="Fine", url=target.url, tags=["shop", "eu"])
    make_monitor(name="Paused one", url=target.url, enabled=False)
    return make_monitor(
        name="A name so long that it would push everything else off the screen if it could " * 2,
        type="port",
        host="127.0.0.1",
        port=1,
        retries=0,
    )


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_no_serious_violation(page: Page, filled: int, theme: Any) -> None:
    page.emulate_media(color_scheme=theme, reduced_motion="reduce")
    page.goto("/")
    expect(page.locator(f"#monitor-{filled} .badge")).to_have_text("Down", timeout=20_000)
    for path in (*PAGES, f"/monitors/{filled}", f"/monitors/{filled}/edit"):
        page.goto(path)
        page.wait_for_timeout(250)
        assert violations(page) == [], path


def test_nothing_scrolls_sideways_on_a_phone(phone: Page, filled: int) -> None:
    phone.goto("/")
    expect(phone.locator(f"#monitor-{filled} .badge")).to_have_text("Down", timeout=20_000)
    incident = phone.request.get(f"/api/incidents?monitor_id={filled}").json()["data"]["items"][0]["id"]
    for path in (*PAGES, f"/monitors/{filled}", f"/monitors/{filled}/edit", f"/incidents/{incident}"):
        phone.goto(path)
        phone.wait_for_timeout(250)
        over = phone.evaluate("document.documentElement.scrollWidth - innerWidth")
        assert over <= 0, f"{path} is {over} px too wide"


def test_a_phone_has_its_bar_at_the_bottom(phone: Page, filled: int) -> None:
    phone.goto("/")
    bar = phone.get_by_role("navigation", name="Main").bounding_box()
    assert bar is not None
    assert bar["y"] > 700
    background = phone.evaluate("getComputedStyle(document.body).backgroundColor")
    assert background == "rgb(12, 16, 23)"


def test_the_theme_is_kept(page: Page) -> None:
    page.goto("/incidents")
    page.get_by_role("button", name="Switch between light and dark").click()
    assert page.evaluate("document.documentElement.dataset.theme") == "dark"
    page.reload()
    assert page.evaluate("document.documentElement.dataset.theme") == "dark"


def test_the_palette_jumps(page: Page, filled: int) -> None:
    page.goto("/incidents")
    page.keyboard.press("Control+k")
    page.keyboard.type("fine")
    expect(page.locator("#palette-list a.on")).to_contain_text("Fine")
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", level=1)).to_have_text("Fine")
