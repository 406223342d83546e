"""The connection comes up late, survives a server that hangs, and one that throws it out."""

import asyncio
import os
import signal
import ssl
import time
from pathlib import Path

import pytest
import trustme
from structlog.testing import capture_logs

from farwatch_bus import Bus, BusClosed, ensure_events, ensure_leases, ensure_region
from farwatch_cli.embedded import nats_config
from farwatch_events import subjects
from tests.contract.bus.plain_nats import PlainNats
from tests.support.servers import NatsProcess
from tests.support.waiting import eventually


async def test_connects_as_soon_as_the_server_is_there(tmp_path: Path) -> None:
    server = PlainNats(tmp_path)
    server.start()
    url = server.url
    server.kill()
    connecting = asyncio.create_task(Bus.connect(url, name="early"))
    await asyncio.sleep(0.6)
    assert not connecting.done()
    server.start()
    bus = await asyncio.wait_for(connecting, 2)
    assert bus.connected
    await bus.close()
    assert not bus.connected
    server.kill()


async def test_stop_ends_the_attempt() -> None:
    stop = asyncio.Event()
    connecting = asyncio.create_task(Bus.connect("nats://127.0.0.1:1", name="never", stop=stop))
    await asyncio.sleep(0.2)
    stop.set()
    with pytest.raises(BusClosed):
        await asyncio.wait_for(connecting, 2)


async def test_hanging_server_is_noticed_and_left(bus: Bus, nats_server: NatsProcess) -> None:
    nats_server.pause()
    try:
        await eventually(lambda: not bus.connected, timeout_seconds=15)
    finally:
        nats_server.resume()
    await eventually(lambda: bus.connected, timeout_seconds=4)


async def test_connection_that_the_server_ends_with_an_error_is_made_anew(tmp_path: Path) -> None:
    server = PlainNats(tmp_path, {"authorization": {"users": [{"user": "prober", "password": "first"}]}})
    server.start()
    bus = await Bus.connect(server.url, name="test", user="prober", password="first")
    try:

        async def echo(data: bytes) -> bytes:
            return data

        await bus.respond("cmd.test.echo", echo)
        server.reload({"authorization": {"users": [{"user": "prober", "password": "second"}]}})
        await eventually(lambda: not bus.connected)
        await asyncio.sleep(1.5)
        server.reload({"authorization": {"users": [{"user": "prober", "password": "first"}]}})
        back = time.monotonic()
        assert await bus.request("cmd.test.echo", b"still here", 10) == b"still here"
        assert time.monotonic() - back < 2
    finally:
        await bus.close()
        server.kill()


async def test_logs_say_when_it_went_and_came_and_do_not_flood(nats_server: NatsProcess) -> None:
    with capture_logs() as lines:
        bus = await Bus.connect(nats_server.url, name="test", user="someone", password="swordfish")
        nats_server.kill()
        await eventually(lambda: not bus.connected)
        await asyncio.sleep(2)
        nats_server.start()
        await eventually(lambda: bus.connected)
        await bus.close()
    events = [line["event"] for line in lines]
    assert [event for event in events if event != "bus_error"] == [
        "bus_connected",
        "bus_disconnected",
        "bus_reconnected",
    ]
    assert 1 <= events.count("bus_error") <= 4
    assert "swordfish" not in repr(lines)


async def test_tls_with_our_own_authority_and_client_certificate(tmp_path: Path) -> None:
    authority = trustme.CA()
    files = write_certificates(authority, tmp_path)
    server_tls = {"cert_file": files["server"], "key_file": files["server"], "ca_file": files["ca"], "verify": True}
    server = PlainNats(tmp_path, {"tls": server_tls})
    server.start()
    try:
        bus = await Bus.connect(
            server.url.replace("nats://", "tls://"),
            name="tls",
            ca_file=files["ca"],
            cert_file=files["client"],
            key_file=files["client"],
        )
        server.kill()
        server.start()
        await eventually(lambda: bus.connected)
        await bus.close()
        stop = asyncio.Event()
        asyncio.get_running_loop().call_later(0.7, stop.set)
        with pytest.raises(BusClosed):
            await Bus.connect(server.url, name="distrust", tls=ssl.create_default_context(), stop=stop)
    finally:
        server.kill()


def write_certificates(authority: trustme.CA, folder: Path) -> dict[str, str]:
    files = {name: str(folder / f"{name}.pem") for name in ("ca", "server", "client")}
    authority.cert_pem.write_to_path(files["ca"])
    authority.issue_cert("127.0.0.1").private_key_and_cert_chain_pem.write_to_path(files["server"])
    authority.issue_cert("client.test").private_key_and_cert_chain_pem.write_to_path(files["client"])
    return files


async def test_password_is_not_sent_in_the_clear_when_tls_was_asked_for(tmp_path: Path) -> None:
    server = PlainNats(tmp_path, {"authorization": {"users": [{"user": "u", "password": "swordfish"}]}})
    server.start()
    stop = asyncio.Event()
    asyncio.get_running_loop().call_later(0.6, stop.set)
    with capture_logs() as lines, pytest.raises(BusClosed):
        await Bus.connect(server.url.replace("nats:", "tls:"), name="t", user="u", password="swordfish", stop=stop)
    server.kill()
    assert "TLS was asked for" in lines[0]["error"]


@pytest.mark.parametrize("url", ["", " , ", "nats://", "http://h:1", "nats://u:swordfish@h:port", "h:4222"])
async def test_bad_url_is_an_error_at_once(url: str) -> None:
    with pytest.raises(ValueError, match="like nats://host:4222") as caught:
        await asyncio.wait_for(Bus.connect(url, name="test"), 1)
    assert "swordfish" not in str(caught.value)


async def test_everything_works_through_the_domain(nats_server: NatsProcess) -> None:
    bus = await Bus.connect(nats_server.url, name="test", domain=subjects.JETSTREAM_DOMAIN)
    await ensure_region(bus, "eu")
    await bus.publisher().publish(subjects.due_ring("eu"), b"chunk")
    [chunk] = await bus.puller(subjects.checks_stream("eu"), subjects.RING_DURABLE).take(1, 2)
    await chunk.ack()
    await bus.publisher().publish(subjects.result("eu"), b"result")
    [result] = await bus.reader(subjects.results_stream("eu"), 1).batch(1, 2)
    assert (chunk.data, result.data, result.sequence) == (b"chunk", b"result", 1)
    await bus.close()


async def test_closed_parts_leave_nothing_behind(bus: Bus) -> None:
    await ensure_region(bus, "eu")
    before = asyncio.all_tasks(), len(bus._link._subscriptions), len(bus._link._reconnect_hooks)
    for _ in range(3):
        publisher = bus.publisher()
        await publisher.publish(subjects.result("eu"), b"")
        puller = bus.puller(subjects.checks_stream("eu"), subjects.RING_DURABLE)
        await puller.take(1, 0.1)
        reader = bus.reader(subjects.results_stream("eu"), 1)
        await reader.batch(1, 1)
        for part in (publisher, puller, reader):
            await part.close()
    await asyncio.sleep(0.05)
    assert (asyncio.all_tasks(), len(bus._link._subscriptions), len(bus._link._reconnect_hooks)) == before


async def test_every_task_ends_with_close(nats_server: NatsProcess) -> None:
    before = asyncio.all_tasks()
    bus = await Bus.connect(nats_server.url, name="test")
    await bus.puller("CHECKS_none", "ring").take(1, 0.1)
    await bus.reader("RESULTS_none", 1).batch(1, 0.1)
    publisher = bus.publisher()
    unsent = await publisher.start("nobody.takes.this", b"")
    os.kill(nats_server.pid, signal.SIGKILL)
    await bus.close()
    await bus.close()
    with pytest.raises(BusClosed):
        await unsent
    await asyncio.sleep(0.05)
    assert asyncio.all_tasks() == before


async def test_each_user_can_do_its_work_and_no_more(tmp_path: Path) -> None:
    users = {user.name: user for user in nats_config.users(["eu"])}
    server = PlainNats(
        tmp_path,
        {
            "jetstream": {"store_dir": str(tmp_path / "store"), "domain": "hub"},
            "authorization": {
                "users": [
                    {
                        "user": user.name,
                        "password": "x-secret",
                        "permissions": {
                            "publish": {"allow": [*user.publish]},
                            "subscribe": {"allow": [*user.subscribe]},
                        },
                    }
                    for user in users.values()
                ]
            },
        },
    )
    server.start()
    with capture_logs() as lines:
        try:
            await exercise_as_users(server.url)
        finally:
            server.kill()
    assert [line for line in lines if "ermissions" in str(line.get("error"))] == []


async def exercise_as_users(url: str) -> None:
    incidents = await Bus.connect(url, name="incidents", user="incidents", password="x-secret")
    scheduler = await Bus.connect(url, name="scheduler", user="scheduler", password="x-secret")
    prober = await Bus.connect(url, name="prober", user="prober-eu", password="x-secret")
    for set_up in (ensure_region(incidents, "eu"), ensure_events(incidents), ensure_leases(incidents)):
        await set_up
    assert await scheduler.lease(subjects.SCHEDULER_LEASE, "a").acquire()
    await scheduler.publisher().publish(subjects.due_now("eu"), b"chunk", ttl_seconds=60)
    [chunk] = await prober.puller(subjects.checks_stream("eu"), subjects.NOW_DURABLE).take(10, 2)
    await prober.publisher().publish(subjects.result("eu"), b"result")
    await chunk.in_progress()
    await chunk.ack()
    [result] = await incidents.reader(subjects.results_stream("eu"), 1).batch(10, 2)
    assert result.data == b"result"
    await incidents.publisher().publish(subjects.event("incident.opened"), b"event")
    for bus in (prober, scheduler, incidents):
        await bus.close()
