"""Results in, incidents out: over a real NATS and a real PostgreSQL."""

from farwatch_incidents.fold import Fold
from farwatch_runtime.clock import now_ms
from tests.integration.incidents.conftest import World, down, folding, up
from tests.support.waiting import eventually


async def resolved(world: World, monitor_id: int) -> bool:
    return bool(
        await world.one("select 1 from health.incidents where monitor_id = $1 and state = 'resolved'", monitor_id)
    )


async def is_open(world: World, monitor_id: int) -> bool:
    return bool(await world.one("select 1 from health.incidents where monitor_id = $1 and state = 'open'", monitor_id))


async def test_a_failure_opens_one_incident_and_a_success_resolves_it(world: World, fold: Fold) -> None:
    await world.region("eu")
    await world.region("us")
    monitor_id = await world.monitor(retries=1, interval_seconds=10)
    await world.beat("eu")
    await world.beat("us")
    start = now_ms() // 10_000 * 10_000
    for number, make in enumerate((up, down, down, up)):
        for region in ("eu", "us"):
            slot = start + number * 10_000
            result = make(monitor_id, slot) if make is up else down(monitor_id, slot, tries=2)
            await world.say(region, result)
        await world.folded(2 * (number + 1))
    await eventually(lambda: resolved(world, monitor_id))
    incidents = await world.rows("select * from health.incidents")
    assert len(incidents) == 1
    assert incidents[0]["reason"] == "Down: eu and us both failed 2 of 2 tries: connection refused"
    assert incidents[0]["severity"] == "down"
    assert incidents[0]["how_resolved"] == "recovered"
    stream = f"incident-{incidents[0]['id']}"
    assert await world.types(stream) == ["incident.opened", "incident.resolved"]
    lines = await world.rows("select * from health.incident_timeline order by seq")
    assert [line["seq"] for line in lines] == list(range(1, len(lines) + 1))
    assert [line["kind"] for line in lines][:3] == ["vote", "vote", "opened"]
    assert lines[-1]["kind"] == "resolved"
    assert lines[2]["event_id"] is not None
    assert [line["at"] for line in lines] == sorted(line["at"] for line in lines)
    assert await world.one("select count(*) from health.check_results") == 8
    verdicts = await world.rows("select verdict from health.verdict_changes order by at")
    assert [row["verdict"] for row in verdicts] == ["up", "down", "up"]


async def test_last_check_has_the_shape_of_the_api(world: World, fold: Fold) -> None:
    await world.region("eu")
    monitor_id = await world.monitor()
    await world.beat("eu")
    certificate = {"not_after_ms": 1_800_000_000_000, "days": 30, "subject": "CN=a", "issuer": "CN=b"}
    slot = now_ms() // 1000 * 1000
    await world.say("eu", up(monitor_id, slot, phases={"dns_ms": 1.5}, certificate=certificate, address="192.0.2.1"))
    check = await eventually(lambda: world.one("select last_check from health.monitor_state"))
    assert check["phases"] == {
        "dns_ms": 1.5,
        "connect_ms": None,
        "tls_ms": None,
        "wait_ms": None,
        "transfer_ms": None,
    }
    assert check["certificate"] == {
        "not_after": "2027-01-15T08:00:00Z",
        "days": 30,
        "subject": "CN=a",
        "issuer": "CN=b",
    }
    assert check | {"slot": None, "phases": None, "certificate": None} == {
        "slot": None, "region": "eu", "ok": True, "outcome": "up", "message": "", "latency_ms": 45.0, "phases": None,
        "status_code": 200,
        "address": "192.0.2.1", "attempts": 1, "error_class": None, "error": None, "reasons": [], "assertions": [],
        "certificate": None, "content_guard": None,
    }  # fmt: skip


async def test_time_in_which_nothing_was_heard_at_all_is_remembered(world: World) -> None:
    """Everything was down for an hour, the bus included: what stood before was nobody's finding meanwhile."""
    await world.region("eu")
    before = now_ms() - 3_600_000
    await world.db.pool.execute("update health.shards set now_ms = $1", before)
    async with folding(world.bus, world.db):
        await world.beat("eu")
        [span] = await eventually(lambda: world.rows("select * from health.dark_spans"))
        await world.beat("eu")
    assert round(span["starts_at"].timestamp() * 1000) == before
    assert abs(span["ends_at"].timestamp() * 1000 - now_ms()) < 30_000
    assert await world.one("select count(*) from health.dark_spans") == 1
