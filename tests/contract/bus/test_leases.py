"""Leases: one holder, quick succession, and no holder who believes in a lease that is over."""

import asyncio
import time
from collections.abc import Awaitable, Callable

import pytest

from farwatch_bus import Bus, ensure_leases
from tests.faults.proxy import proxied
from tests.support.servers import NatsProcess
from tests.support.waiting import eventually


@pytest.fixture(autouse=True)
async def leases(bus: Bus) -> None:
    await ensure_leases(bus)


ATTEMPTS = 4
SECONDS = 20
"""For what takes two: a busy machine may stand still for as long as a lease lasts."""


async def within_attempts(attempt: Callable[[str], Awaitable[None]]) -> None:
    """A lease is lost when the machine stands still for its two seconds, as it should be. So what is to be held gets a
    few attempts, each with a name of its own; what is wrong fails in all of them."""
    for number in range(1, ATTEMPTS + 1):
        try:
            await attempt(f"scheduler-{number}")
        except AssertionError:
            if number == ATTEMPTS:
                raise
        else:
            return


async def test_one_holds_it_for_as_long_as_it_lives(bus: Bus) -> None:
    async def attempt(name: str) -> None:
        mine, other = bus.lease(name, "a"), bus.lease(name, "b")
        assert await mine.acquire()
        for _ in range(10):
            await asyncio.sleep(0.4)
            assert mine.held
            assert not await other.acquire()
            assert not other.held
        assert await mine.acquire()

    await within_attempts(attempt)


async def test_names_are_apart(bus: Bus) -> None:
    assert await bus.lease("scheduler", "a").acquire()
    assert await bus.lease("relay", "b").acquire()


async def test_release_hands_over_at_once(bus: Bus) -> None:
    async def attempt(name: str) -> None:
        mine, other = bus.lease(name, "a"), bus.lease(name, "b")
        assert await mine.acquire()
        await mine.release()
        assert not mine.held
        assert await other.acquire()
        assert not await mine.acquire()

    await within_attempts(attempt)


async def test_crashed_holder_is_succeeded(bus: Bus, nats_server: NatsProcess) -> None:
    doomed = await Bus.connect(nats_server.url, name="doomed")
    mine, other = doomed.lease("scheduler", "a"), bus.lease("scheduler", "b")
    assert await mine.acquire()
    await asyncio.sleep(1)
    running = asyncio.create_task(other.run())
    await doomed._link.close()
    await asyncio.wait_for(other.wait_held(), SECONDS)
    assert not mine.held
    await asyncio.wait_for(mine.wait_lost(), SECONDS)
    running.cancel()
    await doomed.close()


async def test_holder_cut_off_knows_that_it_lost(bus: Bus, nats_server: NatsProcess) -> None:
    lease = bus.lease("scheduler", "a")
    assert await lease.acquire()
    nats_server.pause()
    try:
        await asyncio.wait_for(lease.wait_lost(), SECONDS)
        assert not lease.held
    finally:
        nats_server.resume()


async def test_held_ends_by_the_clock_even_when_nothing_runs(bus: Bus) -> None:
    lease = bus.lease("scheduler", "a")
    assert await lease.acquire()
    time.sleep(2.1)  # noqa: ASYNC251 - the loop has to stand still
    assert not lease.held
    await asyncio.wait_for(lease.wait_lost(), SECONDS)


async def test_quick_restart_of_the_server_keeps_it(bus: Bus, nats_server: NatsProcess) -> None:
    async def attempt(name: str) -> None:
        lease = bus.lease(name, "a")
        assert await eventually(lease.acquire, SECONDS, 0.1)
        await asyncio.sleep(0.6)
        nats_server.kill()
        nats_server.start()
        for _ in range(30):
            await asyncio.sleep(0.1)
            assert lease.held

    await within_attempts(attempt)


async def test_run_takes_it_back_after_an_outage(bus: Bus, nats_server: NatsProcess) -> None:
    lease = bus.lease("scheduler", "a")
    running = asyncio.create_task(lease.run())
    await asyncio.wait_for(lease.wait_held(), SECONDS)
    nats_server.kill()
    await asyncio.wait_for(lease.wait_lost(), SECONDS)
    await asyncio.sleep(1)
    nats_server.start()
    await asyncio.wait_for(lease.wait_held(), SECONDS)
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    assert not lease.held
    assert await eventually(bus.lease("scheduler", "b").acquire, SECONDS, 0.1)


async def test_never_two_holders_while_they_fight(bus: Bus, nats_server: NatsProcess) -> None:
    buses = [await Bus.connect(nats_server.url, name=f"n{number}") for number in range(4)]
    contenders = [own.lease("scheduler", f"n{number}") for number, own in enumerate(buses)]
    running = [asyncio.create_task(lease.run()) for lease in contenders]
    for _ in range(6):
        [holder] = await eventually(lambda: [lease for lease in contenders if lease.held], timeout_seconds=SECONDS)
        for _ in range(20):
            assert sum(lease.held for lease in contenders) <= 1
            await asyncio.sleep(0.005)
        await holder.release()
    for task in running:
        task.cancel()
    for own in buses:
        await own.close()


async def test_no_bucket_or_no_server_is_a_no(bus: Bus, nats_server: NatsProcess) -> None:
    await bus.api("STREAM.DELETE.KV_leases")
    assert not await bus.lease("scheduler", "a").acquire()
    nats_server.kill()
    assert not await asyncio.wait_for(bus.lease("scheduler", "a").acquire(), SECONDS)


async def test_longer_than_the_bucket_remembers_is_refused(bus: Bus) -> None:
    with pytest.raises(ValueError, match="outlives"):
        bus.lease("scheduler", "a", ttl_seconds=5)


async def test_answers_that_take_half_a_second_are_quick_enough(bus: Bus, nats_server: NatsProcess) -> None:
    host, _, port = nats_server.url.rpartition("/")[2].partition(":")
    async with proxied((host, int(port))) as proxy:
        slow = await Bus.connect(f"nats://127.0.0.1:{proxy.port}", name="slow")

        async def attempt(name: str) -> None:
            mine, other = slow.lease(name, "a"), bus.lease(name, "b")
            assert await mine.acquire()
            for _ in range(10):
                await asyncio.sleep(0.4)
                assert mine.held
                assert not await other.acquire()

        proxy.delay_seconds = 0.25
        await within_attempts(attempt)
        proxy.delay_seconds = 0.0
        await slow.close()
