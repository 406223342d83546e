"""Somebody opens the dashboard again and again while checks run."""

import asyncio
import statistics
import time
from typing import Any

import httpx

EVERY_SECONDS = 1.0
_TIMEOUT_SECONDS = 30.0


class Visitor:
    """Asks for each of `paths` in turn, one a second; times run from the request to the end of the body."""

    def __init__(self, base_url: str, token: str, paths: tuple[str, ...]) -> None:
        self._base_url, self._token, self._paths = base_url, token, paths
        self._took_ms: dict[str, list[float]] = {path: [] for path in paths}
        self._told: dict[str, tuple[int, int]] = {}
        self._failed: dict[str, int] = dict.fromkeys(paths, 0)

    async def run(self) -> None:
        headers = {"Authorization": f"Bearer {self._token}"}
        async with httpx.AsyncClient(
            base_url=self._base_url, headers=headers, timeout=_TIMEOUT_SECONDS, trust_env=False
        ) as client:
            while True:
                for path in self._paths:
                    await self._visit(client, path)
                    await asyncio.sleep(EVERY_SECONDS)

    async def _visit(self, client: httpx.AsyncClient, path: str) -> None:
        began = time.perf_counter()
        try:
            answer = await client.get(path)
        except httpx.HTTPError:
            self._failed[path] += 1
            return
        self._took_ms[path].append((time.perf_counter() - began) * 1000)
        self._told[path] = (answer.status_code, len(answer.content))

    def report(self) -> dict[str, Any]:
        return {path: self._report(path) for path in self._paths}

    def _report(self, path: str) -> dict[str, Any]:
        took = sorted(self._took_ms[path])
        if not took:
            return {"visits": 0, "failed": self._failed[path]}
        status, size = self._told[path]
        return {
            "visits": len(took),
            "failed": self._failed[path],
            "status": status,
            "kilobytes": round(size / 1000, 1),
            "p50_ms": round(statistics.median(took), 1),
            "p99_ms": round(took[min(len(took) - 1, int(len(took) * 0.99))], 1),
            "max_ms": round(took[-1], 1),
        }
