"""A running Farwatch under faults: targets that fail when told, a sink, what is true and what was seen."""

import asyncio
import json
import os
import time
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

import asyncpg
import httpx

from tests.faults.judge import Outage, SeenIncident, SeenMessage, Verdict, judge
from tests.support.http import HttpServer, Request, Response
from tests.support.slots import Count, Stretch, count_slots
from tests.support.up import Up, free_ports
from tests.support.waiting import eventually

INTERVAL_SECONDS = 5
AWAY = (OSError, TimeoutError, asyncpg.PostgresError, asyncpg.InterfaceError)
VICTIMS = {
    "scheduler": "farwatch_scheduler",
    "prober": "farwatch_prober",
    "incidents": "farwatch_incidents",
    "notifier": "farwatch_notifier",
    "api": "farwatch_api",
    "nats": "nats-server",
    "postgres": "bin/postgres",
}
"""A word in the command line of each process."""


def now_ms() -> int:
    return time.time_ns() // 1_000_000


class Targets:
    """One server with a path for each monitor. It keeps the truth: when each path failed."""

    def __init__(self, host: str = "127.0.0.1") -> None:
        self.http = HttpServer(host)
        self.http.responder = self._answer
        self.outages: list[Outage] = []
        self._down: dict[str, int] = {}

    def take_down(self, *names: str) -> None:
        for name in names:
            self._down[name] = now_ms()

    def bring_up(self, *names: str) -> None:
        for name in names:
            self.outages.append(Outage(name, self._down.pop(name), now_ms()))

    def _answer(self, request: Request) -> Response:
        self.http.requests.clear()  # nobody reads them, and a long run has many
        return Response(503, b"out") if request.path.strip("/") in self._down else Response(200, b"well")


@dataclass
class Site:
    """`names` maps each monitor to its id. `base` is the address of the targets as the probers reach them; `probers`
    run under `farwatch up`, and `regions` are those whose checks count."""

    up: Up
    targets: Targets
    sink: HttpServer
    base: str
    health_port: int
    regions: tuple[str, ...] = ("local",)
    probers: int = 1
    names: dict[str, int] = field(default_factory=dict)
    began_ms: int = 0
    database_url: str = ""

    async def add_monitors(self, names: Sequence[str], **fields: Any) -> None:
        async with self.client() as client:
            channel = {"name": "sink", "type": "webhook", "config": {"url": self.sink.url}}
            channel_id = await _created(client, "/api/channels", channel)
            for name in names:
                monitor = {"name": name, "type": "http", "url": self.base.format(name=name) + name, "retries": 1}
                monitor |= {"interval_seconds": INTERVAL_SECONDS, "channels": [channel_id]} | fields
                self.names[name] = await _created(client, "/api/monitors", monitor)
        await eventually(lambda: self._verdicts_are("up", names), 60, 0.2)
        self.began_ms = now_ms() // 1000 * 1000 + 1000

    def client(self) -> httpx.AsyncClient:
        token = (self.up.data_dir / "api-token").read_text().strip()
        headers = {"Authorization": f"Bearer {token}"}
        return httpx.AsyncClient(base_url=self.up.url, headers=headers, timeout=10, trust_env=False)

    async def rows(self, query: str, *arguments: Any) -> list[dict[str, Any]]:
        """Raises one of AWAY while PostgreSQL is away."""
        connection = await self._connected()
        try:
            return [dict(row) for row in await connection.fetch(query, *arguments, timeout=20)]
        finally:
            await connection.close(timeout=5)

    async def _connected(self) -> "asyncpg.Connection[asyncpg.Record]":
        url = self.database_url or (self.up.data_dir / "database-url").read_text().strip()
        return await asyncpg.connect(url, timeout=5)

    # -- waiting -----------------------------------------------------------------------------------------------------

    async def until_down(self, *names: str, timeout_seconds: float = 90) -> None:
        """Until each has an open incident."""
        await eventually(lambda: self._verdicts_are("down", names), timeout_seconds, 0.2)

    async def until_up(self, *names: str, timeout_seconds: float = 90) -> None:
        await eventually(lambda: self._verdicts_are("up", names), timeout_seconds, 0.2)

    async def _verdicts_are(self, verdict: str, names: Sequence[str]) -> bool:
        try:
            rows = await self.rows("select monitor_id, verdict from health.verdicts")
        except AWAY:
            return False
        verdicts = {row["monitor_id"]: row["verdict"] for row in rows}
        return all(verdicts.get(self.names[name]) == verdict for name in names)

    async def recovered(self, since_ms: int, timeout_seconds: float = 120) -> float:
        """Seconds from `since_ms` until every service was ready and each region had stored a check due since then."""
        await eventually(lambda: self._path_works(since_ms), timeout_seconds, 0.1)
        return (now_ms() - since_ms) / 1000

    async def _path_works(self, since_ms: int) -> bool:
        if not await self.answers():
            return False
        try:
            rows = await self.rows(
                "select distinct region from health.check_results where outcome = 'up' and kind is null"
                " and slot > timestamptz 'epoch' + $1::bigint * interval '1 millisecond'",
                since_ms,
            )
        except AWAY:
            return False
        return {row["region"] for row in rows} >= set(self.regions)

    async def answers(self) -> bool:
        """Whether the API answers from the database, and every service says that it is ready."""
        services = 4 + self.probers
        ready = [f"http://127.0.0.1:{port}/readyz" for port in range(self.health_port, self.health_port + services)]
        try:
            async with self.client() as client:
                answers = [await client.get(url) for url in ("/api/status", *ready)]
        except httpx.HTTPError:
            return False
        return {answer.status_code for answer in answers} == {200}

    # -- the end -----------------------------------------------------------------------------------------------------

    async def settled(self, timeout_seconds: float = 90) -> None:
        """Until every monitor is up and all that is to be told was told."""
        await self.until_up(*self.names, timeout_seconds=timeout_seconds)

        async def told() -> bool:
            await self._nothing_is_pending()
            return True

        await eventually(told, timeout_seconds, 0.3)

    async def _nothing_is_pending(self) -> None:
        """An AssertionError that says what is."""
        incidents = await self.rows("select id, monitor_id, state, opened_at, resolved_at from health.incidents")
        pending = await self.rows(
            "select id, incident_id, moment, attempts, next_attempt_at, error from alerting.deliveries"
            " where state = 'pending'"
        )
        told = Counter(each.incident_id for each in self.messages() if each.incident_id is not None)
        assert not pending, pending
        assert all(row["state"] == "resolved" for row in incidents), incidents
        assert told.total() >= 2 * len(incidents), (told, incidents)

    def messages(self) -> list[SeenMessage]:
        return [_message(request) for request in self.sink.requests]

    async def incidents(self) -> list[SeenIncident]:
        names = {monitor_id: name for name, monitor_id in self.names.items()}
        rows = await self.rows("select id, monitor_id, opened_at, resolved_at from health.incidents order by id")
        return [
            SeenIncident(row["id"], names[row["monitor_id"]], _ms(row["opened_at"]) or 0, _ms(row["resolved_at"]))
            for row in rows
        ]

    async def verdict(self) -> Verdict:
        return judge(self.targets.outages, await self.incidents(), self.messages())

    async def slots(self, patience_seconds: float = 30, interval_seconds: int = INTERVAL_SECONDS) -> Count:
        """Counted from when the monitors were up until now; waits a while for those that are on their way."""
        stretch = Stretch(self.began_ms, now_ms() // 1000 * 1000 - 1000, interval_seconds * 1000)
        deadline = time.monotonic() + patience_seconds
        connection = await self._connected()
        try:
            while True:
                count = await count_slots(connection, list(self.names.values()), self.regions, stretch)
                if not count.missed or time.monotonic() > deadline:
                    return count
                await asyncio.sleep(1)
        finally:
            await connection.close(timeout=5)


@asynccontextmanager
async def open_site(
    folder: Path,
    *options: str,
    regions: tuple[str, ...] = ("local",),
    host: str = "127.0.0.1",
    **settings: str,
) -> AsyncIterator[Site]:
    """A `farwatch up` on the folder; everything that was started ends with it."""
    async with AsyncExitStack() as stack:
        targets, sink = Targets(host), HttpServer()
        for server in (targets.http, sink):
            await server.start()
            stack.push_async_callback(server.stop)
        health_port = free_ports(4 + len(regions))
        for region in regions:
            options += ("--region", region)
        up = await start_up(stack, folder, *options, FARWATCH_HEALTH_PORT=str(health_port), **settings)
        yield Site(up, targets, sink, targets.http.url, health_port, regions, len(regions))


async def start_up(stack: AsyncExitStack, folder: Path, *options: str, **settings: str) -> Up:
    up = Up(folder, *options, **settings)
    stack.push_async_callback(asyncio.to_thread, up.stop)
    await asyncio.to_thread(up.wait_ready)
    return up


async def _created(client: httpx.AsyncClient, path: str, body: dict[str, Any]) -> int:
    answer = await client.post(path, json=body)
    assert answer.status_code == 201, answer.text
    return int(answer.json()["data"]["id"])


def _message(request: Request) -> SeenMessage:
    body = request.json()
    monitor, incident = body["data"]["monitor"], body["data"]["incident"]
    return SeenMessage(
        type=body["type"],
        key=request.headers["webhook-id"],
        monitor=monitor["name"] if monitor else "",
        incident_id=incident["id"] if incident else None,
    )


def _ms(at: datetime | None) -> int | None:
    return None if at is None else int(at.timestamp() * 1000)


def report(fault: str, verdict: Verdict, count: Count, recoveries: dict[str, float], **more: Any) -> None:
    """Prints what was seen, and adds it as a line of JSON to tests/.artifacts/faults.jsonl."""
    line = {
        "fault": fault,
        "recovered_seconds": {name: round(seconds, 1) for name, seconds in recoveries.items()},
        "outages": verdict.outages,
        "lost": verdict.lost,
        "doubled": verdict.doubled,
        "false_alarms": verdict.false_alarms,
        "wrong_ends": verdict.wrong_ends,
        "repeats": verdict.repeats,
        "other_messages": dict(verdict.others),
        "slots": {name: getattr(count, name) for name in ("expected", "missed", "doubled", "skipped")},
        **more,
    }  # fmt: skip
    note(line)


def note(line: dict[str, Any]) -> None:
    """Prints it with the load of the machine, and adds it to tests/.artifacts/faults.jsonl."""
    text = json.dumps({**line, "load": [round(each, 1) for each in os.getloadavg()]})
    print(f"faults: {text}", flush=True)
    folder = Path(__file__).parents[1] / ".artifacts"
    folder.mkdir(exist_ok=True)
    with (folder / "faults.jsonl").open("a") as file:
        file.write(text + "\n")
