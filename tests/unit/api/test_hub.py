"""What browsers are told: coalescing, resuming, sleeping. No bus and no database is touched."""

import json
from collections import deque
from typing import Any, cast

import pytest

from farwatch_api import hub as module
from farwatch_api.errors import Unavailable
from farwatch_api.hub import Hub
from farwatch_bus import Message
from farwatch_events.live import LiveMonitor, LiveMonitors
from farwatch_store import Database


class Clock:
    now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def hub(clock: Clock) -> Hub:
    return Hub(cast("Database", None), clock)


async def hear(hub: Hub, monitor_id: int, slot_ms: int, **more: Any) -> None:
    live = LiveMonitor(monitor_id=monitor_id, slot_ms=slot_ms, region="eu", verdict="up", **more)
    told = LiveMonitors(monitors=[live])
    await hub._on_live(Message(cast("Any", None), "live.monitors", told.to_bytes(), None))


def told(hub: Hub, client: module.Client) -> tuple[str, dict[str, Any]]:
    event = hub.render(*client.take()).decode()
    lines = dict(line.split(": ", 1) for line in event.strip().splitlines())
    assert lines["event"] == "patch"
    return lines["id"], json.loads(lines["data"])


async def test_what_waits_is_one_patch_a_monitor_with_the_last_results(hub: Hub) -> None:
    client = hub.join([1, 2], None)
    for slot in range(50):
        await hear(hub, 1, slot * 1000, verdict_changed=slot == 3)
    await hear(hub, 3, 0)
    _, data = told(hub, client)
    (patch,) = data["monitors"]
    assert (patch["monitor_id"], patch["verdict_changed"]) == (1, True)
    assert len(patch["results"]) == module.RESULTS_KEPT
    assert patch["results"][-1]["slot"] == "1970-01-01T00:00:49Z"
    assert told(hub, client)[1] == {"monitors": []}


async def test_a_browser_that_comes_back_gets_what_it_missed(hub: Hub) -> None:
    client = hub.join([1], None)
    await hear(hub, 1, 1000)
    last_id, _ = told(hub, client)
    hub.leave(client)
    assert told(hub, hub.join([1], last_id))[1]["monitors"] == []
    await hear(hub, 1, 2000, incident_id=5)
    assert told(hub, hub.join([1], last_id))[1]["monitors"][0]["incident_id"] == 5
    assert hub.resumable(None)
    assert hub.resumable(last_id)
    for unknown in ("", "x", "abc-1", last_id.partition("-")[0] + "-x", "-"):
        assert not hub.resumable(unknown)


async def test_what_is_too_old_to_be_remembered_is_owned_up_to(hub: Hub) -> None:
    hub._remembered = deque(maxlen=10)
    client = hub.join([1], None)
    await hear(hub, 1, 1000)
    last_id, _ = told(hub, client)
    for slot in range(10):
        await hear(hub, 2, slot)
    assert hub.resumable(last_id)
    assert told(hub, hub.join([2], last_id))[1]["monitors"][0]["slot"] == "1970-01-01T00:00:00.009Z"
    at_keep_alive = hub.render_nothing().decode().strip().removeprefix("id: ")
    await hear(hub, 1, 2000)
    assert not hub.resumable(last_id)
    assert hub.resumable(at_keep_alive)
    (patch,) = told(hub, hub.join([1], at_keep_alive))[1]["monitors"]
    assert patch["slot"] == "1970-01-01T00:00:02Z"


async def test_without_browsers_it_sleeps_and_owns_up_to_it(hub: Hub, clock: Clock) -> None:
    client = hub.join([1], None)
    await hear(hub, 1, 1000)
    last_id, _ = told(hub, client)
    hub.leave(client)
    clock.now += module.ASLEEP_AFTER_SECONDS - 1
    await hear(hub, 1, 2000)
    assert hub.resumable(last_id)
    clock.now += 2
    await hear(hub, 1, 3000)
    assert not hub.resumable(last_id)
    client = hub.join([1], None)
    await hear(hub, 1, 4000)
    assert len(told(hub, client)[1]["monitors"]) == 1


async def test_odd_messages_and_too_many_browsers_do_no_harm(hub: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    client = hub.join([1], None)
    await hub._on_live(Message(cast("Any", None), "live.monitor.1", b"nonsense", None))
    assert hub.dropped == 1
    assert told(hub, client)[1]["monitors"] == []
    monkeypatch.setattr(module, "CLIENTS_MAX", 1)
    with pytest.raises(Unavailable):
        hub.join([1], None)
    hub.leave(client)
    hub.leave(client)
    assert hub._watchers == {}
