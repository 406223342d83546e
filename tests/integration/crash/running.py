"""A running Farwatch with targets to stop and sinks that receive alerts, all real."""

import asyncio
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import asyncpg
import httpx

from farwatch_store import Database
from tests.support.http import HttpServer, Request, Response
from tests.support.smtp import SmtpSink
from tests.support.up import Up
from tests.support.waiting import eventually

INTERVAL_SECONDS = 5
SERVICES = ("api", "scheduler", "incidents", "notifier", "prober")
"""In the order in which they take the health ports."""
CHANNELS = ("discord", "slack", "webhook", "email")
AWAY = (OSError, TimeoutError, asyncpg.PostgresError, asyncpg.InterfaceError)


@dataclass(frozen=True)
class Told:
    """One message that a sink received: `text` is all of it."""

    channel: str
    key: str
    text: str


@dataclass
class Sinks:
    """One HTTP server and one SMTP server. What Discord, Slack and the webhook are sent differs by its path."""

    http: HttpServer = field(default_factory=HttpServer)
    smtp: SmtpSink = field(default_factory=SmtpSink)

    async def start(self) -> None:
        self.http.responder = _accept
        await self.http.start()
        await self.smtp.start()

    async def stop(self) -> None:
        await self.http.stop()
        await self.smtp.stop()

    def configuration(self, channel: str) -> dict[str, Any]:
        if channel == "email":
            return {
                "smtp_server": self.smtp.host,
                "smtp_port": self.smtp.port,
                "use_tls": "none",
                "from_email": "farwatch@example.com",
                "to_email": "ops@example.com",
            }
        return {"url" if channel == "webhook" else "webhook_url": f"{self.http.url}{channel}"}

    def told(self, about: str) -> list[Told]:
        """Everything that was received and speaks of this monitor, in the order of each sink."""
        posts = [
            Told(request.path.strip("/").split("?")[0], request.headers.get("webhook-id", ""), request.body.decode())
            for request in self.http.requests
        ]
        mails = [
            Told("email", str(mail.message["Message-ID"]), f"{mail.subject}\n{mail.part('plain')}")
            for mail in self.smtp.mails
        ]
        return [each for each in posts + mails if re.search(rf"\b{re.escape(about)}\b", each.text)]

    def channels_told(self, about: str) -> list[str]:
        return sorted(each.channel for each in self.told(about))


def _accept(request: Request) -> Response:
    return Response(204) if request.path.startswith("/discord") else Response(200, b"ok")


class Running:
    """The REST API and the database of an `Up`, and what a test asks of them."""

    def __init__(self, up: Up, sinks: Sinks, health_port: int) -> None:
        self.up, self.sinks, self._health_port = up, sinks, health_port
        self.channels: dict[str, int] = {}
        token = (up.data_dir / "api-token").read_text().strip()
        headers = {"Authorization": f"Bearer {token}"}
        self.http = httpx.AsyncClient(base_url=up.url, headers=headers, timeout=5, trust_env=False)

    async def close(self) -> None:
        await self.http.aclose()

    async def create(self, path: str, **body: Any) -> int:
        answer = await self.http.post(path, json=body)
        assert answer.status_code == 201, answer.text
        return int(answer.json()["data"]["id"])

    async def add_channels(self) -> None:
        for channel in CHANNELS:
            configuration = self.sinks.configuration(channel)
            self.channels[channel] = await self.create(
                "/api/channels", name=f"{channel} sink", type=channel, config=configuration
            )

    async def add_monitor(self, name: str, target: HttpServer) -> int:
        return await self.create(
            "/api/monitors",
            name=name,
            type="http",
            url=target.url,
            interval_seconds=INTERVAL_SECONDS,
            retries=1,
            channels=list(self.channels.values()),
        )

    async def state(self, monitor_id: int) -> str:
        answer = await self.http.get(f"/api/monitors/{monitor_id}")
        return str(answer.json()["data"]["state"])

    async def until_up(self, monitor_ids: list[int]) -> None:
        async def all_up() -> bool:
            return {await self.state(each) for each in monitor_ids} == {"up"}

        await eventually(all_up, 20, 0.1)

    async def incidents(self, monitor_id: int) -> list[dict[str, Any]]:
        answer = await self.http.get("/api/incidents", params={"limit": 200})
        assert answer.status_code == 200, answer.text
        return [each for each in answer.json()["data"]["items"] if each["monitor_id"] == monitor_id]

    async def answers(self) -> bool:
        """Whether the API answers from the database, and every service says that it is ready."""
        ports = range(self._health_port, self._health_port + len(SERVICES))
        ready = [f"http://127.0.0.1:{port}/readyz" for port in ports]
        try:
            answers = [await self.http.get(url) for url in ("/api/status", *ready)]
        except httpx.HTTPError:
            return False
        return {answer.status_code for answer in answers} == {200}

    async def rows(self, query: str, *arguments: Any) -> list[dict[str, Any]]:
        """Raises one of AWAY while PostgreSQL is away."""
        url = (self.up.data_dir / "database-url").read_text().strip()
        connection: asyncpg.Connection[asyncpg.Record] = await asyncpg.connect(url, timeout=5)
        try:
            return [dict(row) for row in await connection.fetch(query, *arguments, timeout=10)]
        finally:
            await connection.close(timeout=5)

    async def database(self) -> Database:
        url = (self.up.data_dir / "database-url").read_text().strip()
        return await Database.connect(url, min_size=1, max_size=1, name="test")


def seconds_in(text: str, pattern: str) -> int:
    """The duration that a message tells, such as "1m 5s" or "12 s", in seconds."""
    found = re.search(pattern, text)
    assert found, f"no duration in {text!r}"
    sizes = {"h": 3600, "m": 60, "s": 1}
    return sum(int(number) * sizes[unit] for number, unit in re.findall(r"(\d+)\s*([hms])", found[0]))


async def until(probe: Callable[[], Any], timeout_seconds: float) -> float:
    """Seconds until it was true."""
    loop = asyncio.get_running_loop()
    began = loop.time()
    await eventually(probe, timeout_seconds, 0.05)
    return loop.time() - began
