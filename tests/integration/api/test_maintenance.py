"""Weekly maintenance over REST."""

from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import httpx

from farwatch_api.commands.maintenance import move_on
from farwatch_events.maintenance import WEEKDAYS
from tests.integration.api.conftest import TestDeps

TODAY = datetime.now(UTC).weekday()
FAR_DAYS = sorted(((TODAY + 3) % 7, (TODAY + 4) % 7))
"""Far enough from now that no occurrence is running in any time zone."""
WEEKLY = {
    "weekdays": [WEEKDAYS[day] for day in reversed(FAR_DAYS)],
    "starts": "02:30",
    "duration_minutes": 60,
    "time_zone": "Europe/Berlin",
}


async def test_weekly_maintenance(client: httpx.AsyncClient, data: Any, deps: TestDeps) -> None:
    body = {"name": "Backups", "all_monitors": True, "weekly": WEEKLY}
    made = data(await client.post("/api/maintenance", json=body), 201)
    assert made["weekly"] == {**WEEKLY, "weekdays": [WEEKDAYS[day] for day in FAR_DAYS]}
    begins = datetime.fromisoformat(made["starts_at"])
    assert f"{begins.astimezone(ZoneInfo('Europe/Berlin')):%H:%M}" in ("02:30", "03:30")
    assert datetime.fromisoformat(made["ends_at"]) - begins == timedelta(hours=1)
    again = data(await client.put(f"/api/maintenance/{made['id']}", json=made))
    assert again == made
    # Its occurrence is over: the next follows, and what was stays in the history.
    await deps.owner.pool.execute(
        "update config.maintenance set starts_at = now() - interval '8 days', ends_at = now() - interval '191 hours'"
    )
    await move_on(deps)
    moved = data(await client.get(f"/api/maintenance/{made['id']}"))
    assert (moved["starts_at"], moved["ends_at"]) == (made["starts_at"], made["ends_at"])
    assert [item["id"] for item in data(await client.get("/api/maintenance"))["items"]] == [made["id"]]
    kept = await deps.owner.pool.fetchval("select count(*) from config.maintenance where series_id = $1", made["id"])
    assert kept in (2, 3, 4)
    ended = data(await client.patch(f"/api/maintenance/{made['id']}", json={"until": "2020-01-01T00:00:00Z"}), 422)
    assert ended["errors"][0]["field"] == "until"
    odd = {**body, "weekly": {**WEEKLY, "time_zone": "Mars/Olympus"}}
    assert data(await client.post("/api/maintenance", json=odd), 422)["errors"][0]["field"] == "weekly.time_zone"
    data(await client.post("/api/maintenance", json={"name": "x", "all_monitors": True}), 422)
    assert data(await client.delete(f"/api/maintenance/{made['id']}"))["state"] == "cancelled"
