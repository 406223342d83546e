"""The metrics of every service of a real `farwatch up`, and how a crash of one of them shows."""

import os
import signal
import time
from collections.abc import Callable, Iterator
from typing import Any

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families

from farwatch_cli.plan import CORE_SERVICES
from tests.support.exposition import complaints
from tests.support.servers import server_folder
from tests.support.up import Up, free_ports

pytestmark = pytest.mark.timeout(180)  # on a busy machine it starts slowly
SERVICES = (*CORE_SERVICES, "prober-local-1")
OWN = {
    "api": "farwatch_api_requests",
    "scheduler": "farwatch_due_checks",
    "incidents": "farwatch_fold_results",
    "notifier": "farwatch_notifier_pending",
    "prober-local-1": "farwatch_checks",
}


@pytest.fixture(scope="module")
def running() -> Iterator[tuple[Up, int]]:
    """An installation with one monitor, and the first of its health ports."""
    with server_folder("watching") as folder:
        port = free_ports(len(SERVICES))
        up = Up(folder, FARWATCH_HEALTH_PORT=str(port))
        try:
            up.wait_ready()
            target = {"type": "http", "name": 'The "one"\\', "url": f"{up.url}/healthz", "interval_seconds": 5}
            with up.client() as client:
                assert client.post("/api/monitors", json=target).status_code == 201
                until(lambda: client.get("/api/status").json()["data"]["monitors"]["up"])
            yield up, port
        finally:
            up.stop()


def until(probe: Callable[[], Any], seconds: float = 60) -> Any:
    deadline = time.monotonic() + seconds
    while not (found := probe()):
        assert time.monotonic() < deadline, "not in time"
        time.sleep(0.1)
    return found


def scrape(port: int) -> str:
    return httpx.get(f"http://127.0.0.1:{port}/metrics", timeout=5, trust_env=False).text


def test_metrics_of_every_service_are_clean(running: tuple[Up, int]) -> None:
    _, port = running
    for number, service in enumerate(SERVICES):
        text = scrape(port + number)
        assert complaints(text) == [], service
        families = {family.name: family for family in text_string_to_metric_families(text)}
        assert families[OWN[service]].samples, service
        assert "farwatch_loop_lag_seconds" in families
        assert "process_cpu_seconds" in families
        health = httpx.get(f"http://127.0.0.1:{port + number}/healthz", timeout=5, trust_env=False)
        assert (health.status_code, health.json()["stale"]) == (200, {})


def test_last_checks_have_the_names_of_blackbox_exporter(running: tuple[Up, int]) -> None:
    up, _ = running
    with up.client() as client:
        answer = client.get("/metrics/monitors")
        none = client.get("/metrics/monitors?region=elsewhere")
    assert answer.headers["content-type"].startswith("text/plain; version=0.0.4")
    assert complaints(answer.text) == []
    families = {family.name: family for family in text_string_to_metric_families(answer.text)}
    assert set(families) - {"probe_dns_lookup_time_seconds"} == {
        "probe_success",
        "probe_duration_seconds",
        "probe_http_duration_seconds",
        "probe_http_status_code",
        "farwatch_check_slot_timestamp_seconds",
        "farwatch_monitor_up",
    }
    [success] = families["probe_success"].samples
    assert success.labels == {"id": "1", "monitor": 'The "one"\\', "region": "local"}
    assert success.value == 1
    assert families["probe_http_status_code"].samples[0].value == 200
    assert {sample.labels["phase"] for sample in families["probe_http_duration_seconds"].samples} >= {
        "connect",
        "processing",
    }
    assert "probe_success" not in none.text
    assert httpx.get(f"{up.url}/metrics/monitors", timeout=5, trust_env=False).status_code == 401


def test_a_dead_service_shows_in_the_status(running: tuple[Up, int]) -> None:
    """Stopped, not killed: the supervisor would have started it again."""
    up, _ = running
    with up.client() as client:
        until(lambda: client.get("/api/status").json()["data"]["system"]["ok"])
        pid = up.child("farwatch_incidents")
        os.kill(pid, signal.SIGSTOP)
        try:
            system = until(lambda: (found := client.get("/api/status").json()["data"]["system"])["problems"] and found)
            assert {each["problem"] for each in system["problems"]} & {"fold", "outbox"}
            assert "Farwatch itself is unwell." in client.get("/system-line").text
        finally:
            os.kill(pid, signal.SIGCONT)
        until(lambda: client.get("/api/status").json()["data"]["system"]["ok"])
