"""The command behind "send me a test", over the bus."""

import pytest

from farwatch_bus import Bus
from farwatch_events import subjects
from farwatch_events.checks import TestChannelReply, TestChannelRequest
from farwatch_notifier.app import Notifier
from tests.integration.notifier.world import World
from tests.support.http import HttpServer, Response


async def ask(bus: Bus, channel_id: int) -> TestChannelReply:
    request = TestChannelRequest(channel_id=channel_id).to_bytes()
    return TestChannelReply.from_bytes(await bus.request(subjects.TEST_CHANNEL_COMMAND, request, 25))


@pytest.mark.parametrize("enabled", [True, False])
async def test_a_real_message_is_sent_and_shown(
    enabled: bool, bus: Bus, notifier: Notifier, world: World, http_sink: HttpServer
) -> None:
    await notifier.attach(bus)
    http_sink.response = Response(200, b"thanks")
    url = http_sink.url + "hook/hush?key=hush"
    channel_id = await world.add_channel("slack", {"webhook_url": url}, enabled=enabled)
    reply = await ask(bus, channel_id)
    assert (reply.ok, reply.error, reply.answer) == (True, None, "HTTP 200 Status\nthanks")
    assert reply.rendered.startswith("🔵 Test message from Farwatch")
    assert f"POST {http_sink.url}********" in reply.request
    assert "hush" not in str(reply)
    assert http_sink.requests[0].json()["text"].startswith("🔵 Test message from Farwatch")
    assert await world.deliveries() == []


async def test_what_the_service_answers_comes_back(
    bus: Bus, notifier: Notifier, world: World, http_sink: HttpServer
) -> None:
    await notifier.attach(bus)
    http_sink.response = Response(404, b"no_service")
    reply = await ask(bus, await world.webhook(http_sink.url))
    assert not reply.ok
    assert (reply.error, reply.answer) == ("the service answered 404 Status", "HTTP 404 Status\nno_service")
    assert "POST http" in reply.request
    assert reply.rendered


async def test_an_unknown_channel_is_said(bus: Bus, notifier: Notifier, world: World) -> None:
    await notifier.attach(bus)
    reply = await ask(bus, 77)
    assert (reply.ok, reply.error) == (False, "there is no channel 77")


async def test_a_channel_that_hangs_does_not_hold_up_another_test(
    bus: Bus, notifier: Notifier, world: World, http_sink: HttpServer, second_sink: HttpServer
) -> None:
    import asyncio

    await notifier.attach(bus)
    http_sink.response = Response(200, delay_seconds=60)
    slow = asyncio.create_task(ask(bus, await world.webhook(http_sink.url, timeout=2)))
    quick = await asyncio.wait_for(ask(bus, await world.webhook(second_sink.url)), 1.5)
    assert quick.ok
    assert (await slow).error == "no answer within 2 s"
