"""One running Farwatch and one Chromium for all browser tests; each test gets a browser context of its own.

They skip with a line where Chromium or the fetched front-end packages are missing, and fail instead when CI=true.
"""

import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest
from playwright.sync_api import Browser, BrowserContext, Page, ViewportSize, sync_playwright

from farwatch_api.web import STATIC
from tests.e2e.target import Target
from tests.support.servers import server_folder
from tests.support.up import Up

ARTIFACTS = Path(__file__).parents[1] / ".artifacts"
AXE = Path(__file__).parents[2] / "node_modules" / "axe-core" / "axe.min.js"
EMAIL, PASSWORD = "ada@example.com", "correct horse battery 9"
FLAGS = [
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
PHONE: ViewportSize = {"width": 390, "height": 844}
DESK: ViewportSize = {"width": 1280, "height": 860}


def missing() -> str | None:
    if chromium() is None:
        return "no Chromium in the path"
    if not (STATIC / "vendor" / "htmx.min.js").is_file() or not AXE.is_file():
        return "the front-end packages are not there: run `make setup` and `npm ci`"
    return None


def chromium() -> str | None:
    return shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")


@pytest.fixture(scope="session", autouse=True)
def _needed() -> None:
    if reason := missing():
        if os.environ.get("CI") == "true":
            pytest.fail(f"browser tests cannot run: {reason}")
        pytest.skip(f"browser tests skipped: {reason}")


@pytest.fixture(scope="session")
def up(_needed: None) -> Iterator[Up]:
    """A fresh `farwatch up` that nobody has set up yet."""
    with server_folder("e2e") as folder:
        farwatch = Up(folder, "--region", "eu", "--region", "us")
        try:
            yield farwatch.wait_ready()
        finally:
            farwatch.stop()


@pytest.fixture(scope="session")
def browser(_needed: None) -> Iterator[Browser]:
    sandbox = ["--no-sandbox"] if os.geteuid() == 0 else []
    with sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=chromium(), args=[*sandbox, *FLAGS])
        yield started
        started.close()


@dataclass(frozen=True)
class FirstVisit:
    """What the person saw who opened the set-up link, and the cookies they left with."""

    link: str
    refused: str
    landed_on: str
    heading: str
    state: Path


@pytest.fixture(scope="session")
def first_visit(up: Up, browser: Browser, tmp_path_factory: pytest.TempPathFactory) -> FirstVisit:
    """The administrator is made in the browser, once: tests run in any order and all need one."""
    link = (up.data_dir / "setup-link").read_text().strip()
    with watched(browser.new_context(base_url=up.url, viewport=DESK), "set-up") as page:
        page.goto(link)
        page.get_by_label("Your name").fill("Ada")
        page.get_by_label("E-mail").fill(EMAIL)
        page.get_by_label("Password").fill(EMAIL)
        page.get_by_role("button", name="Create").click()
        refused = page.get_by_role("alert").inner_text()
        page.get_by_label("Password").fill(PASSWORD)
        page.get_by_role("button", name="Create").click()
        heading = page.get_by_role("heading", level=1, name="What should Farwatch watch?").inner_text()
        state = tmp_path_factory.mktemp("browser") / "state.json"
        page.context.storage_state(path=state)
        return FirstVisit(link, refused, page.url, heading, state)


@contextmanager
def watched(context: BrowserContext, name: str) -> Iterator[Page]:
    """A page whose script errors and refusals by the policy fail the test; what it looked like is kept."""
    page = context.new_page()
    page.set_default_timeout(15_000)
    faults: list[str] = []
    page.on("pageerror", lambda error: faults.append(str(error)))
    page.on("console", lambda m: faults.append(m.text) if "Content Security Policy" in m.text else None)
    try:
        yield page
    finally:
        ARTIFACTS.mkdir(exist_ok=True)
        page.screenshot(path=ARTIFACTS / f"{name}.png", full_page=True)
        context.close()
    assert faults == []


@pytest.fixture
def page(up: Up, browser: Browser, first_visit: FirstVisit, request: pytest.FixtureRequest) -> Iterator[Page]:
    """Signed in, at a desk, in light."""
    context = browser.new_context(base_url=up.url, storage_state=first_visit.state, viewport=DESK)
    with watched(context, request.node.name) as opened:
        yield opened


@pytest.fixture
def phone(up: Up, browser: Browser, first_visit: FirstVisit, request: pytest.FixtureRequest) -> Iterator[Page]:
    """Signed in, on a phone, in the dark."""
    context = browser.new_context(
        base_url=up.url,
        storage_state=first_visit.state,
        viewport=PHONE,
        has_touch=True,
        color_scheme="dark",
    )
    with watched(context, request.node.name) as opened:
        yield opened


@pytest.fixture(scope="session")
def target(_needed: None) -> Iterator[Target]:
    with Target() as started:
        yield started


@pytest.fixture
def api(up: Up, first_visit: FirstVisit) -> Iterator[httpx.Client]:
    with up.client() as client:
        yield client


@pytest.fixture
def make_monitor(api: httpx.Client) -> Iterator[Callable[..., int]]:
    """Makes a monitor and deletes it after the test, so that tests do not see each other's."""
    made: list[int] = []

    def make(**fields: object) -> int:
        answer = api.post("/api/monitors", json={"interval_seconds": 5, "type": "http", **fields})
        assert answer.status_code == 201, answer.text
        made.append(answer.json()["data"]["id"])
        return made[-1]

    yield make
    for monitor_id in made:
        api.delete(f"/api/monitors/{monitor_id}")
