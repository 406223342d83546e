"""The notifier as its own process: killed while alerts flow, stopped politely, started with bad settings."""

import asyncio
import os
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from farwatch_bus import Bus
from farwatch_events import subjects
from farwatch_events.checks import TestChannelReply, TestChannelRequest
from tests.integration.notifier.world import World
from tests.support.http import HttpServer, Response
from tests.support.servers import NatsProcess
from tests.support.waiting import eventually

KILLS = 4
ALERTS = 150


class Process:
    """`python -m farwatch_notifier`, to be started again and again."""

    def __init__(self, environ: dict[str, str], log: Path) -> None:
        self.environ = environ
        self.log = log
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        with self.log.open("ab") as output:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "farwatch_notifier"], env=self.environ, stdout=output, stderr=output
            )

    async def end(self, number: signal.Signals) -> int:
        assert self.process is not None
        self.process.send_signal(number)
        return await asyncio.to_thread(self.process.wait, 15)


@pytest.fixture
async def process(database_url: str, nats_server: NatsProcess, world: World, tmp_path: Path) -> AsyncIterator[Process]:
    key_file = tmp_path / "key"
    key_file.write_text(world.key + "\n")
    environ = {name: value for name, value in os.environ.items() if not name.startswith("FARWATCH_")} | {
        "FARWATCH_DATABASE_URL": database_url,
        "FARWATCH_NATS_URL": nats_server.url,
        "FARWATCH_SECRET_KEY_FILE": str(key_file),
        "FARWATCH_PUBLIC_URL": "https://watch.example",
        "FARWATCH_LOG_FORMAT": "json",
    }
    process = Process(environ, tmp_path / "log")
    yield process
    if process.process is not None and process.process.poll() is None:
        process.process.kill()
        process.process.wait()


async def kill_while_alerts_flow(
    process: Process, world: World, sinks: list[HttpServer], kills: int, alerts: int
) -> tuple[int, int]:
    """Messages sent in all, and how many came a second time."""
    for sink in sinks:
        sink.response = Response(200, delay_seconds=0.02)
        await world.webhook(sink.url)
    monitors = [await world.add_monitor(f"m{number}") for number in range(alerts)]
    process.start()

    async def flow() -> None:
        for number, monitor_id in enumerate(monitors):
            incident_id = await world.open_incident(monitor_id, f"m{number}")
            if number % 3 == 0:
                await world.resolve_incident(incident_id, monitor_id)
            await asyncio.sleep(0.02)

    flowing = asyncio.create_task(flow())
    for _ in range(kills):
        reached = len(sinks[0].requests)
        await eventually(lambda reached=reached: len(sinks[0].requests) >= reached + 15, 60)  # type: ignore[misc]
        await process.end(signal.SIGKILL)
        process.start()
    await flowing
    expected = len(sinks) * (alerts + (alerts + 2) // 3)

    async def settled() -> bool:
        async with world.db.connection() as connection:
            query = "select count(*) filter (where state <> 'pending') from alerting.deliveries"
            return int(await connection.fetchval(query)) >= expected

    await eventually(settled, 60 + alerts / 10, 0.25)
    rows = await world.deliveries()
    assert {row["state"] for row in rows} <= {"delivered", "suppressed"}
    assert all(row["reason"].startswith("a later message") for row in rows if row["state"] == "suppressed")
    sent = [row["dedup_key"] for row in rows if row["state"] == "delivered"]
    received = Counter(request.headers["webhook-id"] for sink in sinks for request in sink.requests)
    assert set(received) == set(sent), "an alert was lost, or came with a key that nobody knows"
    for sink in sinks:
        assert_order(sink, collapsed=len(sent) < len(rows))
    return len(sent), sum(received.values()) - len(sent)


@pytest.mark.timeout(300)
async def test_killed_while_alerts_flow_none_is_lost_and_repeats_carry_their_key(
    process: Process, world: World, http_sink: HttpServer, second_sink: HttpServer
) -> None:
    _sent, repeats = await kill_while_alerts_flow(process, world, [http_sink, second_sink], KILLS, ALERTS)
    assert repeats <= KILLS * 2, "a kill may repeat the one message that is on its way, of each of two channels"


@pytest.mark.faults
@pytest.mark.timeout(1800)
async def test_fifty_kills_while_five_thousand_alerts_flow(
    process: Process, world: World, http_sink: HttpServer, capsys: pytest.CaptureFixture[str]
) -> None:
    sent, repeats = await kill_while_alerts_flow(process, world, [http_sink], 50, 3750)
    with capsys.disabled():
        print(f"\n50 kills: {sent} messages delivered, {repeats} of them twice, none lost")
    assert repeats <= 50, "more than the one message on its way was repeated by a kill"


def assert_order(sink: HttpServer, *, collapsed: bool) -> None:
    """No recovery before its down, unless that one waited so long that the recovery stands for both."""
    seen: set[int] = set()
    for request in sink.requests:
        body = request.json()
        incident_id = body["data"]["incident"]["id"]
        if body["type"] == "incident.down":
            seen.add(incident_id)
        assert collapsed or incident_id in seen


async def test_a_process_answers_test_commands_and_stops_politely(
    process: Process, bus: Bus, world: World, http_sink: HttpServer
) -> None:
    process.start()
    channel_id = await world.webhook(http_sink.url)

    async def answered() -> bool:
        request = TestChannelRequest(channel_id=channel_id).to_bytes()
        try:
            reply = await bus.request(subjects.TEST_CHANNEL_COMMAND, request, 5)
        except Exception as error:
            raise AssertionError(str(error)) from error
        return TestChannelReply.from_bytes(reply).ok

    await eventually(answered, 20)
    http_sink.response = Response(200, delay_seconds=1)
    await world.open_incident(await world.add_monitor())
    await eventually(lambda: len(http_sink.requests) >= 2)
    assert await process.end(signal.SIGTERM) == 0
    row = (await world.deliveries())[0]
    assert (row["state"], row["attempts"]) == ("delivered", 1)
    assert "role_not_taken" not in process.log.read_text()


async def test_alerts_flow_while_nats_is_gone(
    process: Process, nats_server: NatsProcess, world: World, http_sink: HttpServer
) -> None:
    nats_server.kill()
    process.start()
    await world.webhook(http_sink.url)
    await world.open_incident(await world.add_monitor())
    await world.settled(1, 20)
    assert len(http_sink.requests) == 1


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("FARWATCH_SECRET_KEY_FILE", "", "FARWATCH_SECRET_KEY_FILE is not set"),
        ("FARWATCH_PUBLIC_URL", "watch.example", "FARWATCH_PUBLIC_URL"),
        ("FARWATCH_PUBLIK_URL", "x", "did you mean FARWATCH_PUBLIC_URL?"),
    ],
)
async def test_bad_settings_are_one_line_and_exit_2(process: Process, name: str, value: str, words: str) -> None:
    process.environ[name] = value
    process.start()
    assert process.process is not None
    assert await asyncio.to_thread(process.process.wait, 20) == 2
    said = process.log.read_text().strip()
    assert words in said
    assert len(said.splitlines()) == 1
