"""Publish, subscribe, request and respond over core NATS."""

import asyncio
import time

import pytest

from farwatch_bus import Bus, BusError, BusTimeout, ConnectionLost, Message, NoResponders, RemoteFailure
from tests.support.servers import NatsProcess
from tests.support.waiting import eventually


async def echo(data: bytes) -> bytes:
    return b"echo " + data


async def test_request_gets_the_answer(bus: Bus) -> None:
    await bus.respond("cmd.test.echo", echo)
    assert await bus.request("cmd.test.echo", b"hello", 1) == b"echo hello"


async def test_no_responders_is_told_at_once(bus: Bus) -> None:
    started = time.monotonic()
    with pytest.raises(NoResponders) as caught:
        await bus.request("cmd.test.nobody", b"", 5)
    assert time.monotonic() - started < 0.5
    assert caught.value.permanent is False


async def test_timeout(bus: Bus) -> None:
    async def slow(_: bytes) -> bytes:
        await asyncio.sleep(5)
        return b""

    await bus.respond("cmd.test.slow", slow)
    with pytest.raises(BusTimeout) as caught:
        await bus.request("cmd.test.slow", b"", 0.1)
    assert caught.value.permanent is False


async def test_slow_request_does_not_hold_up_the_next(bus: Bus) -> None:
    async def wait(data: bytes) -> bytes:
        await asyncio.sleep(float(data))
        return data

    await bus.respond("cmd.test.wait", wait)
    slow = asyncio.create_task(bus.request("cmd.test.wait", b"0.5", 2))
    await asyncio.sleep(0.05)
    started = time.monotonic()
    assert await bus.request("cmd.test.wait", b"0", 2) == b"0"
    assert time.monotonic() - started < 0.3
    assert await slow == b"0.5"


async def test_failing_responder_says_so_without_its_words(bus: Bus) -> None:
    async def broken(_: bytes) -> bytes:
        raise ValueError("the password is swordfish")

    await bus.respond("cmd.test.broken", broken)
    with pytest.raises(RemoteFailure) as caught:
        await bus.request("cmd.test.broken", b"", 1)
    assert "ValueError" in str(caught.value)
    assert "swordfish" not in str(caught.value)
    assert caught.value.permanent is True


async def test_one_of_a_queue_gets_each_message_and_a_failing_handler_goes_on(bus: Bus) -> None:
    seen: list[bytes] = []

    async def handler(message: Message) -> None:
        seen.append(message.data)
        if message.data == b"0":
            raise RuntimeError("first one")

    await bus.subscribe("live.test", handler, queue="one")
    await bus.subscribe("live.test", handler, queue="one")
    for number in range(20):
        await bus.publish("live.test", b"%d" % number)
    await eventually(lambda: len(seen) == 20)
    assert sorted(seen, key=int) == [b"%d" % number for number in range(20)]


async def test_unsubscribe_ends_it(bus: Bus) -> None:
    seen: list[bytes] = []

    async def handler(message: Message) -> None:
        seen.append(message.data)

    subscription = await bus.subscribe("live.test", handler)
    await bus.publish("live.test", b"1")
    await eventually(lambda: seen == [b"1"])
    await subscription.unsubscribe()
    await bus.publish("live.test", b"2")
    await asyncio.sleep(0.1)
    assert seen == [b"1"]


async def test_message_too_large_is_an_error_not_a_dead_connection(bus: Bus) -> None:
    with pytest.raises(BusError, match="more than the server takes"):
        await bus.publish("live.test", b"x" * (2 * 1024 * 1024))
    with pytest.raises(BusError, match="more than the server takes"):
        await bus.request("live.test", b"x" * (2 * 1024 * 1024), 1)
    assert bus.connected


async def test_request_in_flight_ends_when_the_server_dies(bus: Bus, nats_server: NatsProcess) -> None:
    async def never(_: bytes) -> bytes:
        await asyncio.sleep(60)
        return b""

    await bus.respond("cmd.test.never", never)
    asking = asyncio.create_task(bus.request("cmd.test.never", b"", 30))
    await asyncio.sleep(0.1)
    nats_server.kill()
    with pytest.raises(ConnectionLost):
        await asyncio.wait_for(asking, 2)


async def test_across_a_crash_of_the_server(bus: Bus, nats_server: NatsProcess) -> None:
    seen: list[bytes] = []

    async def handler(message: Message) -> None:
        seen.append(message.data)

    await bus.subscribe("live.test", handler)
    await bus.respond("cmd.test.echo", echo)
    nats_server.kill()
    await eventually(lambda: not bus.connected)
    await bus.publish("live.test", b"lost, by contract")
    waiting = asyncio.create_task(bus.request("cmd.test.echo", b"patient", 10))
    with pytest.raises(BusTimeout, match="not connected"):
        await bus.request("cmd.test.echo", b"hasty", 0.1)
    nats_server.start()
    back = time.monotonic()
    assert await waiting == b"echo patient"
    assert time.monotonic() - back < 2
    await bus.publish("live.test", b"after")
    await eventually(lambda: seen == [b"after"])
