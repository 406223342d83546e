"""The results streams of all regions: opened, read in JetStream's order of time, healed, purged."""

import asyncio
import contextlib
import time
from collections.abc import Iterable

import structlog

from farwatch_bus import Bus, BusError, Message, ensure_region, purge_up_to
from farwatch_events.subjects import PUSH_REGION, results_stream
from farwatch_incidents.intake import Intake, starting_point
from farwatch_incidents.writer import Advance

BEHIND_MS = 2_000
SLICE_MS = 1_000
SLICE_PATIENCE_SECONDS = 3.0
OPEN_PATIENCE_SECONDS = 3.0
CLOSE_SECONDS = 3.0
BYTES_A_STEP = 256 * 1024
"""Some thousand results: more would keep the loop, and with it the lease, waiting for too long."""

Start = tuple[int, str]
"""The last sequence folded in, and when the stream was created."""

log = structlog.get_logger("farwatch_incidents")


class Intakes:
    """`offsets` by stream as they stand in the database. `behind` is whether slices are taken.

    Streams are opened beside the fold: a region whose stream does not answer holds nobody else up.
    """

    def __init__(self, bus: Bus, offsets: dict[str, Start], arrived: asyncio.Event) -> None:
        self.bus = bus
        self.offsets = offsets
        self.behind = False
        self._arrived = arrived
        self._open: dict[str, Intake] = {}
        self._opening: dict[str, asyncio.Task[Start | None]] = {}
        self._closing: set[asyncio.Task[None]] = set()
        self._slice_began = 0.0

    @property
    def regions(self) -> list[str]:
        return sorted(self._open)

    @property
    def are_drained(self) -> bool:
        """Whether everything that is in the streams, as far as we were told, was taken."""
        return all(each.is_drained for each in self._open.values())

    @property
    def are_watching(self) -> bool:
        """Whether a heartbeat that was sent would have been seen."""
        return self.bus.connected and self.are_drained and not any(each.broken for each in self._open.values())

    @property
    def waits_for_a_slice(self) -> bool:
        return self._slice_began > 0

    # -- opening -----------------------------------------------------------------------------------------------------

    async def open(self, regions: Iterable[str]) -> None:
        """At the start: all of them, so that the votes of a backlog meet; one that does not answer comes later."""
        self.watch(regions)
        if self._opening:
            await asyncio.wait(self._opening.values(), timeout=OPEN_PATIENCE_SECONDS)

    def watch(self, regions: Iterable[str]) -> None:
        """Begins to open what is missing, and lets go of what is gone or broke off. Does not wait."""
        wanted = {*regions, PUSH_REGION}
        for region, intake in list(self._open.items()):
            if region not in wanted or (intake.is_over and intake.oldest_ms is None):
                self._let_go(region)
        for region in wanted - self._open.keys() - self._opening.keys():
            opening = asyncio.create_task(self._find_start(region), name=f"open-{region}")
            opening.add_done_callback(lambda _: self._arrived.set())
            self._opening[region] = opening

    async def _find_start(self, region: str) -> Start | None:
        try:
            await ensure_region(self.bus, region)
            return await starting_point(self.bus, region, self.offsets.get(results_stream(region)))
        except BusError as error:
            log.warning("region_unreachable", region=region, error=str(error))
            return None

    def opened(self) -> dict[str, Start]:
        """By region: where to begin reading. Those whose start differs from `offsets` have to be stored first."""
        found = {}
        for region, opening in list(self._opening.items()):
            if opening.done():
                del self._opening[region]
                if (start := opening.result()) is not None:
                    found[region] = start
        return found

    def begin(self, region: str, start: Start) -> None:
        self.offsets[results_stream(region)] = start
        self._open[region] = Intake(self.bus, region, start[0], self._arrived)

    def _let_go(self, region: str) -> None:
        intake = self._open.pop(region)
        if intake.is_over:
            log.warning("stream_broke_off", stream=intake.stream, why=str(intake.broken or intake.failure))
        closing = asyncio.create_task(intake.close())
        self._closing.add(closing)
        closing.add_done_callback(self._closing.discard)

    # -- reading -----------------------------------------------------------------------------------------------------

    def take(self, now_ms: int, *, alone: bool = False) -> list[tuple[str, Message]]:
        """What arrived, in JetStream's order of time; only one message when `alone`. Behind, only what came up to one
        common time: so the regions' votes meet as they would have met live."""
        waiting = [each.oldest_ms for each in self._open.values() if each.oldest_ms is not None]
        if not waiting:
            self.behind = False
            return []
        up_to_ms, share = None, BYTES_A_STEP // len(waiting)
        self.behind = now_ms - min(waiting) > BEHIND_MS
        if self.behind:
            up_to_ms = min(waiting) + SLICE_MS
            if not self._slice_is_whole(up_to_ms):
                return []
        self._slice_began = 0.0
        if alone:
            first = min((each for each in self._open.values() if each.oldest_ms), key=lambda each: each.oldest_ms or 0)
            return [(first.region, message) for message in first.take(None, 1)]
        taken = [(region, message) for region, each in self._open.items() for message in each.take(up_to_ms, share)]
        taken.sort(key=lambda pair: pair[1].timestamp_ms)
        return taken

    def _slice_is_whole(self, up_to_ms: int) -> bool:
        """Whether every stream is read up to that time. One that does not answer is not waited for endlessly."""
        if all(intake.reaches(up_to_ms) for intake in self._open.values()):
            return True
        self._slice_began = self._slice_began or time.monotonic()
        return time.monotonic() - self._slice_began > SLICE_PATIENCE_SECONDS

    # -- committing --------------------------------------------------------------------------------------------------

    def advances(self) -> list[Advance]:
        """Streams that were read further than their offset."""
        steps = [Advance(each.stream, self.offsets[each.stream][0], each.last) for each in self._open.values()]
        return [step for step in steps if step.before != step.last]

    def committed(self, advances: Iterable[Advance]) -> None:
        for each in advances:
            self.offsets[each.stream] = (each.last, self.offsets[each.stream][1])

    async def purge(self) -> None:
        """Makes room in the streams: what is committed is never read again."""
        for intake in list(self._open.values()):
            committed, _ = self.offsets.get(intake.stream, (0, ""))
            with contextlib.suppress(BusError):
                await purge_up_to(self.bus, intake.stream, committed)

    async def close(self) -> None:
        for opening in self._opening.values():
            opening.cancel()
        closing = [*self._closing, *(asyncio.ensure_future(each.close()) for each in self._open.values())]
        if closing:
            await asyncio.wait(closing, timeout=CLOSE_SECONDS)
