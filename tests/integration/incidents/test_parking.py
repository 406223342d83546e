"""A message that cannot be taken is put aside, and nothing else waits for it."""

import time

from farwatch_events.events import MonitorUpdated
from farwatch_events.monitor import dump_monitor, parse_monitor
from farwatch_events.subjects import result as result_subject
from farwatch_incidents.fold import Fold
from farwatch_runtime.clock import now_ms
from tests.integration.incidents.conftest import World, down, up
from tests.support.waiting import eventually


async def test_what_is_no_message_is_kept_and_told(world: World, fold: Fold) -> None:
    await world.region("eu")
    monitor_id = await world.monitor()
    await world.publisher.publish(result_subject("eu"), b'{"type": "results", "region"')
    await world.publisher.publish(result_subject("eu"), b"\xff\x00")
    await world.say("eu", up(monitor_id, now_ms()))
    await world.folded(1)
    parked = await world.rows("select source, sequence, data, reason from health.parked order by sequence")
    assert [(row["source"], row["sequence"], row["data"]) for row in parked] == [
        ("RESULTS_eu", 1, b'{"type": "results", "region"'),
        ("RESULTS_eu", 2, b"\xff\x00"),
    ]
    assert parked[0]["reason"].startswith("not a message: ")
    events = await world.rows("select data from log.events where type = 'fold.message_parked'")
    assert [(row["data"]["source"], row["data"]["sequence"]) for row in events] == [("RESULTS_eu", 1)]


async def test_what_the_database_refuses_is_found_and_put_aside(world: World, fold: Fold) -> None:
    await world.region("eu")
    await world.region("us")
    monitors = [await world.monitor() for _ in range(5)]
    await world.say("eu", *(up(each, now_ms() - 60_000) for each in monitors))
    await world.folded(5)
    began = time.monotonic()
    slot = now_ms()
    for number in range(20):
        await world.say("eu", *(up(each, slot + number) for each in monitors))
        if number == 10:
            await world.say("eu", up(monitors[0], slot + 500, latency_ms=1e300))
        await world.say("us", down(monitors[0], slot + number))
    await eventually(lambda: world._stored(125), timeout_seconds=30)
    assert time.monotonic() - began < 20
    parked = await world.rows("select source, sequence, reason from health.parked")
    assert [(row["source"], row["sequence"]) for row in parked] == [("RESULTS_eu", 13)]
    assert await world.one("select count(*) from log.events where type = 'fold.message_parked'") == 1
    assert not fold.poison.one_by_one
    await world.say("us", up(monitors[0], slot + 1000))
    await world.folded(126)


async def test_a_monitor_that_cannot_be_read_hides_no_other(world: World) -> None:
    from tests.integration.incidents.conftest import folding

    await world.region("eu")
    monitor_id, odd = await world.monitor(), await world.monitor()
    await world.db.pool.execute("""update config.monitors set spec = '{"type": 7}' where id = $1""", odd)
    async with folding(world.bus, world.db):
        await world.say("eu", up(odd, now_ms()), down(monitor_id, now_ms()))
        await eventually(lambda: world.one("select 1 from health.incidents where monitor_id = $1", monitor_id))
        spec = dump_monitor(parse_monitor({"type": "ping", "name": "mended", "host": "a.test", "retries": 0}))
        event = MonitorUpdated(at_ms=now_ms(), monitor_id=odd, config_version=2, changed=["type"], spec=spec)
        mend = "update config.monitors set spec = $2, config_version = 2 where id = $1"
        await world.log(event, mend, odd, spec)
        await eventually(lambda: _is_down(world, odd), timeout_seconds=10)


async def _is_down(world: World, monitor_id: int) -> bool:
    await world.say("eu", down(monitor_id, now_ms(), config_version=2))
    return bool(await world.one("select 1 from health.incidents where monitor_id = $1", monitor_id))


async def test_the_log_says_which_result_brought_an_incident(world: World, fold: Fold) -> None:
    await world.region("eu")
    monitor_id, slot = await world.monitor(), now_ms()
    await world.say("eu", down(monitor_id, slot))
    await eventually(lambda: world.one("select 1 from health.incidents"))
    meta = await world.one("select meta from log.events where type = 'incident.opened'")
    assert (meta["actor"], meta["cause"]) == ("incidents", f"result:{monitor_id}/eu/{slot}/scheduled")
