"""The commands against a running Farwatch: apply, export, monitors, check and demo."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from tests.support.servers import server_folder
from tests.support.up import Up, clean_environment

pytestmark = pytest.mark.timeout(150)

FILE = """
monitors:
  - {name: Web, type: http, url: "http://127.0.0.1:9/", interval_seconds: 30, headers: {X-Token: hush}}
  - {name: Port, type: port, host: 127.0.0.1, port: 9, tags: [a, b]}
"""


@pytest.fixture(scope="module")
def up() -> Iterator[Up]:
    with server_folder("commands") as folder:
        running = Up(folder)
        try:
            yield running.wait_ready()
        finally:
            running.stop()


@pytest.fixture(autouse=True)
def no_monitors(up: Up) -> None:
    """Each test begins with none, whatever order they run in."""
    with up.client() as client:
        for monitor in client.get("/api/monitors").json()["data"]["items"]:
            assert client.delete(f"/api/monitors/{monitor['id']}").is_success


def farwatch(up: Up, *arguments: str, stdin: str | None = None) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [sys.executable, "-m", "farwatch_cli", *arguments],
        cwd=up.folder,
        env=clean_environment(FARWATCH_DATA_DIR=str(up.data_dir), COLUMNS="200"),
        input=stdin,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def apply(up: Up, text: str, *options: str) -> "subprocess.CompletedProcess[str]":
    return farwatch(up, "apply", "-f", "-", "--yes", *options, stdin=text)


def test_apply_is_repeatable_and_export_gives_it_back(up: Up) -> None:
    first = apply(up, FILE)
    assert first.returncode == 0, first.stderr
    assert first.stdout.splitlines()[:2] == ["+ Web (http)", "+ Port (port)"]

    second = apply(up, FILE)
    assert second.returncode == 0
    assert "0 to create, 0 to change, 0 to delete, 2 unchanged." in second.stdout
    assert "hush" not in second.stdout

    exported = farwatch(up, "export").stdout
    assert "hush" not in exported
    assert [monitor["name"] for monitor in yaml.safe_load(exported)["monitors"]] == ["Port", "Web"]
    assert "0 to create, 0 to change, 0 to delete, 2 unchanged." in apply(up, exported).stdout


def test_apply_changes_and_prunes(up: Up) -> None:
    assert apply(up, FILE).returncode == 0
    changed = apply(up, FILE.replace("interval_seconds: 30", "interval_seconds: 45"))
    assert "    interval_seconds: 30 -> 45" in changed.stdout
    pruned = apply(up, "monitors: [{name: Port, type: port, host: 127.0.0.1, port: 9, tags: [a, b]}]", "--prune")
    assert "- Web (http)" in pruned.stdout
    listed = farwatch(up, "monitors").stdout
    assert "Port" in listed
    assert "Web" not in listed


def test_apply_asks_before_it_changes(up: Up) -> None:
    declined = farwatch(up, "apply", "-f", "-", stdin=FILE)
    assert declined.returncode == 1
    assert "Nothing was changed." in declined.stdout
    assert "Web" not in farwatch(up, "monitors").stdout


def test_a_bad_file_is_one_line_and_exit_2(up: Up) -> None:
    done = apply(up, "monitors: [{name: a, type: http, url: 'ftp://x'}]")
    assert done.returncode == 2
    assert len(done.stderr.strip().splitlines()) == 1
    assert "must start with http://" in done.stderr


def test_check_tells_what_each_region_saw(up: Up) -> None:
    port = up.url.rsplit(":", 1)[1]
    assert apply(up, f"monitors: [{{name: Self, type: port, host: 127.0.0.1, port: {port}}}]").returncode == 0
    done = farwatch(up, "check", "Self")
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.startswith("local ")
    assert farwatch(up, "check", "Nobody").returncode == 1


def test_the_demo_comes_alive_and_goes_away(up: Up) -> None:
    demo = subprocess.Popen(
        [sys.executable, "-m", "farwatch_cli", "demo"],
        cwd=up.folder,
        env=clean_environment(FARWATCH_DATA_DIR=str(up.data_dir), PYTHONUNBUFFERED="1"),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    try:
        assert demo.stdout is not None
        assert "demo target serves on" in demo.stdout.readline()
        deadline = time.monotonic() + 40
        wanted = {"Demo: shop", "Demo: shop's name", "Demo: nightly backup"}
        while (states := demo_states(up)) and not wanted <= up_names(states):
            assert time.monotonic() < deadline, states
            time.sleep(0.5)
        assert len(states) == 7
    finally:
        os.kill(demo.pid, signal.SIGINT)
        rest, _ = demo.communicate(timeout=60)
    assert demo.returncode == 0
    assert "The demo target has stopped." in rest
    assert "7 monitors of the demo were removed." in farwatch(up, "demo", "--remove").stdout


def demo_states(up: Up) -> dict[str, str]:
    with up.client() as client:
        items = client.get("/api/monitors", params={"tag": "demo"}).json()["data"]["items"]
    return {item["name"]: item["state"] for item in items}


def up_names(states: dict[str, str]) -> set[str]:
    return {name for name, state in states.items() if state == "up"}


def test_without_a_running_farwatch_it_says_so(up: Up, tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "farwatch_cli", "monitors"],
        cwd=tmp_path,
        env=clean_environment(FARWATCH_DATA_DIR=str(tmp_path)),
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert done.returncode == 2
    assert "start `farwatch up`, or set FARWATCH_URL" in done.stderr
