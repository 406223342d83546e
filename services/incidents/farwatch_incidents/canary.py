"""The dead man's switch: an outside service is told once a minute that checking works, and alarms when it is not."""

import asyncio
from collections.abc import Awaitable, Callable

import asyncpg
import httpx
import structlog
from prometheus_client import CollectorRegistry, Counter
from pydantic import SecretStr

from farwatch_bus import BusError
from farwatch_incidents.welfare import CANARY_EVERY_MS, Flow, Push, decide_push
from farwatch_runtime.clock import now_ms
from farwatch_store import StoreError
from farwatch_store.waiting import wait_any

TIMEOUT_SECONDS = 10.0
AGAIN_SECONDS = 10.0
"""After a push that was withheld or failed: the next minute may be too late for a patient reader."""

log = structlog.get_logger("farwatch_incidents")


class Canary:
    """Calls `url` while results come through. The address is a secret and is never logged."""

    def __init__(self, url: SecretStr, read_flow: Callable[[], Awaitable[Flow]], registry: CollectorRegistry) -> None:
        self._url = url
        self._read_flow = read_flow
        self._pushes = Counter(
            "farwatch_canary_pushes",
            "Calls of the dead man's switch, by how they ended: sent, withheld, failed",
            ["outcome"],
            registry=registry,
        )

    async def run(self, stop: asyncio.Event) -> None:
        async with httpx.AsyncClient(timeout=TIMEOUT_SECONDS, follow_redirects=True) as client:
            while not stop.is_set():
                sent = await self.push(client)
                await wait_any(CANARY_EVERY_MS / 1000 if sent else AGAIN_SECONDS, stop)

    async def push(self, client: httpx.AsyncClient) -> bool:
        """Whether the outside service has taken it."""
        try:
            flow = await self._read_flow()
        except (StoreError, BusError, asyncpg.PostgresError, TimeoutError) as error:
            return self._withheld(f"the database did not answer: {type(error).__name__}")
        decision = decide_push(flow, now_ms())
        if not isinstance(decision, Push):
            return self._withheld(decision.reason)
        try:
            async with asyncio.timeout(TIMEOUT_SECONDS):
                answer = await client.get(self._url.get_secret_value())
        except (httpx.HTTPError, httpx.InvalidURL, TimeoutError) as error:
            return self._failed(type(error).__name__)
        if not answer.is_success:
            return self._failed(f"answered {answer.status_code}")
        self._pushes.labels("sent").inc()
        log.debug("canary_sent", result_age_ms=decision.result_age_ms)
        return True

    def _withheld(self, reason: str) -> bool:
        self._pushes.labels("withheld").inc()
        log.warning("canary_withheld", reason=reason)
        return False

    def _failed(self, error: str) -> bool:
        self._pushes.labels("failed").inc()
        log.warning("canary_failed", error=error)
        return False
