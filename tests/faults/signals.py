"""Processes that stand still: SIGSTOP to one with all its children, SIGCONT at the end."""

import asyncio
import os
import signal
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager, suppress

from tests.faults.site import VICTIMS, Site
from tests.support.up import processes


def family(pid: int) -> list[int]:
    """The process and all below it."""
    parents = {child: parent for child, (parent, _) in processes().items()}
    found = [pid]
    for each in found:  # grows meanwhile
        found += [child for child, parent in parents.items() if parent == each]
    return found


def stopped(site: Site, victim: str) -> Callable[[], AbstractAsyncContextManager[object]]:
    @asynccontextmanager
    async def fault() -> AsyncIterator[None]:
        pids = await asyncio.to_thread(family, site.up.child(VICTIMS[victim]))
        try:
            _tell(pids, signal.SIGSTOP)
            yield
        finally:
            _tell(pids, signal.SIGCONT)

    return fault


def _tell(pids: list[int], how: signal.Signals) -> None:
    for pid in pids:
        with suppress(ProcessLookupError):
            os.kill(pid, how)
