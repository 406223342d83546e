"""2,000 checks in flight against slow and hostile servers stay within their memory."""

import asyncio
import resource
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from farwatch_prober.context import Tools
from tests.integration.prober.conftest import Check

IN_FLIGHT = 2000
MOST_MB = 250
PATHS = ("mute", "headers", "body", "gzip", "br")
ROOT = Path(__file__).parents[3]


@pytest.fixture
async def hostile() -> AsyncIterator[int]:
    """The port of the server."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "tests.integration.prober.hostile",
        stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, cwd=ROOT,
    )  # fmt: skip
    assert process.stdout is not None
    try:
        yield int(await asyncio.wait_for(process.stdout.readline(), 20))
    finally:
        process.kill()
        await process.wait()


def resident_mb() -> float:
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) / 1024
    raise AssertionError("no VmRSS")


@pytest.mark.skipif(
    resource.getrlimit(resource.RLIMIT_NOFILE)[0] < IN_FLIGHT + 500, reason="too few files may be open here"
)
async def test_hostile_answers_are_bounded_together(check: Check, tools: Tools, hostile: int) -> None:
    before = resident_mb()
    running = [
        asyncio.ensure_future(
            check(
                type="http", url=f"http://127.0.0.1:{hostile}/{PATHS[number % len(PATHS)]}", timeout_seconds=12,
                interval_seconds=60, expected_text="needle",
            )
        )
        for number in range(IN_FLIGHT)
    ]  # fmt: skip
    most, most_held, most_in_flight = before, 0, 0
    while not all(task.done() for task in running):
        await asyncio.sleep(0.1)
        most = max(most, resident_mb())
        most_held = max(most_held, tools.curl.memory.used)
        most_in_flight = max(most_in_flight, tools.curl.in_flight)
    results = [task.result() for task in running]
    print(f"{most - before:.0f} MB more, {most_held / 2**20:.0f} MB of answers, {most_in_flight} in flight")
    assert most_in_flight > IN_FLIGHT * 0.9
    assert most - before < MOST_MB
    assert most_held <= tools.curl.memory.limit
    assert tools.curl.memory.used == 0
    assert {result.outcome for result in results} <= {"down", "unknown"}
    assert {result.error_class for result in results} <= {"timeout", "protocol", "content", "internal"}
