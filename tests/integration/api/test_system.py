"""How Farwatch itself is, as the API and every page say it."""

from datetime import UTC, datetime
from typing import Any

import httpx
from fastapi import FastAPI
from jinja2 import Environment

from farwatch_api import web
from farwatch_events.events import EventMeta, SystemRecovered, SystemTroubled
from farwatch_store import append
from tests.integration.api.conftest import Browser, TestDeps


async def alive(deps: TestDeps, ago_ms: int = 0) -> None:
    at_ms = int(datetime.now(UTC).timestamp() * 1000) - ago_ms
    async with deps.direct() as connection:
        await connection.execute("update health.shards set now_ms = $1", at_ms)
        await connection.execute("update schedule.epoch set checkpoint_ms = $1", at_ms)


async def test_status_says_what_is_wrong_with_farwatch_itself(
    client: httpx.AsyncClient, deps: TestDeps, data: Any
) -> None:
    await alive(deps)
    assert data(await client.get("/api/status"))["system"] == {"ok": True, "problems": []}
    await alive(deps, ago_ms=120_000)
    found = data(await client.get("/api/status"))["system"]
    assert (found["ok"], [each["problem"] for each in found["problems"]]) == (False, ["fold", "scheduler"])


async def test_every_page_has_a_line_while_it_is_unwell(browser: Browser, deps: TestDeps) -> None:
    await alive(deps)
    assert "unwell.</b>" not in (await browser.http.get("/")).text
    troubled = SystemTroubled(at_ms=1_800_000_000_000, problem="due_backlog", subject="eu", reason="9 <chunks> wait")
    async with deps.direct() as connection:
        await append(connection, troubled.stream, [troubled], EventMeta(actor="incidents"), None)
        await connection.execute(
            "insert into log.positions (consumer, position) select 'relay', position from log.head"
        )
    for path in ("/", "/incidents", "/settings/channels", "/system-line"):
        page = (await browser.http.get(path)).text
        assert "Due checks wait for a prober. 9 &lt;chunks&gt; wait." in page, path
    recovered = SystemRecovered(at_ms=1_800_000_000_001, problem="due_backlog", subject="eu", reason="w", seconds=1)
    async with deps.direct() as connection:
        await append(connection, recovered.stream, [recovered], EventMeta(actor="incidents"), None)
    assert "unwell.</b>" not in (await browser.http.get("/system-line")).text


async def test_every_template_is_compiled_before_somebody_asks_for_it(app: FastAPI) -> None:
    environment: Environment = app.state.templates
    await web.compile_templates(app)
    assert environment.cache is not None
    assert {str(name) for _, name in environment.cache.keys()} == set(environment.list_templates())  # noqa: SIM118
