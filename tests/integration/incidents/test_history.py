"""Rollups, uptime and retention on a real PostgreSQL."""

import asyncio
import contextlib
import time
from datetime import UTC, datetime, timedelta
from typing import Any

import asyncpg
import pytest

from farwatch_events.histogram import count, merge, percentile
from farwatch_incidents.changes import HISTORY_COLUMNS
from farwatch_incidents.history import DAY_MS, HOUR_MS, history_row, moment
from farwatch_incidents.partitions import (
    day_of,
    drop_day,
    ensure_days,
    partition_name,
    present_days,
    stored_days,
)
from farwatch_incidents.retention import Keep, drop_old_days, retain
from farwatch_incidents.rollups import roll_up
from farwatch_store import Database
from tests.integration.incidents.conftest import down, up

DAY = day_of(1_790_000_000_000)
HOUR = DAY * DAY_MS + 5 * HOUR_MS
NOW = HOUR + 2 * HOUR_MS + 20 * 60_000


async def store(database: Database, *results: Any, region: str = "eu") -> None:
    async with database.connection() as connection:
        await ensure_days(connection, {result.slot_ms // DAY_MS for result in results})
        await connection.copy_records_to_table(
            "check_results",
            schema_name="health",
            columns=HISTORY_COLUMNS,
            records=[history_row(region, result) for result in results],
        )


async def only(database: Database, query: str, *arguments: Any) -> dict[str, Any]:
    rows = await database.pool.fetch(query, *arguments)
    assert len(rows) == 1
    return dict(rows[0])


async def prepare(database: Database, *monitors: int) -> None:
    await database.pool.execute("update health.shards set now_ms = $1", NOW)
    for monitor_id in monitors:
        await database.pool.execute(
            "insert into health.verdicts (monitor_id, verdict, since) values ($1, 'up', now())", monitor_id
        )


async def test_an_hour_is_rolled_up_and_its_day_with_it(database: Database) -> None:
    await prepare(database, 1, 2)
    latencies = [10.0 * number for number in range(1, 61)]
    await store(
        database,
        *(
            up(1, HOUR + number * 60_000, latency_ms=latency, phases={"dns_ms": 1.0, "connect_ms": 2.0})
            for number, latency in enumerate(latencies)
        ),
        down(2, HOUR),
        up(2, HOUR + 60_000, outcome="degraded", latency_ms=900.0),
        up(1, HOUR + HOUR_MS, latency_ms=5.0),
    )
    assert await roll_up(database) == 7
    row = await only(database, "select * from health.rollup_hours where monitor_id = 1 and at = $1", moment(HOUR))
    assert (row["up"], row["down"], row["latency_count"], row["latency_max_ms"]) == (60, 0, 60, 600.0)
    assert row["latency_sum_ms"] == sum(latencies)
    assert row["histogram"] == count(latencies)
    assert row["phase_ms"] == [60.0, 120.0, 0.0, 0.0, 0.0]
    assert abs((percentile(row["histogram"], 0.5) or 0) - 300) / 300 < 0.1
    other = await only(database, "select * from health.rollup_hours where monitor_id = 2")
    assert (other["up"], other["degraded"], other["down"], other["latency_count"]) == (0, 1, 1, 1)
    day = await only(database, "select * from health.rollup_days where monitor_id = 1")
    assert (day["up"], day["at"]) == (61, moment(DAY * DAY_MS))
    assert day["histogram"] == merge([row["histogram"], count([5.0])])
    assert await roll_up(database) == 0


async def test_a_late_result_makes_its_hour_and_day_anew(database: Database) -> None:
    await prepare(database, 1)
    await store(database, up(1, HOUR))
    await roll_up(database)
    await store(database, up(1, HOUR + 1000))
    await database.pool.execute(
        "update health.rollup_progress set dirty = true where period = 'hour' and at = $1", moment(HOUR)
    )
    assert await roll_up(database) == 1
    assert await database.pool.fetchval("select up from health.rollup_hours") == 2
    assert await database.pool.fetchval("select up from health.rollup_days") == 2


async def test_an_open_hour_waits_for_the_watermarks(database: Database) -> None:
    await prepare(database, 1)
    await database.pool.execute("update health.shards set now_ms = $1", HOUR + HOUR_MS + 60_000)
    await store(database, up(1, HOUR))
    await roll_up(database)
    assert await database.pool.fetchval("select count(*) from health.rollup_hours") == 0
    region = "insert into health.regions (region, last_heartbeat_at, watermark_ms) values ('eu', now(), $1)"
    await database.pool.execute(region, HOUR + HOUR_MS)
    await roll_up(database)
    assert await database.pool.fetchval("select count(*) from health.rollup_hours") == 1


async def test_uptime_is_time_weighted_and_maintenance_apart(database: Database) -> None:
    await prepare(database, 1)
    monitor = "insert into config.monitors (name, type, spec) values ('m', 'http', '{}') returning id"
    assert await database.pool.fetchval(monitor) == 1
    change = "insert into health.verdict_changes (monitor_id, at, verdict) values (1, $1, $2)"
    await database.pool.execute(change, moment(HOUR - HOUR_MS), "up")
    await database.pool.execute(change, moment(HOUR + 600_000), "down")
    await database.pool.execute(change, moment(HOUR + 900_000), "up")
    await database.pool.execute(
        "insert into config.maintenance (name, monitor_ids, starts_at, ends_at) values ('m', '{1}', $1, $2)",
        moment(HOUR + 1_800_000),
        moment(HOUR + 2_400_000),
    )
    await store(database, up(1, HOUR))
    await roll_up(database)
    row = await only(database, "select * from health.uptime_hours where at = $1", moment(HOUR))
    assert (row["up_seconds"], row["down_seconds"], row["maintenance_seconds"]) == (2700, 300, 600)
    day = await only(database, "select * from health.uptime_days")
    assert day["up_seconds"] == 2700 + 2 * 3600  # the hour before and the hour after as well


async def test_what_is_too_old_goes(database: Database) -> None:
    now_ms = NOW
    await prepare(database, 1)
    async with database.connection() as connection:
        await ensure_days(connection, range(DAY - 10, DAY + 2))
    await database.pool.execute("insert into config.monitors (name, type, spec) values ('m', 'http', '{}')")
    for prober, days in (("old", 8), ("new", 6)):
        seen = moment(now_ms - days * DAY_MS)
        await database.pool.execute(
            "insert into health.probers (region, prober, last_seen_at) values ('eu', $1, $2)", prober, seen
        )
    for days in (0, 89, 91, 399, 401, 402):
        at = datetime.fromtimestamp(now_ms / 1000, UTC) - timedelta(days=days)
        for table in ("rollup_hours", "rollup_days"):
            await database.pool.execute(
                f"insert into health.{table} values ($1, 1, 'eu', 1, 0, 0, 0, 0, 0, null, '{{}}', '{{}}')", at
            )
        await database.pool.execute("insert into health.verdict_changes values (1, $1, 'up')", at)
    assert await retain(database, Keep(), now_ms) == 3
    async with database.connection() as connection:
        assert await present_days(connection) == set(range(DAY - 7, DAY + 2))
    assert await database.pool.fetchval("select count(*) from health.rollup_hours") == 2
    assert await database.pool.fetchval("select count(*) from health.rollup_days") == 4
    assert await database.pool.fetchval("select count(*) from health.verdict_changes") == 5  # 401 was in force
    assert await database.pool.fetchval("select array_agg(prober) from health.probers") == ["new"]


async def test_a_day_half_taken_away_is_taken_away_by_whoever_comes_next(database: Database) -> None:
    async with database.connection() as connection:
        await ensure_days(connection, range(DAY - 9, DAY + 1))
        await connection.execute(
            f"alter table health.check_results detach partition health.{partition_name(DAY - 9)} concurrently"
        )
    reader = await database.connect_alone()
    transaction = reader.transaction()
    await transaction.start()
    await reader.execute("select count(*) from health.check_results")
    async with database.connection() as connection:
        await connection.execute("set statement_timeout = '300ms'")
        with pytest.raises(asyncpg.QueryCanceledError):
            await drop_day(connection, DAY - 8, "attached")
        await connection.execute("reset statement_timeout")
        assert (await stored_days(connection))[DAY - 8] == "pending"
        assert (await stored_days(connection))[DAY - 9] == "apart"
    await transaction.rollback()
    await reader.close()
    assert await drop_old_days(database, DAY - 7) == 2
    async with database.connection() as connection:
        assert set(await stored_days(connection)) == set(range(DAY - 7, DAY + 1))


async def test_nobody_waits_while_a_day_is_taken_away_behind_a_reader(database: Database) -> None:
    """Dropping a partition outright asks for the whole table alone, and every writer queues up behind that."""
    async with database.connection() as connection:
        await ensure_days(connection, (DAY - 9, DAY))
    reader = await database.connect_alone()
    transaction = reader.transaction()
    await transaction.start()
    await reader.execute("select count(*) from health.check_results")
    dropping = asyncio.create_task(drop_old_days(database, DAY - 7))
    await asyncio.sleep(0.2)
    began = time.monotonic()
    for number in range(5):
        await store(database, up(1, HOUR + number))
    assert time.monotonic() - began < 1
    assert not dropping.done()
    await transaction.rollback()
    await reader.close()
    assert await dropping == 1


async def test_old_dirty_hours_do_not_stand_in_the_way(database: Database) -> None:
    await prepare(database, 1)
    await store(database, up(1, HOUR))
    await roll_up(database)
    await database.pool.execute(
        "insert into health.rollup_progress (period, at, dirty)"
        " select 'hour', $1::timestamptz - make_interval(hours => n), true from generate_series(100, 300) n",
        moment(HOUR),
    )
    await store(database, up(1, HOUR + 1000))
    await database.pool.execute(
        "update health.rollup_progress set dirty = true where period = 'hour' and at = $1", moment(HOUR)
    )
    assert await roll_up(database) == 1


async def test_rollups_killed_anywhere_end_as_if_they_had_not_been(database: Database) -> None:
    await prepare(database, *range(1, 700))
    await store(database, *(up(monitor, HOUR + n * HOUR_MS) for monitor in range(1, 700) for n in (0, 1)))
    for patience in (0.02, 0.05, 0.1, 0.2, 0.4):
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(roll_up(database), patience)
    await roll_up(database)
    hours = "select count(*) as n, count(distinct monitor_id) as monitors, sum(up) as up from health.rollup_{}"
    assert await only(database, hours.format("hours")) == {"n": 1398, "monitors": 699, "up": 1398}
    assert await only(database, hours.format("days")) == {"n": 699, "monitors": 699, "up": 1398}
    # Once more, now that everything has been rolled up before.
    await store(database, *(up(monitor, HOUR + 1000) for monitor in range(1, 700)))
    await database.pool.execute(
        "update health.rollup_progress set dirty = true where period = 'hour' and at = $1", moment(HOUR)
    )
    for patience in (0.02, 0.05, 0.1, 0.2, 0.4):
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(roll_up(database), patience)
    await roll_up(database)
    assert (await only(database, hours.format("hours")))["up"] == 1398 + 699
    assert (await only(database, hours.format("days")))["up"] == 1398 + 699


async def test_an_hour_in_which_nobody_looked_is_unknown(database: Database) -> None:
    await prepare(database, 1)
    await store(database, up(1, HOUR))
    await database.pool.execute(
        "insert into health.verdict_changes (monitor_id, at, verdict) values (1, $1, 'up')", moment(HOUR - HOUR_MS)
    )
    await database.pool.execute(
        "insert into health.dark_spans values ($1, $2)", moment(HOUR + 600_000), moment(HOUR + 1_200_000)
    )
    await roll_up(database)
    row = await only(database, "select * from health.uptime_hours where at = $1", moment(HOUR))
    assert (row["up_seconds"], row["unknown_seconds"]) == (3000, 600)
