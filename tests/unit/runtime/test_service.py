"""A service as a process: signals, exit codes, side tasks, the health port in the log."""

import json
import os
import signal
import subprocess
import sys
import time
import urllib.request
from pathlib import Path
from typing import Any

import pytest

from farwatch_runtime.service import Service

PROGRAM = Path(__file__).with_name("program.py")


class Program:
    def __init__(self, folder: Path, behaviour: str, **environ: str) -> None:
        self.marker = folder / "up"
        self.log = folder / "log"
        settings = {"FARWATCH_LOG_FORMAT": "json", **environ}
        clean = {key: value for key, value in os.environ.items() if not key.startswith("FARWATCH_")}
        with self.log.open("wb") as out:
            self.process = subprocess.Popen(
                [sys.executable, str(PROGRAM), behaviour, str(self.marker)], stderr=out, env=clean | settings
            )

    def wait_up(self) -> None:
        deadline = time.monotonic() + 15
        while not self.marker.exists() or not self.lines("health_listening"):
            assert time.monotonic() < deadline, self.log.read_text()
            assert self.process.poll() is None, self.log.read_text()
            time.sleep(0.02)

    def lines(self, event: str) -> list[dict[str, Any]]:
        found = [json.loads(line) for line in self.log.read_text().splitlines() if line.startswith("{")]
        return [line for line in found if line["event"] == event]

    def end(self) -> int:
        try:
            return self.process.wait(15)
        finally:
            self.process.kill()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_signal_ends_it_in_order(tmp_path: Path, number: int) -> None:
    program = Program(tmp_path, "serves", FARWATCH_NATS_PASSWORD="swordfish")
    program.wait_up()
    port = program.lines("health_listening")[0]["port"]
    for path in ("healthz", "readyz", "metrics"):
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/{path}", timeout=5) as answer:
            assert answer.status == 200
            text = answer.read().decode()
    assert "farwatch_loop_lag_seconds" in text
    assert "process_cpu_seconds_total" in text
    program.process.send_signal(number)
    assert program.end() == 0
    [line] = program.lines("finished_what_was_in_flight")
    assert (line["service"], line["level"], line["password"]) == ("sample", "info", "********")
    assert program.lines("stopped")
    assert "swordfish" not in program.log.read_text()


def test_side_task_that_dies_ends_the_service(tmp_path: Path) -> None:
    program = Program(tmp_path, "side-task-dies")
    assert program.end() == 1
    [line] = program.lines("side_task_died")
    assert line["task"] == "helper"
    assert "side task broke" in line["exception"]


def test_body_that_fails_ends_the_service(tmp_path: Path) -> None:
    program = Program(tmp_path, "body-fails")
    assert program.end() == 1
    assert "body broke" in program.lines("service_failed")[0]["exception"]


def test_stop_while_it_waits_for_a_server_is_no_failure(tmp_path: Path) -> None:
    program = Program(tmp_path, "waits-for-a-server")
    program.wait_up()
    program.process.terminate()
    assert program.end() == 0
    assert program.lines("stopped_before_ready")[0]["waiting_for"] == "stopped while connecting"
    assert not program.lines("service_failed")


def test_body_that_hangs_is_cancelled_within_ten_seconds(tmp_path: Path) -> None:
    program = Program(tmp_path, "hangs-at-stop")
    while not program.lines("health_listening"):
        time.sleep(0.02)
    time.sleep(0.2)
    program.process.terminate()
    asked = time.monotonic()
    assert program.end() == 0
    assert 5 < time.monotonic() - asked < 10
    assert program.lines("stop_took_too_long")


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("FARWATCH_NATS_ULR", "x", "did you mean FARWATCH_NATS_URL?"),
        ("FARWATCH_HEALTH_PORT", "abc", "FARWATCH_HEALTH_PORT 'abc' is not valid"),
    ],
)
def test_bad_setting_is_one_line_and_exit_2(tmp_path: Path, name: str, value: str, words: str) -> None:
    program = Program(tmp_path, "serves", **{name: value})
    assert program.end() == 2
    [line] = program.log.read_text().splitlines()
    assert line.startswith("farwatch sample: ")
    assert words in line


def test_taken_health_port_is_said_and_exit_2(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    first = Program(tmp_path / "a", "serves")
    first.wait_up()
    port = first.lines("health_listening")[0]["port"]
    second = Program(tmp_path / "b", "serves", FARWATCH_HEALTH_PORT=str(port))
    assert second.end() == 2
    assert second.lines("health_port_taken")[0]["setting"] == "FARWATCH_HEALTH_PORT"
    first.process.terminate()
    assert first.end() == 0


def test_health_port_can_be_off(tmp_path: Path) -> None:
    program = Program(tmp_path, "serves", FARWATCH_HEALTH_PORT="-1")
    deadline = time.monotonic() + 15
    while not program.marker.exists() and time.monotonic() < deadline:
        time.sleep(0.02)
    program.process.terminate()
    assert program.end() == 0
    assert not program.lines("health_listening")


async def test_service_in_a_test_has_no_process_around_it() -> None:
    service = Service("sample")

    async def fails() -> None:
        raise RuntimeError("broke")

    _ = service.spawn("helper", fails())
    await service.stop.wait()
    assert service.failed == "side task helper died: RuntimeError"
    await service.close()
