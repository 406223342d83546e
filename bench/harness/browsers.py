"""Browsers that stay on a list: each holds one event stream for the rows it shows and counts what it is told.

A process of its own, so that reading takes no time from the one that measures:

    python -m bench.harness.browsers URL COUNT SECONDS ID [ID ...]     token in FARWATCH_BENCH_TOKEN; prints JSON
"""

import asyncio
import json
import os
import sys
import time
from dataclasses import dataclass, field
from typing import Any

import httpx

ROWS = 100


@dataclass
class Told:
    patches: int = 0
    rows: int = 0
    kilobytes: float = 0.0
    gaps: list[float] = field(default_factory=list)
    """Seconds between one patch and the next."""
    ended: int = 0


async def watch(client: httpx.AsyncClient, ids: list[int], until: float, told: Told) -> None:
    last = None
    async with client.stream("GET", "/api/live", params={"monitors": ",".join(map(str, ids))}) as answer:
        answer.raise_for_status()
        async for line in answer.aiter_lines():
            now = time.monotonic()
            if now > until:
                return
            if not line.startswith("data: {"):
                continue
            told.patches += 1
            told.kilobytes += len(line) / 1024
            told.rows += line.count('"monitor_id"')
            if last is not None:
                told.gaps.append(now - last)
            last = now
    told.ended += 1


async def crowd(url: str, token: str, count: int, seconds: float, ids: list[int]) -> dict[str, Any]:
    """Everybody looks at another hundred rows, as far as there are enough."""
    told, until = Told(), time.monotonic() + seconds
    limits = httpx.Limits(max_connections=None)
    headers = {"Authorization": f"Bearer {token}"}
    async with httpx.AsyncClient(base_url=url, headers=headers, limits=limits, timeout=30, trust_env=False) as client:
        shown = [[ids[(browser * ROWS + row) % len(ids)] for row in range(ROWS)] for browser in range(count)]
        outcomes = await asyncio.gather(*(watch(client, rows, until, told) for rows in shown), return_exceptions=True)
    gaps = sorted(told.gaps) or [0.0]
    return {
        "browsers": count,
        "failed": sum(isinstance(each, BaseException) for each in outcomes),
        "ended_early": told.ended,
        "patches_per_browser_per_second": round(told.patches / count / seconds, 2),
        "rows_per_second": round(told.rows / seconds, 1),
        "kilobytes_per_second": round(told.kilobytes / seconds, 1),
        "between_patches_p50_ms": round(gaps[len(gaps) // 2] * 1000),
        "between_patches_p99_ms": round(gaps[len(gaps) * 99 // 100] * 1000),
    }


if __name__ == "__main__":
    url, count, seconds, *ids = sys.argv[1:]
    token = os.environ["FARWATCH_BENCH_TOKEN"]
    print(json.dumps(asyncio.run(crowd(url, token, int(count), float(seconds), [int(each) for each in ids]))))
