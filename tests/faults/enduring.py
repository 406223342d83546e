"""One fault from its beginning to its end, with targets that fail before, in and beyond it."""

import asyncio
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager

from tests.faults.judge import Verdict
from tests.faults.site import Site, now_ms, report
from tests.support.slots import Count

MONITORS = ("steady", "steady-too", "before", "within", "ends-within")
"""`before` is down from before the fault until after it, `within` from its middle on; `ends-within` until then."""

Fault = Callable[[], AbstractAsyncContextManager[object]]


async def endure(
    site: Site,
    title: str,
    fault: Fault,
    hold_seconds: float,
    *,
    from_begin: bool = False,
    patience_seconds: float = 120,
) -> tuple[Verdict, Count, float]:
    """Holds the fault for so long and waits until all is well again; also reports it.

    Returns with the seconds to recovery since the fault's end, or since its beginning with `from_begin`.
    """
    targets = site.targets
    if not site.names:
        await site.add_monitors(MONITORS)
    targets.take_down("before", "ends-within")
    await site.until_down("before", "ends-within")
    began_ms = now_ms()
    async with fault():
        await asyncio.sleep(hold_seconds / 2)
        targets.take_down("within")
        targets.bring_up("ends-within")
        await asyncio.sleep(hold_seconds / 2)
    seconds = await site.recovered(began_ms if from_begin else now_ms(), patience_seconds)
    await site.until_down("within", timeout_seconds=patience_seconds)
    targets.bring_up("before", "within")
    await site.settled(patience_seconds)
    verdict, count = await site.verdict(), await site.slots()
    report(title, verdict, count, {"all": seconds}, held_seconds=hold_seconds)
    return verdict, count, seconds
