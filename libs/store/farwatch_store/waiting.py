"""Waiting for the first of several events, with a bound."""

import asyncio


async def wait_any(timeout_seconds: float, *events: asyncio.Event) -> None:
    """Returns when one of `events` is set or the time is over."""
    if any(event.is_set() for event in events):
        return
    tasks = [asyncio.create_task(event.wait()) for event in events]
    try:
        await asyncio.wait(tasks, timeout=timeout_seconds, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in tasks:
            task.cancel()
