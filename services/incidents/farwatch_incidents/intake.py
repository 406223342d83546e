"""One region's results stream, read ahead of the fold within bounds."""

import asyncio
from collections import deque

import structlog

from farwatch_bus import Bus, BusError, Message, SequenceGap, StreamInfo, stream_info
from farwatch_events.subjects import results_stream

READ_AHEAD = 2_000
TAKE_AT_ONCE = 500
WAIT_SECONDS = 1.0

log = structlog.get_logger("farwatch_incidents")


class Intake:
    """`last` is the sequence last handed to the fold. `broken` is set when the stream no longer continues there,
    `failure` when reading ended otherwise: in either case the intake has to be made anew."""

    def __init__(self, bus: Bus, region: str, last: int, arrived: asyncio.Event) -> None:
        self.region = region
        self.stream = results_stream(region)
        self.last = last
        self.broken: SequenceGap | None = None
        self.failure: Exception | None = None
        self._reader = bus.reader(self.stream, last + 1, credit=TAKE_AT_ONCE)
        self._waiting: deque[Message] = deque()
        self._arrived = arrived
        self._room = asyncio.Event()
        self._task = asyncio.create_task(self._read(), name=f"intake-{region}")

    async def _read(self) -> None:
        try:
            await self._read_on()
        except SequenceGap as gap:
            self.broken = gap
        except Exception as error:
            log.exception("intake_failed", stream=self.stream)
            self.failure = error
        self._arrived.set()

    async def _read_on(self) -> None:
        while True:
            if len(self._waiting) >= READ_AHEAD:
                self._room.clear()
                await self._room.wait()
            try:
                messages = await self._reader.batch(TAKE_AT_ONCE, WAIT_SECONDS)
            except SequenceGap:
                raise
            except BusError:
                await asyncio.sleep(0.2)
                continue
            if messages:
                self._waiting.extend(messages)
                self._arrived.set()

    @property
    def is_over(self) -> bool:
        return self.broken is not None or self.failure is not None

    @property
    def oldest_ms(self) -> int | None:
        """JetStream time of the oldest message that waits."""
        return self._waiting[0].timestamp_ms if self._waiting else None

    @property
    def is_drained(self) -> bool:
        """Whether, as far as we were told, nothing more is in the stream."""
        return not self._waiting and self._reader.pending == 0

    def reaches(self, timestamp_ms: int) -> bool:
        """Whether everything up to this time has been read: something later waits, or there is no more."""
        if self._waiting and self._waiting[-1].timestamp_ms > timestamp_ms:
            return True
        return self._reader.pending == 0 or len(self._waiting) >= READ_AHEAD or self.is_over

    def take(self, up_to_ms: int | None, most_bytes: int) -> list[Message]:
        """Messages in order, those up to a time when given, about `most_bytes` of them and at least one."""
        taken: list[Message] = []
        size = 0
        while self._waiting and size < most_bytes:
            if up_to_ms is not None and self._waiting[0].timestamp_ms > up_to_ms:
                break
            taken.append(self._waiting.popleft())
            size += len(taken[-1].data)
        if taken:
            self.last = taken[-1].sequence
        self._room.set()
        return taken

    async def close(self) -> None:
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)
        await self._reader.close()


def created_text(info: StreamInfo) -> str:
    """How a stream's birth stands in health.offsets."""
    return info.created.isoformat()


async def starting_point(bus: Bus, region: str, known: tuple[int, str] | None) -> tuple[int, str] | None:
    """The last sequence to count as folded, and the stream's birth; None while there is no such stream.

    A stream made again starts over. One that lost its tail continues where it ends now, since it will give the lost
    numbers to new messages; one that lost its beginning continues at what is left. The identity windows keep what
    comes twice from counting twice.
    """
    info = await stream_info(bus, results_stream(region))
    if info is None:
        return None
    last, created = known or (0, "")
    if created != created_text(info):
        last = 0
    last = min(last, info.last_sequence)
    return max(last, info.first_sequence - 1), created_text(info)
