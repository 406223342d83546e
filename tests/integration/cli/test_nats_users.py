"""What each service may do on the bus: enough for its work, and a prober nothing beyond its region."""

import socket
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from farwatch_bus import Bus, PublishRefused, PublishTimeout
from farwatch_bus.topology import ensure_events, ensure_leases, ensure_region
from farwatch_cli.embedded import nats_config
from farwatch_cli.embedded.nats import NatsServer
from farwatch_events import subjects
from tests.support.servers import NatsProcess, server_folder


class GuardedNats(NatsProcess):
    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.server = NatsServer(folder, regions=("eu", "us"))

    async def connect(self, user: str) -> Bus:
        return await Bus.connect(self.url, name=user, user=user, password=self.server.password(user))


@pytest.fixture
def guarded() -> Iterator[GuardedNats]:
    with server_folder("guarded") as folder:
        server = GuardedNats(folder)
        server.start()
        yield server
        server.stop()


@pytest.fixture
async def incidents(guarded: GuardedNats) -> AsyncIterator[Bus]:
    bus = await guarded.connect("incidents")
    for region in ("eu", "us", subjects.PUSH_REGION):
        await ensure_region(bus, region)
    await ensure_events(bus)
    await ensure_leases(bus)
    yield bus
    await bus.close()


async def test_a_check_travels_from_scheduler_to_prober_and_its_result_back(
    guarded: GuardedNats, incidents: Bus
) -> None:
    scheduler, prober = await guarded.connect("scheduler"), await guarded.connect("prober-eu")
    await scheduler.publisher().publish(subjects.due_ring("eu"), b"due", msg_id="1")
    puller = prober.puller(subjects.checks_stream("eu"), subjects.RING_DURABLE, credit=10)
    (message,) = await puller.take(1, 3)
    await prober.publisher().publish(subjects.result("eu"), b"result")
    await message.in_progress()
    await message.ack()
    reader = incidents.reader(subjects.results_stream("eu"), 1)
    assert [m.data for m in await reader.batch(1, 3)] == [b"result"]
    await scheduler.close()
    await prober.close()


async def test_a_prober_neither_reads_nor_writes_another_region(guarded: GuardedNats, incidents: Bus) -> None:
    scheduler, prober = await guarded.connect("scheduler"), await guarded.connect("prober-eu")
    await scheduler.publisher().publish(subjects.due_ring("us"), b"due")
    assert await prober.puller(subjects.checks_stream("us"), subjects.RING_DURABLE, credit=10).take(1, 1.5) == []
    for subject in (subjects.result("us"), subjects.due_ring("eu"), subjects.event("incident.opened")):
        with pytest.raises((PublishRefused, PublishTimeout)):
            await prober.publisher(deadline_seconds=1).publish(subject, b"forged")
    await scheduler.close()
    await prober.close()


async def test_a_prober_asks_incidents_to_register_its_region(guarded: GuardedNats, incidents: Bus) -> None:
    async def register(data: bytes) -> bytes:
        return b"registered " + data

    await incidents.respond(subjects.REGISTER_REGION_COMMAND, register)
    prober = await guarded.connect("prober-eu")
    assert await prober.request(subjects.REGISTER_REGION_COMMAND, b"eu", 2) == b"registered eu"
    await prober.close()


async def test_every_service_holds_leases(guarded: GuardedNats, incidents: Bus) -> None:
    for user in nats_config.SERVICES:
        bus = await guarded.connect(user)
        lease = bus.lease("test", user)
        assert await lease.acquire()
        await lease.release()
        await bus.close()


def test_nobody_enters_without_a_password(guarded: GuardedNats) -> None:
    host, port = guarded.url.removeprefix("nats://").split(":")
    with socket.create_connection((host, int(port)), timeout=5) as client, client.makefile("rwb") as stream:
        assert b'"auth_required":true' in stream.readline()
        stream.write(b'CONNECT {"verbose":false}\r\nPING\r\n')
        stream.flush()
        assert b"Authorization Violation" in stream.readline()
