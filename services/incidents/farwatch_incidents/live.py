"""What browsers are told once a batch is committed."""

import contextlib

from farwatch_bus import Bus, BusError
from farwatch_events.live import LIVE_MONITORS_MAX, LiveCheck, LiveMonitors
from farwatch_events.subjects import live_check, live_monitors
from farwatch_incidents.board import Board
from farwatch_incidents.changes import Changes


async def tell_live(bus: Bus, board: Board, changes: Changes) -> None:
    """Deltas, never the truth: what the bus does not take is not said again."""
    with contextlib.suppress(BusError):
        told = [
            board.live_of(monitor_id, region, result, turned=monitor_id in changes.turned)
            for monitor_id, (region, result) in changes.live.items()
        ]
        for start in range(0, len(told), LIVE_MONITORS_MAX):
            part = LiveMonitors(monitors=told[start : start + LIVE_MONITORS_MAX])
            await bus.publish(live_monitors(), part.to_bytes())
        for region, asked in changes.live_checks:
            if asked.request_id is not None:
                stored = LiveCheck(request_id=asked.request_id, region=region, result=asked)
                await bus.publish(live_check(asked.request_id), stored.to_bytes())
