"""PostgreSQL killed and started again while alerts flow."""

import asyncio
from collections import Counter
from pathlib import Path

import pytest
import trustme

from farwatch_store import Database
from farwatch_store.migrate import migrate
from tests.integration.notifier.conftest import running
from tests.integration.notifier.world import World
from tests.support.http import HttpServer, Response
from tests.support.servers import PostgresProcess
from tests.support.waiting import eventually


@pytest.mark.timeout(90)
async def test_nothing_is_lost_or_doubled_when_the_database_restarts(
    own_postgres: PostgresProcess, http_sink: HttpServer, authority: tuple[trustme.CA, Path]
) -> None:
    await migrate(own_postgres.url())
    db = await Database.connect(own_postgres.url())
    world = World(db)
    http_sink.response = Response(200, delay_seconds=0.3)
    async with running(own_postgres.url(), world, authority[1]):
        await world.webhook(http_sink.url)
        for number in range(24):
            await world.open_incident(await world.add_monitor(f"m{number}"), f"m{number}")
        await eventually(lambda: len(http_sink.requests) >= 6)
        own_postgres.kill()
        await asyncio.sleep(0.5)
        await asyncio.to_thread(own_postgres.start)
        rows = await world.settled(24, 30)
    await db.close()
    assert {(row["state"], row["attempts"]) for row in rows} == {("delivered", 1)}
    received = Counter(request.headers["webhook-id"] for request in http_sink.requests)
    assert received == Counter(row["dedup_key"] for row in rows)
