"""Ten thousand monitors that all begin again at once."""

import signal
from contextlib import AsyncExitStack
from pathlib import Path

import pytest

from bench.harness.load import insert_monitors
from farwatch_store import Database
from tests.faults.judge import Verdict
from tests.faults.site import now_ms, open_site, report, start_up
from tests.support.waiting import eventually

MONITORS, INTERVAL_SECONDS = 10_000, 60


@pytest.mark.faults
@pytest.mark.timeout(600)
async def test_ten_thousand_monitors_begin_again_at_once(folder: Path) -> None:
    """Everything is killed at once and started again. Each monitor is checked within one interval of readiness."""
    async with open_site(folder) as site, AsyncExitStack() as later:
        db = await Database.connect((site.up.data_dir / "database-url").read_text().strip(), name="test")
        ids = await insert_monitors(db, site.base, MONITORS, INTERVAL_SECONDS, per_second=500)
        await db.close()
        up_now = "select count(*) as n from health.verdicts where verdict = 'up'"

        async def all_up() -> bool:
            return bool((await site.rows(up_now))[0]["n"] == MONITORS)

        await eventually(all_up, 240, 1)
        site.up.stop(signal.SIGKILL)
        killed_ms = now_ms()
        site.up = await start_up(later, folder, FARWATCH_HEALTH_PORT=str(site.health_port))
        recovered = await site.recovered(killed_ms)
        began_ms = now_ms()
        checked = (
            "select count(distinct monitor_id) as n from health.check_results where outcome = 'up'"
            f" and slot > timestamptz 'epoch' + {killed_ms} * interval '1 millisecond'"
        )

        async def all_checked() -> bool:
            return bool((await site.rows(checked))[0]["n"] == MONITORS)

        await eventually(all_checked, 2 * INTERVAL_SECONDS, 0.5)
        seconds = (now_ms() - began_ms) / 1000
        incidents = await site.rows("select monitor_id from health.incidents")
        verdict = Verdict(false_alarms=[f"incident of monitor {row['monitor_id']}" for row in incidents])
        site.names = {str(monitor_id): monitor_id for monitor_id in ids}
        site.began_ms = killed_ms
        count = await site.slots(interval_seconds=INTERVAL_SECONDS)
        recoveries = {"first check": recovered, "every monitor checked, from then": seconds}
        report(f"{MONITORS} monitors begin again at once", verdict, count, recoveries)
    assert verdict.is_clean, verdict
    assert count.doubled == 0, count
    assert count.missed == 0 or recovered > INTERVAL_SECONDS, count
    assert seconds <= INTERVAL_SECONDS + 5
