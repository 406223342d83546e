"""Checks, uptime, latency and bars from real tables."""

import csv
import io
import json
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import quote

import httpx
import pytest

from farwatch_api.queries.uptime import floor_day, floor_hour
from farwatch_events.histogram import count
from tests.integration.api.conftest import TestDeps

HTTP = {"type": "http", "name": "Shop", "url": "https://shop.example/"}


@pytest.fixture
async def monitor_id(client: httpx.AsyncClient, deps: TestDeps) -> int:
    """A monitor that has been there for 100 days."""
    created = (await client.post("/api/monitors", json=HTTP)).json()["data"]
    async with deps.direct() as connection:
        await connection.execute("update config.monitors set created_at = now() - interval '100 days'")
        await connection.execute("create table health.check_results_test partition of health.check_results default")
    return int(created["id"])


def now() -> datetime:
    return datetime.now(UTC)


async def test_uptime_joins_days_hours_and_the_running_hour(
    client: httpx.AsyncClient, deps: TestDeps, monitor_id: int, data: Any
) -> None:
    hour, today = floor_hour(now()), floor_day(now())
    hours = [today + timedelta(hours=n) for n in range(int((hour - today).total_seconds() // 3600))]
    hours += [today - timedelta(hours=n) for n in range(1, 25)]
    days = [today - timedelta(days=n) for n in range(1, 41)]
    async with deps.direct() as connection:
        await connection.executemany(
            "insert into health.uptime_hours (at, monitor_id, up_seconds, down_seconds) values ($1, $2, 3240, 360)",
            [(at, monitor_id) for at in hours],
        )
        await connection.executemany(
            "insert into health.uptime_days (at, monitor_id, up_seconds, degraded_seconds, unknown_seconds)"
            " values ($1, $2, 43200, 21600, 21600)",
            [(at, monitor_id) for at in days],
        )
        await connection.execute(
            "insert into health.verdict_changes (monitor_id, at, verdict) values ($1, $2, 'up'), ($1, $3, 'down')",
            monitor_id,
            today - timedelta(days=50),
            hour,
        )
    found = data(await client.get(f"/api/monitors/{monitor_id}/uptime?series=30"))
    periods = found["periods"]
    into_hour = (now() - hour).total_seconds()
    whole_hours = periods["24h"]["up_seconds"] / 3240
    assert whole_hours == 24
    assert abs(periods["24h"]["down_seconds"] - 24 * 360 - into_hour) < 5
    assert periods["24h"]["coverage"] == pytest.approx(1, abs=0.001)
    assert periods["30d"]["degraded_seconds"] == 30 * 21600
    assert periods["90d"]["degraded_seconds"] == 40 * 21600
    assert periods["90d"]["coverage"] < 0.4
    assert periods["365d"]["coverage"] == pytest.approx(periods["90d"]["coverage"] * 0.9, abs=0.02)
    assert len(found["series"]) == 30
    assert found["series"][0]["uptime_percent"] == 100
    assert found["series"][0]["coverage"] == 0.75
    one = data(await client.get(f"/api/monitors/{monitor_id}"))
    listed = data(await client.get("/api/monitors"))["items"][0]
    assert one["uptime"]["24h"] == pytest.approx(periods["24h"]["uptime_percent"], abs=0.1)
    assert listed["uptime"]["24h"] == pytest.approx(one["uptime"]["24h"], abs=0.1)
    assert set(one["uptime"]) == {"24h", "7d", "30d", "90d", "365d"}


async def test_without_rollups_uptime_comes_from_the_changes(
    client: httpx.AsyncClient, deps: TestDeps, monitor_id: int, data: Any
) -> None:
    async with deps.direct() as connection:
        await connection.execute("update config.monitors set created_at = now() - interval '2 hours'")
        await connection.execute(
            "insert into health.verdict_changes (monitor_id, at, verdict) values"
            " ($1, now() - interval '2 hours', 'pending'), ($1, now() - interval '100 minutes', 'up'),"
            " ($1, now() - interval '25 minutes', 'down')",
            monitor_id,
        )
    periods = data(await client.get(f"/api/monitors/{monitor_id}/uptime"))["periods"]
    for period in periods.values():
        assert period["uptime_percent"] == pytest.approx(75, abs=0.1)
        assert period["coverage"] == pytest.approx(100 / 120, abs=0.01)
    data(await client.get(f"/api/monitors/{monitor_id}/uptime?series=2"))


async def insert_results(deps: TestDeps, monitor_id: int, number: int) -> None:
    """One a minute in eu and us, the newest now; every tenth in us fails."""
    async with deps.direct() as connection:
        await connection.execute(
            """
            insert into health.check_results (slot, monitor_id, region, outcome, latency_ms, dns_ms, error_class, error)
            select date_trunc('minute', now()) - make_interval(mins => n), $1, region,
                case when region = 'us' and n % 10 = 0 then 'down' else 'up' end, 100 + n, 5,
                case when region = 'us' and n % 10 = 0 then 'timeout' end,
                case when region = 'us' and n % 10 = 0 then 'no answer' end
            from generate_series(0, $2 - 1) as n, unnest(array['eu', 'us']) as region
            """,
            monitor_id,
            number,
        )


async def test_checks_come_in_pages_newest_first(
    client: httpx.AsyncClient, deps: TestDeps, monitor_id: int, data: Any
) -> None:
    await insert_results(deps, monitor_id, 60)
    path = f"/api/monitors/{monitor_id}/checks"
    seen: list[dict[str, Any]] = []
    cursor = ""
    while cursor is not None:
        found = data(await client.get(f"{path}?hours=24&limit=17&cursor={cursor}"))
        assert found["resolution"] == "raw"
        seen += found["items"]
        cursor = found["next_cursor"]
    keys = [(each["slot"], each["region"]) for each in seen]
    assert len(set(keys)) == len(keys) == 120
    assert keys == sorted(keys, reverse=True)
    failed = next(each for each in seen if not each["ok"])
    assert (failed["error_class"], failed["error"], failed["phases"]["dns_ms"]) == ("timeout", "no answer", 5)
    only = data(await client.get(f"{path}?region=us&hours=0.5"))["items"]
    assert {each["region"] for each in only} == {"us"}
    assert 29 <= len(only) <= 31
    assert data(await client.get(f"{path}?hours=1000"))["resolution"] == "hour"


async def test_bars_hold_the_last_results_of_each_region(
    client: httpx.AsyncClient, deps: TestDeps, monitor_id: int, data: Any
) -> None:
    await insert_results(deps, monitor_id, 60)
    async with deps.direct() as connection:
        await connection.execute(
            "insert into health.monitor_state (monitor_id, region, vote, vote_slot, state)"
            " select $1, region, 'up', now(), '{}' from unnest(array['eu', 'us']) as region",
            monitor_id,
        )
    bars = data(await client.get(f"/api/heartbeats?monitors={monitor_id},999&results=20"))["monitors"]
    assert set(bars) == {str(monitor_id), "999"}
    assert bars["999"] == {}
    regions = bars[str(monitor_id)]
    assert {region: len(results) for region, results in regions.items()} == {"eu": 20, "us": 20}
    slots = [each["slot"] for each in regions["us"]]
    assert slots == sorted(slots)
    assert [each["outcome"] for each in regions["us"]].count("down") == 2


async def test_latency_from_raw_results_and_from_rollups(
    client: httpx.AsyncClient, deps: TestDeps, monitor_id: int, data: Any
) -> None:
    await insert_results(deps, monitor_id, 60)
    path = f"/api/monitors/{monitor_id}/latency"
    raw = data(await client.get(f"{path}?hours=1"))
    assert (raw["resolution"], raw["step_seconds"], raw["regions"]) == ("raw", 60, ["eu", "us"])
    assert all(point["p50"] is not None for point in raw["points"] if point["region"] == "eu")
    hour = floor_hour(now()) - timedelta(hours=1)
    latencies = [100.0] * 98 + [1000.0, 1000.0]
    async with deps.direct() as connection:
        for region in ("eu", "us"):
            await connection.execute(
                "insert into health.rollup_hours values ($1, $2, $3, 100, 0, 2, 0, 100, $4, 1000, $5, $6)",
                hour,
                monitor_id,
                region,
                sum(latencies),
                count(latencies),
                [100.0, 200.0, 300.0, 400.0, 500.0],
            )
    rolled = data(await client.get(f"{path}?hours=168"))
    assert (rolled["resolution"], rolled["step_seconds"]) == ("hour", 3600)
    merged = next(point for point in rolled["points"] if point["region"] is None)
    assert (merged["up"], merged["down"], merged["max"]) == (200, 4, 1000)
    assert merged["p50"] == pytest.approx(100, rel=0.1)
    assert merged["p99"] == pytest.approx(1000, rel=0.1)
    assert merged["phases"]["wait_ms"] == 4
    assert data(await client.get(f"{path}?hours=2400"))["resolution"] == "day"


async def test_the_running_day_is_more_than_what_is_rolled_up_of_it(
    client: httpx.AsyncClient, deps: TestDeps, monitor_id: int, data: Any
) -> None:
    """Days are rolled up anew with each hour: the outage of this hour must not wait for the next."""
    today = floor_day(now())
    into_day = (now() - today).total_seconds()
    async with deps.direct() as connection:
        await connection.execute(
            "insert into health.verdict_changes (monitor_id, at, verdict) values ($1, $2, 'up'), ($1, $3, 'down')",
            monitor_id,
            today - timedelta(days=1),
            today,
        )
        await connection.executemany(
            "insert into health.uptime_days (at, monitor_id, up_seconds) values ($1, $2, $3)",
            [(today - timedelta(days=1), monitor_id, 86400), (today, monitor_id, into_day / 2)],
        )
    found = data(await client.get(f"/api/monitors/{monitor_id}/uptime?series=30"))
    assert found["periods"]["30d"]["up_seconds"] == 86400
    assert found["periods"]["30d"]["down_seconds"] == pytest.approx(into_day, abs=5)
    assert found["series"][-1]["down_seconds"] == pytest.approx(into_day, abs=5)


async def test_bars_of_many_monitors_by_day(
    client: httpx.AsyncClient, deps: TestDeps, monitor_id: int, data: Any
) -> None:
    young = int((await client.post("/api/monitors", json=HTTP | {"name": "Young"})).json()["data"]["id"])
    today = floor_day(now())
    async with deps.direct() as connection:
        await connection.executemany(
            "insert into health.uptime_days (at, monitor_id, up_seconds, down_seconds) values ($1, $2, $3, $4)",
            [(today - timedelta(days=n), monitor_id, 86400 - 864 * (n == 3), 864 * (n == 3)) for n in range(1, 60)],
        )
        await connection.execute(
            "insert into health.verdict_changes (monitor_id, at, verdict) values ($1, $2, 'up'), ($3, now(), 'down')",
            monitor_id,
            today - timedelta(days=60),
            young,
        )
    found = data(await client.get(f"/api/uptime?monitors={monitor_id},{young},999&days=90"))
    assert len(found["days"]) == 90
    assert found["days"][-1] == today.isoformat().replace("+00:00", "Z")
    assert set(found["monitors"]) == {str(monitor_id), str(young)}
    bars = found["monitors"][str(monitor_id)]
    assert bars["uptime_percent"][-4:] == [99, 100, 100, 100]
    assert bars["coverage"][-1] == pytest.approx(1, abs=0.01)
    assert bars["uptime_percent"][0] is None
    assert bars["coverage"][0] == 0
    assert bars["down_seconds"][-4] == 864
    assert found["monitors"][str(young)]["uptime_percent"][-2:] == [None, 0]
    assert (await client.get("/api/uptime?monitors=x")).status_code == 422


async def test_export_is_whole_in_order_and_can_be_taken_in_pieces(
    client: httpx.AsyncClient, deps: TestDeps, monitor_id: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("farwatch_api.queries.export.read_pages.__defaults__", (7,))
    await insert_results(deps, monitor_id, 60)
    async with deps.direct() as connection:
        await connection.execute(
            "insert into health.check_results (slot, monitor_id, region, outcome, kind, error)"
            " values (date_trunc('minute', now()) - interval '9 min', $1, 'eu', 'down', 'manual', '=cmd()')",
            monitor_id,
        )
    path = f"/api/monitors/{monitor_id}/checks"
    answer = await client.get(f"{path}.jsonl")
    assert answer.headers["content-type"].startswith("application/jsonl")
    items = [json.loads(line) for line in answer.text.splitlines()]
    keys = [(each["slot"], each["region"], each["kind"]) for each in items]
    assert len(set(keys)) == len(keys) == 121
    assert [key[0] for key in keys] == sorted(key[0] for key in keys)
    table = list(csv.DictReader(io.StringIO((await client.get(f"{path}.csv")).text, newline="")))
    assert [each["slot"] for each in table] == [key[0] for key in keys]
    assert next(each for each in table if each["kind"] == "manual")["error"] == "'=cmd()"
    assert set(table[0]) == set(items[0])
    middle = quote(keys[60][0])
    pieces = [(await client.get(f"{path}.csv?{piece}={middle}")).text.splitlines() for piece in ("until", "since")]
    assert len(pieces[0]) + len(pieces[1]) - 2 == 121
    only = (await client.get(f"{path}.csv?region=us")).text
    assert ",eu," not in only
    assert (await client.get("/api/monitors/99/checks.csv")).status_code == 404
    assert (await client.get(f"{path}.csv?since=2026-02-01T00:00:00Z&until=2026-01-01T00:00:00Z")).status_code == 422
    assert (await client.get(f"{path}.csv?since=2026-02-01")).status_code == 422


async def test_raw_points_of_all_regions_together(
    client: httpx.AsyncClient, deps: TestDeps, monitor_id: int, data: Any
) -> None:
    await insert_results(deps, monitor_id, 30)
    found = data(await client.get(f"/api/monitors/{monitor_id}/latency?hours=1"))
    merged = [point for point in found["points"] if point["region"] is None]
    assert merged
    assert all(point["up"] + point["down"] == 2 for point in merged)
    alone = data(await client.get(f"/api/monitors/{monitor_id}/latency?hours=1&region=eu"))["points"]
    assert {point["region"] for point in alone} == {"eu"}
