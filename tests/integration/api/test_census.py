"""The census against what each monitor's own row says."""

from collections.abc import Sequence
from itertools import product
from typing import Any

import httpx
import pytest

from farwatch_api.queries.census import counts_by_state, page_of, take_census
from farwatch_api.queries.overview import rows_by_id
from farwatch_api.queries.states import STATES
from farwatch_events.monitor import dump_monitor, parse_monitor
from tests.integration.api.conftest import TestDeps

SPEC = dump_monitor(parse_monitor({"type": "http", "name": "Monitor", "url": "http://shop.test/"}))
VERDICTS = ("up", "down", "degraded", "unknown", "pending", None)
WINDOWS: list[dict[str, Any]] = [
    {},
    {"tags": ["planned"]},
    {"monitor_ids": [1, 2, 30]},
    {"all_monitors": True},
    {"tags": ["planned"], "cancelled": True},
]


@pytest.fixture
async def monitors(deps: TestDeps) -> list[int]:
    """Every verdict and none, with and without a tag, paused, deleted; names in another order than ids."""
    ids = []
    cases = list(product(VERDICTS, ([], ["planned"]), (True, False), (False, True)))
    async with deps.direct() as connection:
        for number, (verdict, tags, enabled, deleted) in enumerate(cases):
            monitor_id = await connection.fetchval(
                "insert into config.monitors (name, type, enabled, spec, tags, deleted_at)"
                " values ($1, 'http', $2, $3, $4, case when $5 then now() end) returning id",
                f"{'Mm'[number % 2]}onitor {number * 7 % 48:02}", enabled, SPEC, tags, deleted,
            )  # fmt: skip
            if verdict is not None:
                await connection.execute(
                    "insert into health.verdicts (monitor_id, verdict, since) values ($1, $2, now())",
                    monitor_id, verdict,
                )  # fmt: skip
            if not deleted:
                ids.append(monitor_id)
    return ids


async def begin(deps: TestDeps, window: dict[str, Any]) -> None:
    async with deps.direct() as connection:
        await connection.execute(
            "insert into config.maintenance (name, starts_at, ends_at, all_monitors, monitor_ids, tags, cancelled_at)"
            " values ('w', now() - interval '1 minute', now() + interval '1 hour', $1, $2, $3,"
            " case when $4 then now() end)",
            window.get("all_monitors", False), window.get("monitor_ids", []), window.get("tags", []),
            window.get("cancelled", False),
        )  # fmt: skip


@pytest.mark.parametrize("window", WINDOWS)
async def test_it_says_of_each_monitor_what_its_row_says(
    deps: TestDeps, monitors: list[int], window: dict[str, Any]
) -> None:
    if window:
        await begin(deps, window)
    async with deps.read() as connection:
        rows = await rows_by_id(connection, monitors)
        census = await take_census(connection)
        by_state = {state: [row["id"] for row in rows if row["state"] == state] for state in STATES}
        assert census.counts() == {state: len(ids) for state, ids in by_state.items()}
        assert await counts_by_state(connection) == census.counts()
        for states in ([], ["up"], ["down", "up", "paused"]):
            whole = [each for state in STATES if not states or state in states for each in by_state[state]]
            assert await pages(deps, states, len(whole)) == whole


async def pages(deps: TestDeps, states: Sequence[str], number: int) -> list[int]:
    """All that a list of these states shows, in pages of five."""
    shown: list[int] = []
    async with deps.read() as connection:
        census = await take_census(connection)
        for offset in range(0, number, 5):
            shown += await page_of(connection, census, states, offset, 5)
    return shown


@pytest.mark.parametrize(
    "happens",
    [
        "update health.verdicts set verdict = 'down' where verdict = 'up'",
        "update health.verdicts set verdict = 'up'",
        "insert into config.maintenance (name, starts_at, ends_at, all_monitors)"
        " values ('w', now() - interval '1 minute', now() + interval '1 hour', true)",
    ],
)
async def test_each_monitor_is_on_one_page_whatever_happens_since_the_census(
    deps: TestDeps, monitors: list[int], happens: str
) -> None:
    async with deps.read() as connection:
        census = await take_census(connection)
        async with deps.direct() as other:
            await other.execute(happens)
        shown: list[int] = []
        for offset in range(0, len(monitors), 5):
            shown += await page_of(connection, census, [], offset, 5)
    assert sorted(shown) == monitors


async def test_a_list_of_one_state_leaves_out_what_left_it_meanwhile(
    deps: TestDeps, monitors: list[int], client: httpx.AsyncClient
) -> None:
    async with deps.read() as connection:
        rows = await rows_by_id(connection, monitors)
    down = [row for row in rows if row["state"] == "down"]
    assert len(down) == 2
    await client.get("/?state=down")
    async with deps.direct() as connection:
        await connection.execute("update health.verdicts set verdict = 'up' where monitor_id = $1", down[0]["id"])
    page = (await client.get("/?state=down")).text
    assert (f'href="/monitors/{down[0]["id"]}"' in page, f'href="/monitors/{down[1]["id"]}"' in page) == (False, True)
