"""A whole `farwatch up` while everything it watches goes down at once, behind one parent: is the dashboard usable?

    python -m bench.outage --monitors 10000 --interval 20

The target is an nginx that is stopped. Pages and the REST API are asked for once a second each, for a calm stretch and
then until the message that names everybody has arrived (30 s for the parent and 15 s for the group are waits of the
rules). Ends after --limit seconds at the latest. Prints JSON.
"""

import argparse
import asyncio
import json
import os
import time
from collections.abc import Awaitable, Callable
from contextlib import ExitStack
from typing import Any

from bench.harness.load import insert_monitors
from bench.harness.nginx import Nginx
from bench.harness.pages import Visitor
from bench.harness.usage import Usage, measure
from bench.pipeline import SERVICES, pids_of
from farwatch_store import Database
from tests.support.http import HttpServer
from tests.support.servers import server_folder
from tests.support.up import Up, free_ports

PATHS = ("/", "/incidents", "/api/status", "/api/monitors", "/api/incidents")
SETTLE_SECONDS = 240.0
INSERTED_PER_SECOND = 500

_CHANNEL = """
    insert into config.channels (name, type, config)
    values ('sink', 'webhook', jsonb_build_object('url', $1::text)) returning id
"""
_PARENTS = "update config.monitors set spec = spec || jsonb_build_object('parents', array[$1::bigint]) where id <> $1"
_UP = "select count(*) from health.verdicts where verdict = 'up'"
_DOWN = "select count(*) from health.incidents where state <> 'resolved' and severity = 'down'"
_BEHIND = "select count(distinct thread) from alerting.delivery_items where moment = 'behind'"
_READ = """
    select (select position from log.positions where consumer = 'notifier') >= (select position from log.head)
"""


class Outage:
    def __init__(self, options: argparse.Namespace, up: Up, nginx: Nginx, db: Database, sink: HttpServer) -> None:
        self._options, self._up, self._nginx, self._db, self._sink = options, up, nginx, db, sink
        self._token = (up.data_dir / "api-token").read_text().strip()
        self._seconds: dict[str, float] = {}

    async def run(self) -> dict[str, Any]:
        monitors = self._options.monitors
        await self._prepare(monitors)
        load = os.getloadavg()[0]
        calm, _ = await self._visited(lambda: asyncio.sleep(self._options.calm))
        before = self._usage()
        stormy, took = await self._visited(lambda: self._fall(monitors))
        used = {name: round(now.cpu_seconds - before[name].cpu_seconds, 1) for name, now in self._usage().items()}
        bodies = [each.json() for each in self._sink.requests]
        return {
            "monitors": monitors,
            "interval_seconds": self._options.interval,
            "load_average": [round(load, 2), round(os.getloadavg()[0], 2)],
            "storm_seconds": round(took, 1),
            "seconds_until": self._seconds,
            "messages": [f"{each['type']} {each['data']['count'] or ''}".strip() for each in bodies],
            "cpu_seconds_of_the_storm": used,
            "calm": calm,
            "storm": stormy,
        }

    async def _prepare(self, monitors: int) -> None:
        await self._db.pool.fetchval(_CHANNEL, self._sink.url)
        options = self._options
        (router,) = await insert_monitors(self._db, self._nginx.url, 1, options.interval, INSERTED_PER_SECOND)
        await insert_monitors(self._db, self._nginx.url, monitors - 1, options.interval, INSERTED_PER_SECOND)
        await self._db.pool.execute(_PARENTS, router)
        await self._until("all_up", _UP, monitors, time.monotonic(), SETTLE_SECONDS)

    async def _visited(self, work: Callable[[], Awaitable[None]]) -> tuple[dict[str, Any], float]:
        """How quick each page was while that was done, and how long it took."""
        visitors = [Visitor(self._up.url, self._token, (path,)) for path in PATHS]
        tasks = [asyncio.create_task(each.run()) for each in visitors]
        began = time.monotonic()
        await work()
        took = time.monotonic() - began
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        return {path: report for each in visitors for path, report in each.report().items()}, took

    def _usage(self) -> dict[str, Usage]:
        return measure(pids_of(self._up, None))

    async def _fall(self, monitors: int) -> None:
        began, limit = time.monotonic(), self._options.limit
        self._nginx.stop()
        await self._until("half_down", _DOWN, monitors // 2, began, limit)
        await self._until("all_down", _DOWN, monitors, began, limit)
        await self._until("taken_in", f"select ({_READ})::int", 1, began, limit)
        await self._until("named_behind_the_parent", _BEHIND, monitors - 1, began, limit)

    async def _until(self, name: str, query: str, expected: int, began: float, limit: float) -> None:
        """What is not reached within the limit is told as such: -1."""
        while time.monotonic() < began + limit:
            if int(await self._db.pool.fetchval(query, timeout=30) or 0) >= expected:
                self._seconds[name] = round(time.monotonic() - began, 1)
                return
            await asyncio.sleep(0.5)
        self._seconds[name] = -1.0


async def inside(options: argparse.Namespace, up: Up, nginx: Nginx) -> dict[str, Any]:
    url = (up.data_dir / "database-url").read_text().strip()
    db = await Database.connect(url, min_size=1, max_size=2, name="bench")
    sink = HttpServer()
    await sink.start()
    try:
        return await Outage(options, up, nginx, db, sink).run()
    finally:
        await sink.stop()
        await db.close()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--monitors", type=int, default=10_000, help="one of them the parent of the others (10,000)")
    parser.add_argument("--interval", type=int, default=20, help="seconds between the checks of a monitor (20)")
    parser.add_argument("--calm", type=int, default=20, help="seconds of looking before the outage (20)")
    parser.add_argument("--limit", type=int, default=180, help="seconds that the outage is watched at most (180)")
    options = parser.parse_args()
    with ExitStack() as stack:
        folder = stack.enter_context(server_folder("bench"))
        nginx = Nginx(folder / "nginx")
        stack.callback(nginx.stop)
        nginx.start()
        health_port = str(free_ports(len(SERVICES) + 1))
        up = Up(folder, FARWATCH_HEALTH_PORT=health_port, FARWATCH_LOG_FORMAT="json")
        stack.callback(up.stop, timeout_seconds=60)
        up.wait_ready()
        print(json.dumps(asyncio.run(inside(options, up, nginx)), indent=1))


if __name__ == "__main__":
    main()
