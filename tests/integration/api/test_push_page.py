"""A push monitor on the screen, and the lines to copy, run by a real shell and Python against a real server."""

import asyncio
import re
import shutil
import sys

import httpx
import pytest

from farwatch_api.presentation.snippets import snippets
from tests.integration.api.conftest import Browser
from tests.support.http import HttpServer

NIGHTLY = {"type": "push", "name": "Backup", "cron": "30 2 * * *", "time_zone": "Europe/Berlin", "grace_seconds": 600,
           "run_limit_seconds": 7200}  # fmt: skip


async def test_the_page_says_when_a_call_is_due_and_what_to_copy(browser: Browser) -> None:
    made = await browser.http.post("/api/monitors", json=NIGHTLY, headers=browser.headers())
    monitor = made.json()["data"]
    assert (made.status_code, monitor["interval_seconds"]) == (201, 86400)
    page = (await browser.http.get(f"/monitors/{monitor['id']}", headers={"accept": "text/html"})).text
    for words in (
        "<code>30 2 * * *</code>",
        "(Europe/Berlin)",
        "A run that was started has",
        "ExecStopPost",
        "urlopen",
        monitor["push_url"],
    ):
        assert words in page
    form = (await browser.http.get(f"/monitors/{monitor['id']}/edit", headers={"accept": "text/html"})).text
    for name, value in (("cron", "30 2 * * *"), ("time_zone", "Europe/Berlin"), ("run_limit_seconds", "7200")):
        assert re.search(rf'name="{name}"[^>]*value="{re.escape(value)}"', form), name


@pytest.mark.parametrize(
    ("field", "value", "words"),
    [("cron", "0 0 31 2 *", "day-of-month"), ("cron", "daily at noon", "five fields"), ("time_zone", "CEST/x", "IANA")],
)
async def test_a_schedule_that_makes_no_sense_is_refused_at_its_field(
    client: httpx.AsyncClient, field: str, value: str, words: str
) -> None:
    answer = await client.post("/api/monitors", json={**NIGHTLY, field: value})
    assert answer.status_code == 422
    (error,) = answer.json()["data"]["errors"]
    assert error["field"] == field
    assert words in error["message"]


async def run(*command: str, **environ: str) -> None:
    process = await asyncio.create_subprocess_exec(*command, env={"PATH": "/usr/bin:/bin", **environ})
    await asyncio.wait_for(process.wait(), 30)


@pytest.mark.skipif(shutil.which("curl") is None, reason="curl is not here")
async def test_the_lines_to_copy_call_what_they_say(http_target: HttpServer) -> None:
    found = dict(snippets({"push_url": f"{http_target.url}push/tok", "cron": "0 3 * * *", "interval_seconds": 86400}))

    async def called(*command: str, **environ: str) -> list[tuple[str, bytes]]:
        http_target.requests.clear()
        await run(*command, **environ)
        return [(request.path, request.body) for request in http_target.requests]

    timed = found["With duration and exit code"].replace("/path/to/job", "(exit 3)")
    assert await called("sh", "-c", timed) == [("/push/tok/start", b""), ("/push/tok/3", b"")]
    assert await called("sh", "-c", found["At the end of a script"]) == [("/push/tok", b"")]
    assert await called("sh", "-c", found["When the job failed"]) == [("/push/tok/fail", b"disk full")]
    crontab = found["In a crontab"].removeprefix("0 3 * * * ").replace("/path/to/job", "true")
    assert await called("sh", "-c", crontab) == [("/push/tok/0", b"")]
    stop = re.search(r"ExecStopPost=-/bin/sh -c '(.*)'", found["In a systemd service"])
    assert stop is not None
    assert await called("sh", "-c", stop[1], EXIT_STATUS="7") == [("/push/tok/7", b"")]
    assert await called("sh", "-c", stop[1], EXIT_STATUS="KILL") == [("/push/tok/fail", b"")]
    good = "def job(): pass\n" + found["In Python"]
    assert await called(sys.executable, "-c", good) == [("/push/tok/start", b""), ("/push/tok", b"")]
    bad = "def job(): raise SystemError('no room')\n" + found["In Python"]
    assert await called(sys.executable, "-c", bad) == [("/push/tok/start", b""), ("/push/tok/fail", b"no room")]
