"""Mails as a browser reads them: what they look like is kept beside the other pictures."""

import pytest
from playwright.sync_api import Browser

from farwatch_notifier.channels.email_body import render_html
from farwatch_notifier.message import Alert, Member, build_group, sample_alert
from tests.e2e.conftest import ARTIFACTS, DESK, PHONE
from tests.unit.notifier.samples import NOW_MS
from tests.unit.notifier.test_looks import HOSTILE, hostile_alert, plain_alert, recovery

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(120)]

PUBLIC = "https://watch.example"
LONG = "checkout-api.eu-central-1.internal.shop.example (blue/green, behind the second load balancer)"
_ELEMENTS = "[...document.querySelectorAll('*')].map((e) => `${e.tagName} ${e.getAttributeNames()}`)"


def with_links(alert: Alert) -> Alert:
    return alert.model_copy(
        update={"acknowledge_link": f"{PUBLIC}/alert/abc", "silence_link": f"{PUBLIC}/alert/abc?do=silence"}
    )


def group() -> Alert:
    members = [Member(name=f"server-{n:02d}.example", moment="down", incident_id=n, since_ms=NOW_MS) for n in range(40)]
    return build_group("group_down", "Rack 7", "group-1", members, NOW_MS, PUBLIC, "msg_1")


def test_mails_fit_a_desk_in_light_and_a_phone_in_the_dark(browser: Browser) -> None:
    shown = {
        "down": with_links(plain_alert(monitor_name=LONG)),
        "up": recovery(),
        "group": group(),
        "test": sample_alert("Ops", NOW_MS, PUBLIC),
        "unbroken": with_links(hostile_alert("x" * 1000)),
    }
    ARTIFACTS.mkdir(exist_ok=True)
    for size, scheme in ((DESK, "light"), (PHONE, "dark")):
        page = browser.new_page(viewport=size, color_scheme=scheme)  # type: ignore[arg-type]
        for name, alert in shown.items():
            page.set_content(render_html(alert))
            page.screenshot(path=ARTIFACTS / f"mail-{name}-{scheme}.png", full_page=True)
            assert page.evaluate("document.documentElement.scrollWidth - innerWidth") <= 0, (name, scheme)
        page.close()


def test_a_browser_finds_no_element_in_a_mail_but_ours(browser: Browser) -> None:
    page = browser.new_page()
    page.set_content(render_html(with_links(plain_alert())))
    ours = page.evaluate(_ELEMENTS)
    for text in HOSTILE:
        alert = with_links(hostile_alert(text))
        page.set_content(render_html(alert))
        assert page.evaluate(_ELEMENTS) == ours, text[:80]
        assert page.locator("h1").inner_text().strip() == alert.title
    page.close()
