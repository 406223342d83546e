"""Retries, order, independence of channels, intents and the trail: against sinks that misbehave."""

import asyncio
import time
from email.utils import formatdate
from typing import Any

import pytest

from farwatch_events.events import FirstFailure, FirstSuccess, IncidentUnsuppressed, RegionSilenced
from farwatch_notifier.app import CONSUMER, Notifier
from farwatch_runtime.clock import now_ms
from farwatch_store import Database, read_position, save_position
from tests.integration.notifier.conftest import StartNotifier
from tests.integration.notifier.world import World
from tests.support.http import HttpServer, Response
from tests.support.waiting import eventually

BUSY = Response(429, b'{"retry_after": 1.2}', {"Retry-After": "1"})


def keys(sink: HttpServer) -> list[str]:
    return [request.headers["webhook-id"] for request in sink.requests]


def kinds(sink: HttpServer) -> list[str]:
    return [request.json()["type"] for request in sink.requests]


async def test_a_rate_limit_is_waited_out_for_the_whole_channel_with_the_same_key(
    notifier: Notifier, world: World, http_sink: HttpServer
) -> None:
    arrivals: list[float] = []

    def answer(_request: Any) -> Response:
        arrivals.append(time.monotonic())
        return BUSY if len(arrivals) == 1 else Response(204, b"")

    http_sink.responder = answer
    channel_id = await world.add_channel("discord", {"webhook_url": http_sink.url + "hush"})
    first, second = await world.add_monitor("one"), await world.add_monitor("two")
    await world.open_incident(first, "one")
    await eventually(lambda: arrivals)
    await world.open_incident(second, "two")
    rows = await world.settled(2)
    assert {row["state"] for row in rows} == {"delivered"}
    assert rows[0]["attempts"] == 2
    assert arrivals[1] - arrivals[0] >= 1.2
    assert keys(http_sink).count(rows[0]["dedup_key"]) == 2
    attempts = await world.attempts(rows[0]["id"])
    assert [(a["attempt"], a["ok"]) for a in attempts] == [(1, False), (2, True)]
    assert attempts[0]["error"] == "the service answered 429 Status"
    assert "retry_after" in attempts[0]["answer"]
    assert channel_id == rows[0]["channel_id"]


async def test_retry_after_may_be_a_date(notifier: Notifier, world: World, http_sink: HttpServer) -> None:
    http_sink.script = [Response(503, headers={"Retry-After": formatdate(time.time() + 2, usegmt=True)})]
    await world.webhook(http_sink.url)
    started = time.monotonic()
    await world.open_incident(await world.add_monitor())
    rows = await world.settled(1)
    assert (rows[0]["state"], rows[0]["attempts"]) == ("delivered", 2)
    assert time.monotonic() - started > 0.9


@pytest.mark.parametrize(
    "failure", [Response(500), Response(408), Response(raw=b""), Response(raw=b"nonsense\r\n\r\n")]
)  # fmt: skip
async def test_what_may_pass_is_tried_again(
    failure: Response, notifier: Notifier, world: World, http_sink: HttpServer
) -> None:
    http_sink.script = [failure]
    await world.webhook(http_sink.url)
    await world.open_incident(await world.add_monitor())
    rows = await world.settled(1)
    assert (rows[0]["state"], rows[0]["attempts"]) == ("delivered", 2)
    assert len(set(keys(http_sink))) == 1


async def test_a_service_that_is_gone_gets_its_message_when_it_is_back(
    notifier: Notifier, world: World, http_sink: HttpServer
) -> None:
    await http_sink.stop()
    channel_id = await world.webhook(http_sink.url)
    await world.open_incident(await world.add_monitor())

    async def tried_once() -> bool:
        return any(row["attempts"] for row in await world.deliveries(channel_id))

    await eventually(tried_once)
    assert "no connection" in (await world.deliveries())[0]["error"]
    back = HttpServer()
    back.port = http_sink.port
    server = await asyncio.start_server(back._serve, "127.0.0.1", http_sink.port)
    try:
        rows = await world.settled(1, 30)
        assert rows[0]["state"] == "delivered"
        assert rows[0]["error"] is None
    finally:
        server.close()


async def test_another_4xx_is_final_and_reported(notifier: Notifier, world: World, http_sink: HttpServer) -> None:
    http_sink.response = Response(400, b'{"message": "Invalid Form Body"}')
    channel_id = await world.add_channel("discord", {"webhook_url": http_sink.url + "hush"})
    await world.open_incident(await world.add_monitor())
    row = (await world.settled(1))[0]
    assert (row["state"], row["attempts"]) == ("failed", 1)
    assert row["error"] == "the service answered 400 Status (the answer is final)"
    assert "Invalid Form Body" in row["answer"]
    assert "hush" not in str(await world.attempts(row["id"]))
    event = (await world.events("channel.delivery_failed"))[0]
    assert (event["channel_id"], event["delivery_id"], event["moment"]) == (channel_id, row["id"], "down")


async def test_a_slow_channel_never_delays_another(
    notifier: Notifier, world: World, http_sink: HttpServer, second_sink: HttpServer
) -> None:
    http_sink.response = Response(200, delay_seconds=60)
    slow = await world.webhook(http_sink.url, timeout=2)
    quick = await world.webhook(second_sink.url)
    started = time.monotonic()
    for number in range(20):
        await world.open_incident(await world.add_monitor(f"m{number}"), f"m{number}")

    async def quick_done() -> bool:
        rows = await world.deliveries(quick)
        return len(rows) == 20 and all(row["state"] == "delivered" for row in rows)

    await eventually(quick_done)
    assert time.monotonic() - started < 3
    waits = [(row["delivered_at"] - row["created_at"]).total_seconds() for row in await world.deliveries(quick)]
    assert max(waits) < 1.5
    assert all(row["state"] == "pending" for row in await world.deliveries(slow))


async def test_recovery_never_comes_before_its_down(notifier: Notifier, world: World, http_sink: HttpServer) -> None:
    http_sink.script = [Response(500), Response(500)]
    await world.webhook(http_sink.url)
    monitor_id = await world.add_monitor()
    incident_id = await world.open_incident(monitor_id)
    await world.resolve_incident(incident_id, monitor_id)
    rows = await world.settled(2, 20)
    assert [row["state"] for row in rows] == ["delivered", "delivered"]
    assert kinds(http_sink) == ["incident.down"] * 3 + ["incident.recovered"]


async def test_a_down_that_failed_for_good_does_not_hold_up_what_follows(
    notifier: Notifier, world: World, http_sink: HttpServer
) -> None:
    http_sink.script = [Response(500), Response(400)]
    await world.webhook(http_sink.url)
    monitor_id = await world.add_monitor()
    incident_id = await world.open_incident(monitor_id)
    await world.resolve_incident(incident_id, monitor_id)
    rows = await world.settled(2, 20)
    assert [(row["moment"], row["state"]) for row in rows] == [("down", "failed"), ("up", "delivered")]


async def test_suppressed_intents_are_kept_with_their_reason_and_told_when_it_ends(
    notifier: Notifier, world: World, http_sink: HttpServer
) -> None:
    await world.webhook(http_sink.url)
    monitor_id = await world.add_monitor()
    incident_id = await world.open_incident(monitor_id, suppressed="maintenance: move")
    first = (await world.settled(1))[0]
    assert (first["state"], first["reason"]) == ("suppressed", "suppressed: maintenance: move")
    assert http_sink.requests == []
    event = IncidentUnsuppressed(at_ms=now_ms(), incident_id=incident_id, monitor_id=monitor_id, reason="it ended")
    await world.append(event)
    rows = await world.settled(2)
    assert rows[1]["state"] == "delivered"
    assert kinds(http_sink) == ["incident.down"]


async def test_the_four_moments_of_a_check_saved_by_its_retry_and_of_a_real_outage(
    notifier: Notifier, world: World, http_sink: HttpServer
) -> None:
    moments = ("down", "up", "first_failure", "first_success")
    await world.add_channel("webhook", {"url": http_sink.url}, moments)
    monitor_id = await world.add_monitor()
    about = {"monitor_id": monitor_id, "region": "local", "slot_ms": 1}
    await world.append(FirstFailure(at_ms=now_ms(), error="timeout", **about))
    await world.append(FirstSuccess(at_ms=now_ms(), **about))
    await world.settled(2)
    await world.append(FirstFailure(at_ms=now_ms(), error="timeout", confirmed=True, **about))
    incident_id = await world.open_incident(monitor_id)
    await world.settled(4)
    await world.append(FirstSuccess(at_ms=now_ms(), recovered=True, **about))
    await world.resolve_incident(incident_id, monitor_id)
    await world.settled(6)
    assert kinds(http_sink) == [
        "check.first_failure",
        "check.first_success",
        "incident.down",
        "incident.recovered",
    ]


async def test_single_failures_stay_quiet_in_maintenance(
    notifier: Notifier, world: World, http_sink: HttpServer
) -> None:
    await world.add_channel("webhook", {"url": http_sink.url}, ("first_failure",))
    monitor_id = await world.add_monitor()
    async with world.db.connection() as connection:
        await connection.execute(
            "insert into config.maintenance (name, monitor_ids, starts_at, ends_at) "
            "values ('move', $1, now() - interval '1 hour', now() + interval '1 hour')",
            [monitor_id],
        )
    await world.append(FirstFailure(at_ms=now_ms(), monitor_id=monitor_id, region="local", slot_ms=1))
    row = (await world.settled(1))[0]
    assert (row["state"], row["reason"]) == ("suppressed", "suppressed: maintenance move")


async def test_region_news_go_to_those_who_take_them(notifier: Notifier, world: World, http_sink: HttpServer) -> None:
    await world.webhook(http_sink.url)
    await world.add_channel("webhook", {"url": http_sink.url}, ("region",))
    await world.append(RegionSilenced(at_ms=now_ms(), region="eu", last_seen_ms=now_ms() - 10_000))
    await world.settled(1)
    assert kinds(http_sink) == ["region.silent"]


async def test_reading_the_log_again_tells_nobody_twice(
    notifier: Notifier, world: World, database: Database, http_sink: HttpServer
) -> None:
    await world.webhook(http_sink.url)
    await world.open_incident(await world.add_monitor())
    await world.settled(1)
    async with database.transaction() as connection:
        end = await read_position(connection, CONSUMER)
        await save_position(connection, CONSUMER, 0)

    async def read_again() -> bool:
        async with database.connection() as connection:
            return await read_position(connection, CONSUMER) == end

    await eventually(read_again)
    assert (len(await world.deliveries()), len(http_sink.requests)) == (1, 1)


async def test_channels_deleted_or_switched_off_meanwhile_are_not_written_to(
    notifier: Notifier, world: World, http_sink: HttpServer
) -> None:
    http_sink.response = Response(500)
    gone, off = await world.webhook(http_sink.url), await world.webhook(http_sink.url)
    await world.open_incident(await world.add_monitor())
    await eventually(lambda: len(http_sink.requests) >= 2)
    async with world.db.connection() as connection:
        await connection.execute("update config.channels set deleted_at = now() where id = $1", gone)
        await connection.execute("update config.channels set enabled = false where id = $1", off)
    reasons = {row["channel_id"]: (row["state"], row["reason"]) for row in await world.settled(2)}
    assert reasons[gone] == ("suppressed", "the channel was deleted before its turn")
    assert reasons[off] == ("suppressed", "the channel was switched off before its turn")


async def test_a_secret_that_no_key_decrypts_is_said_and_mended_by_the_right_one(
    notifier: Notifier, world: World, http_sink: HttpServer
) -> None:
    stranger = World(world.db)
    await stranger.add_channel("slack", {"webhook_url": http_sink.url})
    await world.open_incident(await world.add_monitor())

    async def complained() -> bool:
        rows = await world.deliveries()
        return bool(rows and rows[0]["error"] and "no key in the key file decrypts" in rows[0]["error"])

    await eventually(complained)
    async with world.db.connection() as connection:
        mended = {"webhook_url": world.box.encrypt(http_sink.url)}
        await connection.execute("update config.channels set config = $1", mended)
    assert (await world.settled(1, 20))[0]["state"] == "delivered"


async def test_an_event_that_does_not_read_stops_nothing(
    notifier: Notifier, world: World, http_sink: HttpServer
) -> None:
    await world.webhook(http_sink.url)
    recorded = await world.append(RegionSilenced(at_ms=now_ms(), region="eu", last_seen_ms=1))
    async with world.db.transaction() as connection:
        await connection.execute("delete from alerting.deliveries")
        await save_position(connection, CONSUMER, recorded.position - 1)
        await connection.execute(
            "update log.events set data = '{\"region\": 7}' where position = $1", recorded.position
        )
    await world.open_incident(await world.add_monitor())
    assert [row["state"] for row in await world.settled(1)] == ["delivered"]


@pytest.mark.parametrize("answer", [b"a\x00b\xff\xfe", "\ud800".encode("utf-8", "surrogatepass"), b"\x1b[31m" * 2000])
async def test_an_odd_answer_is_recorded_and_the_message_not_repeated(
    answer: bytes, notifier: Notifier, world: World, http_sink: HttpServer
) -> None:
    http_sink.response = Response(200, answer)
    await world.webhook(http_sink.url)
    await world.open_incident(await world.add_monitor())
    assert [(row["state"], row["attempts"]) for row in await world.settled(1)] == [("delivered", 1)]
    assert len(http_sink.requests) == 1


async def test_a_stored_message_that_does_not_read_is_given_up(
    notifier: Notifier, world: World, http_sink: HttpServer
) -> None:
    channel_id = await world.webhook(http_sink.url)
    async with world.db.connection() as connection:
        await connection.execute(
            "insert into alerting.deliveries (channel_id, moment, dedup_key, thread, give_up_at, message) "
            "values ($1, 'down', 'msg_odd', 'incident-9', now() + interval '1 hour', '{}')",
            channel_id,
        )
    row = (await world.settled(1))[0]
    assert row["state"] == "failed"
    assert "does not read" in row["error"]


async def test_two_notifiers_share_the_work_and_double_nothing(
    start: StartNotifier, world: World, http_sink: HttpServer, second_sink: HttpServer
) -> None:
    await start()
    await start()
    http_sink.response = second_sink.response = Response(200, delay_seconds=0.02)
    await world.webhook(http_sink.url)
    await world.webhook(second_sink.url)
    for number in range(30):
        await world.open_incident(await world.add_monitor(f"m{number}"), f"m{number}")
    rows = await world.settled(60, 20)
    assert {(row["state"], row["attempts"]) for row in rows} == {("delivered", 1)}
    assert sorted(keys(http_sink) + keys(second_sink)) == sorted(row["dedup_key"] for row in rows)


async def test_what_is_older_than_a_day_is_given_up_and_reported(
    world: World, start: StartNotifier, http_sink: HttpServer
) -> None:
    channel_id = await world.webhook(http_sink.url)
    async with world.db.connection() as connection:
        await connection.execute(
            "insert into alerting.deliveries (channel_id, moment, dedup_key, thread, give_up_at, message) "
            "values ($1, 'down', 'msg_old', 'incident-9', now() - interval '1 second', '{}')",
            channel_id,
        )
    await start()
    row = (await world.settled(1))[0]
    assert (row["state"], row["attempts"]) == ("failed", 0)
    assert len(await world.events("channel.delivery_failed")) == 1
    assert http_sink.requests == []
