"""What the channel lets Apprise do: which services, and nothing before the first message."""

import asyncio
import importlib
import re
import subprocess
import sys
import threading
from typing import Any

import pytest

from farwatch_events.apprise_urls import SCHEMES
from farwatch_notifier.channels import apprise
from farwatch_notifier.channels.apprise import BusyError, Receipts, Threads, secrets_of
from farwatch_notifier.channels.parts import JOINER, plain_text
from farwatch_notifier.outcome import redact
from tests.unit.notifier.test_looks import HOSTILE, hostile_alert

LOCAL = {"dbus", "kde", "qt", "gio", "glib", "gnome", "windows", "macosx", "blink1", "growl", "syslog"}
READING_FILES = {"fcm", "vapid"}
NEEDING_LIBRARIES = {"mqtt", "mqtts", "smpp", "smpps", "xmpp", "xmpps"}


def test_every_scheme_of_apprise_is_allowed_or_refused_on_purpose() -> None:
    """A new version of Apprise with new services fails here, until somebody has looked at them."""
    apprise.load()
    untyped: Any = importlib.import_module("apprise.manager_plugins")
    manager = untyped.NotificationManager()
    manager.load_modules()
    assert set(manager.schemas()) - SCHEMES == LOCAL | READING_FILES | NEEDING_LIBRARIES
    assert set(manager.schemas()) >= SCHEMES


def test_nothing_of_apprise_is_loaded_before_the_first_message() -> None:
    code = "import farwatch_notifier.app, sys; print([m for m in ('apprise', 'requests') if m in sys.modules])"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=50)
    assert loaded.stdout.strip() == "[]"


def test_apprise_has_no_plugins_of_ours_no_storage_and_no_templates() -> None:
    asset = apprise.load()
    assert (list(asset.plugin_paths), asset.storage_path, asset.storage_mode) == ([], None, "memory")
    assert (asset.http_redirects, asset.async_mode, asset.interpret_escapes) == (False, False, False)


@pytest.mark.parametrize(
    "url",
    [
        "slack://T1JJ3T3L2/A1BRTD4JD/TIiajkdnlazkcOXrIdevi7FQ/#channel",
        "mailto://user%40x:pa%23ssword@smtp.example.org?from=me",
        "json://user:password@h.example/path?+X-Token=topsecret",
    ],
)
def test_keys_of_a_url_are_masked_written_either_way(url: str) -> None:
    said = f"failed {url}: A1BRTD4JD TIiajkdnlazkcOXrIdevi7FQ pa#ssword pa%23ssword password topsecret"
    shown = redact(said, secrets_of(url))
    assert url not in shown
    kept = [word for word in ("A1BRTD4JD", "TIiajkdnlazkcOXrIdevi7FQ", "topsecret") if word in url and word in shown]
    assert kept == []


@pytest.mark.parametrize("text", HOSTILE)
def test_chats_behind_apprise_read_no_mention_and_no_link(text: str) -> None:
    shown = apprise.harmless(plain_text(hostile_alert(text)))
    assert not re.search(r"[@<][^\s\u2060]|\]\(", shown)
    assert shown.replace(JOINER, "") == plain_text(hostile_alert(text)).replace(JOINER, "")


async def test_threads_are_bounded_for_one_and_for_all_and_come_back() -> None:
    threads, gate = Threads(per_key=1, total=2), threading.Event()

    def work() -> str:
        gate.wait(10)
        return "done"

    first = asyncio.create_task(threads.run("a", work, 5))
    second = asyncio.create_task(threads.run("b", work, 5))
    await asyncio.sleep(0.05)
    for key in ("a", "c"):
        with pytest.raises(BusyError):
            await threads.run(key, work, 5)
    gate.set()
    assert (await first, await second) == ("done", "done")
    assert await threads.run("a", work, 5) == "done"


async def test_a_thread_that_takes_too_long_keeps_its_place_until_it_ends() -> None:
    threads, gate = Threads(per_key=1, total=2), threading.Event()

    def slow() -> str:
        gate.wait(10)
        return ""

    with pytest.raises(TimeoutError):
        await threads.run("a", slow, 0.05)
    with pytest.raises(BusyError):
        await threads.run("a", slow, 0.05)
    gate.set()
    for _ in range(100):
        try:
            await threads.run("a", lambda: "", 5)
        except BusyError:
            await asyncio.sleep(0.01)
        else:
            return
    raise AssertionError("its place never came back")


def test_receipts_are_bounded() -> None:
    receipts = Receipts(most=2)
    for number in range(3):
        receipts.add("msg", f"json://h/{number}")
    assert [receipts.has("msg", f"json://h/{number}") for number in range(3)] == [False, True, True]
    assert not receipts.has("other", "json://h/2")
