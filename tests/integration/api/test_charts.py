"""Charts at every range, from tables that hold what a year leaves behind."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest

from farwatch_api.queries.latency import POINTS_MAX
from farwatch_api.queries.uptime import floor_day, floor_hour
from farwatch_events.histogram import count
from farwatch_incidents.history import DAY_MS
from farwatch_incidents.partitions import ensure_days
from farwatch_incidents.rollups import roll_up
from tests.integration.api.conftest import TestDeps

REGIONS = ["eu", "us"]
PHASES = {"dns_ms": 1.0, "connect_ms": 2.0, "tls_ms": 3.0, "wait_ms": 4.0, "transfer_ms": 5.0}
MINUTE, HOUR, DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)


@pytest.fixture
async def monitor_id(client: httpx.AsyncClient, deps: TestDeps) -> int:
    body = {"type": "http", "name": "Shop", "url": "https://shop.example/"}
    created = (await client.post("/api/monitors", json=body)).json()["data"]
    async with deps.direct() as connection:
        await connection.execute("update config.monitors set created_at = now() - interval '400 days'")
        today = deps.now_ms() // DAY_MS
        await ensure_days(connection, range(today - 1, today + 1))
        await connection.executemany(
            "insert into health.monitor_state (monitor_id, region, vote, vote_slot, state)"
            " values ($1, $2, 'up', now(), '{}')",
            [(created["id"], region) for region in REGIONS],
        )
    return int(created["id"])


def every(step: timedelta, start: datetime, end: datetime, gap: tuple[datetime, datetime]) -> list[datetime]:
    """From `start` to before `end`, nothing in the gap."""
    moments = [start + number * step for number in range((end - start) // step)]
    return [at for at in moments if not gap[0] <= at < gap[1]]


async def fill_raw(deps: TestDeps, monitor_id: int, slots: Sequence[datetime]) -> None:
    async with deps.direct() as connection:
        await connection.execute(
            """
            insert into health.check_results (slot, monitor_id, region, outcome, latency_ms, dns_ms, connect_ms, tls_ms,
                wait_ms, transfer_ms)
            select slot, $1, region, 'up', case when region = 'us' then 200 else 100 end, 1, 2, 3, 4, 5
            from unnest($2::timestamptz[]) as slot, unnest($3::text[]) as region
            """,
            monitor_id,
            slots,
            REGIONS,
        )


async def fill_rolled(deps: TestDeps, table: str, monitor_id: int, moments: Sequence[datetime]) -> None:
    """Sixty results each, all of 100 ms in eu and 200 ms in us."""
    async with deps.direct() as connection:
        for region, latency_ms in (("eu", 100.0), ("us", 200.0)):
            await connection.execute(
                f"insert into health.{table} select at, $1, $2, 60, 0, 0, 0, 60, 60 * $3::float8, $3::float8, $4, $5"
                " from unnest($6::timestamptz[]) as at",
                monitor_id,
                region,
                latency_ms,
                count([latency_ms] * 60),
                [60 * each for each in PHASES.values()],
                moments,
            )


def steps(moments: Sequence[datetime], seconds: int, since: datetime) -> set[datetime]:
    """The beginnings of the steps in which something lies, from the first whole one."""
    begins = {datetime.fromtimestamp(at.timestamp() // seconds * seconds, UTC) for at in moments}
    return {at for at in begins if at > since}


async def test_every_range_shows_what_there_is_and_gaps_where_there_is_nothing(
    client: httpx.AsyncClient, deps: TestDeps, monitor_id: int, data: Any
) -> None:
    hour, today = floor_hour(datetime.now(UTC)), floor_day(datetime.now(UTC))
    raw = every(MINUTE, hour - DAY, hour, (hour - 5 * HOUR, hour - 3 * HOUR))
    hours = every(HOUR, hour - 91 * DAY, hour, (hour - 60 * HOUR, hour - 40 * HOUR))
    days = every(DAY, today - 366 * DAY, today, (today - 120 * DAY, today - 100 * DAY))
    await fill_raw(deps, monitor_id, raw)
    await fill_rolled(deps, "rollup_hours", monitor_id, hours)
    await fill_rolled(deps, "rollup_days", monitor_id, days)
    for length, source, filled in (
        (6 * HOUR, "raw", raw),
        (DAY, "raw", raw),
        (7 * DAY, "hour", hours),
        (30 * DAY, "hour", hours),
        (90 * DAY, "hour", hours),
        (365 * DAY, "day", days),
    ):
        path = f"/api/monitors/{monitor_id}/latency?hours={length // HOUR}"
        found = data(await client.get(path))
        assert (found["resolution"], found["regions"]) == (source, REGIONS), length
        assert 0 < len(found["points"]) <= POINTS_MAX
        since = datetime.now(UTC) - length
        for region, latency_ms in (("eu", 100), ("us", 200), (None, None)):
            points = [point for point in found["points"] if point["region"] == region]
            begins = {datetime.fromisoformat(point["at"]) for point in points}
            assert {at for at in begins if at > since} == steps(filled, found["step_seconds"], since), (length, region)
            assert all(point["phases"] == PHASES for point in points)
            assert all(point["up"] > 0 and point["down"] == 0 for point in points)
            if latency_ms:
                assert all(point["mean"] == point["max"] == latency_ms for point in points)
                assert all(point["p50"] == pytest.approx(latency_ms, rel=0.1) for point in points)
        alone = data(await client.get(f"{path}&region=us"))["points"]
        assert {point["region"] for point in alone} == {"us"}


async def test_an_hour_that_was_rolled_up_tells_what_its_results_told(
    client: httpx.AsyncClient, deps: TestDeps, monitor_id: int, data: Any
) -> None:
    """What incidents writes is what the api reads: the hours of a chart against the results they were made from."""
    hour = floor_hour(datetime.now(UTC)) - HOUR
    slots = every(MINUTE, hour - 3 * HOUR, hour, (hour - 2 * HOUR, hour - HOUR))
    await fill_raw(deps, monitor_id, slots)
    async with deps.direct() as connection:
        await connection.execute("update health.shards set now_ms = $1", deps.now_ms())
        await connection.execute(
            "insert into health.verdicts (monitor_id, verdict, since) values ($1, 'up', now())", monitor_id
        )
    await roll_up(deps.owner)
    path = f"/api/monitors/{monitor_id}"
    rolled = data(await client.get(f"{path}/latency?hours=168"))["points"]
    raw = data(await client.get(f"{path}/checks?hours=24&limit=500"))["items"]
    whole = {hour - 3 * HOUR, hour - HOUR}
    assert {datetime.fromisoformat(point["at"]) for point in rolled} == whole
    for region in REGIONS:
        results = [each for each in raw if each["region"] == region]
        points = [point for point in rolled if point["region"] == region]
        assert sum(point["up"] for point in points) == len(results) == 120
        assert {point["mean"] for point in points} == {results[0]["latency_ms"]}
        assert all(point["phases"] == results[0]["phases"] for point in points)
    merged = [point for point in rolled if point["region"] is None]
    assert [(point["up"], point["mean"], point["max"]) for point in merged] == [(120, 150, 200)] * 2
    listed = data(await client.get(f"{path}/checks?hours=24&resolution=hour"))["items"]
    assert {(each["region"], each["up"]) for each in listed} == {("eu", 60), ("us", 60)}
