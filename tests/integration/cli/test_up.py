"""`farwatch up` as a person meets it: real processes, real servers, real crashes."""

import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from functools import partial
from pathlib import Path

import httpx
import pytest

from tests.support.servers import NatsProcess, PostgresProcess, server_folder
from tests.support.up import Up, clean_environment, processes

pytestmark = pytest.mark.timeout(150)

MONITOR = {"name": "here", "type": "port", "host": "127.0.0.1", "port": 9, "interval_seconds": 60}


@pytest.fixture
def folder() -> Iterator[Path]:
    with server_folder("up") as path:
        yield path


@pytest.fixture
def start(folder: Path) -> Iterator[Callable[..., Up]]:
    """Starts `farwatch up` on the test's folder; whatever still runs at the end is stopped."""
    started: list[Up] = []

    def begin(*options: str, **settings: str) -> Up:
        started.append(Up(folder, *options, **settings))
        return started[-1]

    yield begin
    for up in started:
        up.stop()


def until(probe: Callable[[], bool], timeout_seconds: float) -> float:
    """Seconds until it was true."""
    began = time.monotonic()
    while not probe():
        assert time.monotonic() - began < timeout_seconds, f"not within {timeout_seconds:g} s"
        time.sleep(0.05)
    return time.monotonic() - began


def answers(url: str) -> bool:
    try:
        return httpx.get(f"{url}/readyz", timeout=2, trust_env=False).status_code == 200
    except httpx.HTTPError:
        return False


def run_up(folder: Path, *options: str, **settings: str) -> "subprocess.CompletedProcess[str]":
    argv = [sys.executable, "-m", "farwatch_cli", "up", "--data-dir", str(folder / "data"), *options]
    return subprocess.run(
        argv, cwd=folder, env=clean_environment(**settings), capture_output=True, text=True, timeout=60, check=False
    )


def test_it_starts_stops_and_finds_everything_again(start: Callable[..., Up], folder: Path) -> None:
    up = start().wait_ready()
    link = up.wait_line(r"(http://\S+/\S+)$", 5)[1]
    assert link.startswith(up.url)
    assert httpx.get(link, trust_env=False, follow_redirects=True).status_code == 200
    with up.client() as client:
        assert client.post("/api/monitors", json=MONITOR).status_code == 201

    refused = run_up(folder, "--port", "0")
    assert refused.returncode == 2
    assert refused.stderr.strip().count("\n") == 0
    assert "already runs on" in refused.stderr

    children = up.children()
    began = time.monotonic()
    assert up.stop(signal.SIGINT) == 0
    assert time.monotonic() - began < 10
    assert not set(children) & set(processes())

    again = start().wait_ready()
    with again.client() as client:
        names = [monitor["name"] for monitor in client.get("/api/monitors").json()["data"]["items"]]
    assert names == ["here"]


def test_killed_it_leaves_nothing_behind_and_starts_again(start: Callable[..., Up]) -> None:
    up = start().wait_ready()
    with up.client() as client:
        assert client.post("/api/monitors", json=MONITOR).status_code == 201
    family = descendants(up.process.pid)
    assert len(family) >= 7
    up.process.kill()
    until(lambda: not family & set(processes()), 5)
    again = start().wait_ready()
    with again.client() as client:
        assert client.get("/api/monitors").json()["data"]["items"][0]["name"] == "here"


def descendants(pid: int) -> set[int]:
    running = processes()
    found: set[int] = set()
    new = {pid}
    while new:
        new = {child for child, (parent, _) in running.items() if parent in new} - found
        found |= new
    return found


def test_whatever_is_killed_comes_back(start: Callable[..., Up]) -> None:
    up = start().wait_ready()
    for word in ("farwatch_scheduler", "farwatch_incidents", "farwatch_notifier", "farwatch_prober", "farwatch_api"):
        before = up.child(word)
        os.kill(before, signal.SIGKILL)
        name = word.removeprefix("farwatch_")
        up.wait_line(rf"^{name}\S* was killed by SIGKILL", 5)
        until(partial(is_new, up, word, before), 10)
    until(lambda: answers(up.url), 10)
    for word in ("nats-server", "bin/postgres"):
        before = up.child(word)
        os.kill(before, signal.SIGKILL)
        until(partial(is_new, up, word, before), 10)
        until(lambda: answers(up.url) and listed(up), 10)
    assert not [line for line in up.lines if "another port" in line]


def test_services_outlive_the_nursery_that_forked_them(start: Callable[..., Up]) -> None:
    up = start().wait_ready()
    nursery = up.child("farwatch_cli.nursery")
    prober = up.child("farwatch_prober")
    os.kill(nursery, signal.SIGKILL)
    for _ in range(2):
        before = up.child("farwatch_scheduler")
        os.kill(before, signal.SIGKILL)
        until(partial(is_new, up, "farwatch_scheduler", before), 30)
    assert up.child("farwatch_cli.nursery") != nursery
    assert up.child("farwatch_prober") == prober
    os.kill(up.child("bin/postgres"), signal.SIGKILL)  # leaves its processes to the supervisor
    until(lambda: answers(up.url) and listed(up), 30)
    if orphans := waiting_to_be_collected(up.process.pid):
        until(lambda: not orphans <= waiting_to_be_collected(up.process.pid), 30)


def waiting_to_be_collected(parent: int) -> set[str]:
    found = set()
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError):
            name, rest = stat.read_text().rsplit(")", 1)
            if rest.split()[:2] == ["Z", str(parent)]:
                found.add(name)
    return found


def is_new(up: Up, word: str, before: int) -> bool:
    return [pid for pid, line in up.children().items() if word in line and pid != before] != []


def listed(up: Up) -> bool:
    with up.client() as client:
        return client.get("/api/monitors").status_code == 200


def test_servers_of_ones_own_are_used(start: Callable[..., Up], own_postgres: PostgresProcess) -> None:
    with server_folder("nats") as folder:
        nats = NatsProcess(folder)
        nats.start()
        try:
            settings = {"FARWATCH_NATS_URL": nats.url, "FARWATCH_DATABASE_URL": own_postgres.url()}
            up = start(**settings).wait_ready()
            assert not [line for line in up.children().values() if "nats-server" in line or "bin/postgres" in line]
            assert listed(up)
            assert up.stop() == 0
        finally:
            nats.stop()


def test_regions_and_probers(start: Callable[..., Up]) -> None:
    up = start("--region", "eu", "--region", "us", "--probers", "2").wait_ready()
    assert sum("farwatch_prober" in line for line in up.children().values()) == 4


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"FARWATCH_PORTS": "1"}, r"FARWATCH_PORTS is not a setting .* did you mean FARWATCH_PORT"),
        ({"FARWATCH_PROBERS": "many"}, r"FARWATCH_PROBERS 'many' is not valid"),
        ({"FARWATCH_REGION": "Not A Region"}, r"FARWATCH_REGION .*is not valid"),
        ({"FARWATCH_API_TOKEN": "short"}, r"FARWATCH_API_TOKEN is not valid"),
        ({"FARWATCH_KEEP_RAW_DAYS": "-3"}, r"FARWATCH_KEEP_RAW_DAYS '-3' is not valid"),
        ({"FARWATCH_DATABASE_URL_FILE": "/nowhere"}, r"FARWATCH_DATABASE_URL_FILE names /nowhere"),
    ],
)
def test_a_bad_setting_is_one_line_and_exit_2(folder: Path, settings: dict[str, str], message: str) -> None:
    done = run_up(folder, "--port", "0", **settings)
    assert done.returncode == 2, done.stdout + done.stderr
    lines = done.stderr.strip().splitlines()
    assert len(lines) == 1, done.stderr
    assert re.search(message, lines[0])


def test_settings_come_from_dotenv(folder: Path) -> None:
    (folder / ".env").write_text("FARWATCH_PORTS=1\n")
    done = run_up(folder)
    assert done.returncode == 2
    assert "FARWATCH_PORTS" in done.stderr


def test_a_port_in_use_is_refused(folder: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        done = run_up(folder, "--port", str(taken.getsockname()[1]))
    assert done.returncode == 2
    assert "choose another --host or --port" in done.stderr
