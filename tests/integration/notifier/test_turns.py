"""A message is made ready while the one before it is on its way, and a backlog is read in one pass."""

import asyncio
import json
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from farwatch_notifier import deliveries
from farwatch_notifier.app import Notifier
from farwatch_notifier.message import sample_alert
from farwatch_notifier.wire import Endpoint, exchange
from farwatch_runtime.clock import now_ms
from tests.integration.notifier.world import World

ANSWER = b"HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n"


class Slow:
    """Answers late, and notes how many requests were with it at a time and how many connections were open."""

    def __init__(self, answer_seconds: float = 0.15) -> None:
        self.answer_seconds = answer_seconds
        self.requests = self.connections = 0
        self.open = self.unanswered = self.most_open = self.most_unanswered = 0

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        self.open += 1
        self.most_open = max(self.most_open, self.open)
        if await reader.read(65_536):
            self.requests += 1
            self.unanswered += 1
            self.most_unanswered = max(self.most_unanswered, self.unanswered)
            await asyncio.sleep(self.answer_seconds)
            self.unanswered -= 1
            writer.write(ANSWER)
        self.open -= 1
        writer.close()


@asynccontextmanager
async def listening(serve: Any) -> AsyncIterator[int]:
    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with server:
        yield server.sockets[0].getsockname()[1]


async def test_the_next_connection_is_made_early_and_its_message_waits(notifier: Notifier, world: World) -> None:
    slow = Slow()
    async with listening(slow.serve) as port:
        channel = await world.webhook(f"http://127.0.0.1:{port}/")
        message = sample_alert("x", now_ms(), "").model_dump(mode="json", exclude_defaults=True)
        await world.db.pool.execute(
            "insert into alerting.deliveries (channel_id, moment, dedup_key, thread, message, give_up_at)"
            " select $1, 'down', 'k' || n, 'incident-' || n, $2, now() + interval '1 day' from generate_series(1, 4) n",
            channel,
            message,
        )
        rows = await world.settled(4, 30)
    assert [row["state"] for row in rows] == ["delivered"] * 4
    assert slow.requests == 4
    assert slow.most_unanswered == 1, "a kill would have repeated more than one"
    assert slow.most_open == 2, "the next one was not ready"


async def test_a_connection_that_was_closed_while_it_waited_is_made_anew() -> None:
    connections = 0

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal connections
        connections += 1
        if connections > 1 and await reader.read(65_536):
            writer.write(ANSWER)
        writer.close()

    async with listening(serve) as port:

        async def hold() -> None:
            while connections == 0:  # noqa: ASYNC110 - what the server saw
                await asyncio.sleep(0.01)
            await asyncio.sleep(0.3)

        answer = await exchange(Endpoint("127.0.0.1", port, None), "POST", "/", [(b"host", b"x")], b"", 10, hold)
    assert (answer.status, connections) == (204, 2)


async def test_a_backlog_is_read_in_one_pass_without_statistics(world: World) -> None:
    channel = await world.webhook("http://127.0.0.1:9/")
    async with world.db.connection() as connection:
        await connection.execute(
            "insert into alerting.deliveries (channel_id, moment, dedup_key, thread, message, give_up_at)"
            " select $1, 'down', 'k' || n, 'incident-' || n / 2, '{}', now() + interval '1 day'"
            " from generate_series(0, 2999) n",
            channel,
        )
        query = f"explain (analyze, buffers, format json) {deliveries._TAKE}"
        plan = await connection.fetchval(query, channel, int(time.time() * 1000) + 60_000, 200)
    read = (plan if isinstance(plan, list) else json.loads(plan))[0]["Plan"]
    assert read["Actual Rows"] == 200
    assert read["Shared Hit Blocks"] + read["Shared Read Blocks"] < 30_000, "it was 2,400,000 as an anti-join"
    due = await deliveries.take_due(world.db, channel, int(time.time() * 1000) + 60_000, 200)
    assert [each.thread for each in due] == [f"incident-{n}" for n in range(200)]
    assert all(each.superseded for each in due)
