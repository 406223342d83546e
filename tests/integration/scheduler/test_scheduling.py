"""The scheduler on real NATS and PostgreSQL: what reaches the probers, when, and what does not."""

import asyncio
import time
from collections import Counter

import pytest

from farwatch_bus import delete_stream
from farwatch_events.checks import CheckNowReply
from farwatch_events.events import ConfirmationRequested
from farwatch_events.subjects import CHECK_NOW_COMMAND, NOW_DURABLE, RING_DURABLE, checks_stream
from farwatch_scheduler import sync
from farwatch_scheduler.catalogue import Catalogue
from farwatch_scheduler.ring import phase_ms
from farwatch_store import read_log
from tests.integration.scheduler.conftest import REGION, Prober, World, ask_now, leading, now_ms, scheduling
from tests.support.waiting import eventually


async def create_push(world: World) -> int:
    statement = "insert into config.monitors (name, type, spec) values ('p', 'push', $1) returning id"
    async with world.db.connection() as connection:
        return int(await connection.fetchval(statement, {"type": "push", "name": "p"}))


async def test_every_monitor_is_asked_for_at_its_phase_and_once_an_interval(world: World, prober: Prober) -> None:
    ids = await world.add_monitors(300, interval_seconds=5)
    async with scheduling(world) as metrics:
        started_ms = now_ms()
        await asyncio.sleep(10.5)
        await eventually(lambda: max(slot_ms for _, slot_ms in prober.slots()) > started_ms + 10_500, 30)
        slots = prober.slots()
    assert {slot_ms % 5_000 for monitor_id, slot_ms in slots if slot_ms % 5_000 != phase_ms(monitor_id, 5_000)} == set()
    assert max(Counter(slots).values()) == 1
    whole = Counter(monitor_id for monitor_id, slot_ms in slots if started_ms + 500 < slot_ms <= started_ms + 10_500)
    assert whole == dict.fromkeys(ids, 2)
    assert max(chunk.tick_ms for _, chunk, _ in prober.asked) <= now_ms()
    assert prober.asked[0][1].epoch == 1
    assert prober.asked[0][2].config_version == 1
    (late,) = metrics.lateness.collect()
    within = {sample.labels.get("le"): sample.value for sample in late.samples}
    assert 0 < within["0.25"] <= within["+Inf"]


async def test_a_new_monitor_is_checked_within_a_second_and_joins_the_ring(world: World, prober: Prober) -> None:
    async with scheduling(world):
        await leading(world)
        created = time.monotonic()
        monitor_id = await world.create_monitor(interval_seconds=5)
        await eventually(lambda: prober.asked, timeout_seconds=3)
        assert time.monotonic() - created < 1
        durable, chunk, check = prober.asked[0]
        assert (durable, check.monitor_id, check.kind) == (NOW_DURABLE, monitor_id, "scheduled")
        assert abs(check.slot_ms - now_ms()) < 1_000
        assert chunk.region == REGION
        await eventually(lambda: prober.slots(RING_DURABLE), timeout_seconds=6)


async def test_a_paused_monitor_is_asked_for_no_more(world: World, prober: Prober) -> None:
    paused, other = await world.add_monitors(2, interval_seconds=5)
    async with scheduling(world):
        await eventually(lambda: {paused, other} <= {each for each, _ in prober.slots()}, timeout_seconds=7)
        await world.pause_monitor(paused)
        await asyncio.sleep(0.5)
        before = len(prober.asked)
        await asyncio.sleep(5.2)
        assert {check.monitor_id for _, _, check in prober.asked[before:]} == {other}
        assert (await ask_now(world, paused)).error == "the monitor is paused"


async def test_push_monitors_are_never_scheduled(world: World, prober: Prober) -> None:
    async with scheduling(world):
        await leading(world)
        push = await create_push(world)
        await asyncio.sleep(1.5)
        assert prober.asked == []
        assert "push" in ((await ask_now(world, push)).error or "")


async def test_check_now_asks_each_region_for_one_try(world: World, prober: Prober) -> None:
    (monitor_id,) = await world.add_monitors(1, interval_seconds=3600, retries=3)
    async with scheduling(world):
        await leading(world)
        replies = [await eventually(lambda: ask_now(world, monitor_id), timeout_seconds=3)]
        replies += await asyncio.gather(*(ask_now(world, monitor_id, f"r-{n}") for n in (2, 3)))
        await eventually(lambda: len(prober.asked) == 3)
    assert [(reply.regions, reply.error) for reply in replies] == [([REGION], None)] * 3
    assert {check.slot_ms for _, _, check in prober.asked} == {reply.slot_ms for reply in replies}
    asked = {(durable, check.kind, check.tries, check.request_id) for durable, _, check in prober.asked}
    assert asked == {(NOW_DURABLE, "manual", 1, f"r-{n}") for n in (1, 2, 3)}


async def test_check_now_of_what_cannot_be_checked_says_why(world: World, prober: Prober) -> None:
    (elsewhere,) = await world.add_monitors(1, regions=["moon"])
    async with scheduling(world):
        await leading(world)
        assert (await ask_now(world, 4711)).error == "there is no such monitor"
        assert (await ask_now(world, elsewhere)).error == "none of the monitor's regions has a prober"
        answer = await world.bus.request(CHECK_NOW_COMMAND, b"{}", 5)
        assert CheckNowReply.from_bytes(answer).error == "this is not a CheckNowRequest"


async def test_a_confirmation_goes_to_the_region_that_was_named(world: World, prober: Prober) -> None:
    (monitor_id,) = await world.add_monitors(1, interval_seconds=3600)
    await world.open_region("us")
    other = Prober(world.bus, "us")
    async with scheduling(world):
        await leading(world)
        async with world.db.transaction() as connection:
            await world.record(
                connection,
                ConfirmationRequested(
                    at_ms=1, monitor_id=monitor_id, region="us", failed_slot_ms=42, reason="eu failed"
                ),
            )
        await eventually(lambda: other.asked)
    durable, _, check = other.asked[0]
    assert (durable, check.kind, check.tries, check.confirmation_of_ms) == (NOW_DURABLE, "confirmation", 1, 42)
    assert prober.asked == []
    await other.stop()


async def test_a_region_without_streams_holds_up_nobody_and_joins_once_it_has_them(
    world: World, prober: Prober
) -> None:
    await world.add_monitors(20, interval_seconds=5)
    await world.open_region("us")
    await delete_stream(world.bus, checks_stream("us"))
    async with world.db.connection() as connection:
        await connection.execute("insert into config.regions (name, enabled) values ('old', false)")
    async with scheduling(world):
        await eventually(lambda: len({each for each, _ in prober.slots()}) == 20, timeout_seconds=7)
        async with world.db.connection() as connection:
            await connection.execute("delete from config.regions where name = 'us'")
        await world.open_region("us")
        joined = Prober(world.bus, "us")
        await eventually(lambda: joined.asked, timeout_seconds=4)
        await joined.stop()
    assert max(Counter(prober.slots()).values()) == 1


async def test_a_monitor_that_comes_before_its_region_is_checked_as_soon_as_that_is_there(
    world: World, prober: Prober
) -> None:
    async with scheduling(world):
        await leading(world)
        early = await world.create_monitor(interval_seconds=3600, regions=["late"])
        known = await world.create_monitor(interval_seconds=3600)
        await eventually(lambda: prober.asked, timeout_seconds=10)  # so the log was followed as far as that
        await world.open_region("late")
        joined = Prober(world.bus, "late")
        await eventually(lambda: joined.asked, timeout_seconds=20)
        await joined.stop()
    assert [(durable, check.monitor_id) for durable, _, check in joined.asked] == [(NOW_DURABLE, early)]
    assert [(durable, check.monitor_id) for durable, _, check in prober.asked] == [(NOW_DURABLE, known)]


async def test_a_wall_clock_that_is_set_starts_a_new_epoch(world: World, prober: Prober) -> None:
    await world.add_monitors(50, interval_seconds=5)
    shift_ms = 0
    async with scheduling(world, wall_ms=lambda: now_ms() + shift_ms):
        await eventually(lambda: len(prober.asked) > 10, timeout_seconds=7)
        shift_ms = 10_000
        await eventually(lambda: any(chunk.epoch == 2 for _, chunk, _ in prober.asked), timeout_seconds=5)
        shift_ms = -20_000
        await eventually(lambda: any(chunk.epoch == 3 for _, chunk, _ in prober.asked), timeout_seconds=5)
        back = next(chunk for _, chunk, _ in prober.asked if chunk.epoch == 3)
        assert abs(back.tick_ms - (now_ms() - 20_000)) < 2_000
    async with world.db.connection() as connection:
        events = await read_log(connection, 0, 100, ["schedule.epoch_started"])
    assert [event.data["epoch"] for event in events] == [1, 2, 3]
    assert "the wall clock was set by" in events[1].data["reason"]


async def test_slots_far_ahead_of_the_bus_are_parked_with_an_event(world: World, prober: Prober) -> None:
    (monitor_id, *_) = await world.add_monitors(50, interval_seconds=5)
    shift_ms = 120_000
    async with scheduling(world, wall_ms=lambda: now_ms() + shift_ms):

        async def parked() -> bool:
            async with world.db.connection() as connection:
                return bool(await read_log(connection, 0, 10, ["schedule.slots_parked"]))

        await leading(world)
        await eventually(parked, timeout_seconds=6)
        before = len(prober.asked)
        assert "clock is wrong" in ((await ask_now(world, monitor_id)).error or "")
        await asyncio.sleep(1)
        assert len(prober.asked) == before
        shift_ms = 0
        await eventually(lambda: len(prober.asked) > before + 20, timeout_seconds=8)
    assert before == 0


async def test_synchronising_reads_what_changed_and_lets_go_of_what_went(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sync, "VERSIONS", 7)
    monkeypatch.setattr(sync, "PAGE", 3)
    ids = await world.add_monitors(20)
    catalogue = Catalogue()
    assert await sync.synchronise(world.db, catalogue) == 20
    assert await sync.synchronise(world.db, catalogue) == 0
    await world.pause_monitor(ids[3])
    await world.add_monitors(1)
    async with world.db.connection() as connection:
        await connection.execute("update config.monitors set deleted_at = now() where id = $1", ids[15])
    assert await sync.synchronise(world.db, catalogue) == 3
    assert len(catalogue) == 19
    assert catalogue.get(ids[3]) is None
    assert await sync.synchronise(world.db, catalogue) == 0
