"""From a target that stops to four messages, and four more when it is back."""

import asyncio
from itertools import groupby

from tests.integration.crash.running import CHANNELS, Running, seconds_in, until
from tests.support.http import HttpServer
from tests.support.waiting import eventually


async def test_an_outage_is_told_once_on_each_channel(running: Running, http_target: HttpServer) -> None:
    loop = asyncio.get_running_loop()
    monitor_id = await running.add_monitor("Shop", http_target)
    await running.until_up([monitor_id])
    assert running.sinks.told("Shop") == []

    await http_target.stop()
    stopped = loop.time()
    took = await until(lambda: running.sinks.channels_told("Shop") == sorted(CHANNELS), 12)
    assert took < 12
    incident = (await running.incidents(monitor_id))[0]
    assert (incident["state"], incident["severity"]) == ("open", "down")
    assert incident["cause"]["error_class"] == "connect_refused"
    assert await running.state(monitor_id) == "down"
    for told in running.sinks.told("Shop"):
        assert "down" in told.text.lower()

    await asyncio.sleep(max(0.0, stopped + 10 - loop.time()))  # retries and later slots add no messages
    assert running.sinks.channels_told("Shop") == sorted(CHANNELS)

    await http_target.start()
    await until(lambda: len(running.sinks.told("Shop")) == 2 * len(CHANNELS), 12)
    incidents = await running.incidents(monitor_id)
    assert [each["state"] for each in incidents] == ["resolved"]
    for _, told_each in groupby(
        sorted(running.sinks.told("Shop"), key=lambda each: each.channel), lambda each: each.channel
    ):
        recovery = list(told_each)[1].text
        assert seconds_in(recovery, r"up again after [\dhms ]+") == incidents[0]["duration_seconds"]

    async def all_delivered() -> bool:
        rows = await running.rows("select channel_id, moment, state, attempts from alerting.deliveries")
        expected = {
            (channel, moment, "delivered", 1) for channel in running.channels.values() for moment in ("down", "up")
        }
        return len(rows) == len(expected) and {tuple(row.values()) for row in rows} == expected

    await eventually(all_delivered, 5)
