"""Chunks of due checks: taken while there is room, run, answered, acknowledged when every result is stored."""

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass
from typing import Any

from farwatch_bus import Message, Puller
from farwatch_events.checks import CHUNK_MAX_CHECKS
from farwatch_events.results import ErrorClass
from farwatch_prober.backlog import Backlog, is_left_out
from farwatch_prober.due import Due
from farwatch_prober.fence import Fence
from farwatch_prober.intake import MAX_DELIVERIES, BadChunk, Intake, Reader
from farwatch_prober.metrics import Metrics
from farwatch_prober.outbox import Outbox
from farwatch_prober.outcome import failed, in_words
from farwatch_prober.pace import STARTS_A_TURN, Pace
from farwatch_prober.reporting import Report
from farwatch_prober.runner import Runner
from farwatch_prober.selfcheck import ON_THE_WAY

TAKE_SECONDS = 0.5
ALIVE_SECONDS = 3.0
"""How often the server hears that a chunk is in progress; it would send it to another after 10 s of silence."""
UNCONFIRMED_FACTOR = 4
"""Results not stored, as a multiple of the capacity, at which no more work is taken."""


@dataclass(slots=True, eq=False)
class Chunk:
    """`left` counts the results that are not stored yet; `told_at` is when the server last heard of it (loop time)."""

    message: Message
    epoch: int
    first_slot_ms: int
    left: int
    told_at: float


class Worker:
    """`trusts` says whether a failure may be the target's, and not the prober's own; `saw` hears of every check's end
    and whether it was believed."""

    def __init__(
        self,
        runner: Runner,
        outbox: Outbox,
        metrics: Metrics,
        capacity: int,
        now_ms: Callable[[], int],
        log: Any,
        trusts: Callable[[Report], Awaitable[bool]],
        saw: Callable[[Report, bool], None],
    ) -> None:
        self._trusts, self._saw = trusts, saw
        self._runner = runner
        self._outbox = outbox
        self._metrics = metrics
        self._now_ms = now_ms
        self._log = log
        self._chunks: dict[tuple[int, int], Chunk] = {}
        self._tasks: dict[int, asyncio.Task[None]] = {}
        self._started = 0
        self._acks: set[asyncio.Task[None]] = set()
        self._freed = asyncio.Event()
        self._last_slot_ms = 0
        self._watermark_ms = 0
        self.capacity = capacity
        self._fence = Fence()
        self._reader = Reader()
        self._backlog = Backlog()
        self.pace = Pace()
        self.answered = 0

    @property
    def epoch(self) -> int:
        """The newest scheduler's."""
        return self._fence.epoch

    @property
    def in_flight(self) -> int:
        return len(self._tasks)

    @property
    def leaves_out(self) -> bool:
        """Whether checks are left out since more are due than can be done."""
        return self._backlog.leaves_out

    async def feed(
        self, puller: Puller, limit: int, stop: asyncio.Event, beat: Callable[[], None], *, may_leave_out: bool = False
    ) -> None:
        """Takes chunks while fewer than `limit` checks run; what it cannot start in time is left to others."""
        while not stop.is_set():
            beat()
            room = self._room(limit)
            if room < 1:
                await self._wait_for_room()
                continue
            for message in await puller.take(max(1, room // CHUNK_MAX_CHECKS), TAKE_SECONDS):
                await self._start(message, self._see_wait(message) if may_leave_out else 0.0)

    def _see_wait(self, message: Message) -> float:
        """For how long it waited, in seconds, if that is a reason to leave checks out; else 0."""
        before = self._backlog.leaves_out
        now = asyncio.get_running_loop().time()
        waited = self._backlog.take(message.sequence, message.pending, message.deliveries, now)
        leaves_out = self._backlog.leaves_out
        if leaves_out != before:
            say = self._log.warning if leaves_out else self._log.info
            say("leaves_checks_out" if leaves_out else "leaves_no_checks_out", waited_seconds=round(waited, 1))
        return waited if leaves_out else 0.0

    def _room(self, limit: int) -> int:
        if self._outbox.unconfirmed >= self.capacity * UNCONFIRMED_FACTOR:
            return 0
        return limit - self.in_flight

    async def _wait_for_room(self) -> None:
        self._freed.clear()
        try:
            async with asyncio.timeout(TAKE_SECONDS):
                await self._freed.wait()
        except TimeoutError:
            pass

    async def _start(self, message: Message, waited_seconds: float) -> None:
        key = (message.sequence, message.timestamp_ms)
        if (known := self._chunks.get(key)) is not None:  # it comes again while we are still at it
            known.message = message
            self._metrics.chunks.labels("again").inc()
            return
        try:
            intake = self._reader.read(message.data, self._now_ms())
        except BadChunk as error:
            self._log.error("bad_chunk", sequence=message.sequence, error=str(error))
            self._drop(message, "unreadable")
            return
        slots = [check.slot_ms for check in intake.checks] + [result.slot_ms for result in intake.refused]
        if not slots:
            self._drop(message, "empty")
        elif not self._fence.admits(intake.epoch, min(slots)):
            self._drop(message, "old_epoch")
        else:
            await self._open(key, message, intake, slots, waited_seconds)

    async def _open(
        self, key: tuple[int, int], message: Message, intake: Intake, slots: list[int], waited_seconds: float
    ) -> None:
        checks, refused = intake.checks, intake.refused
        loop = asyncio.get_running_loop()
        now = loop.time()
        chunk = self._chunks[key] = Chunk(message, intake.epoch, min(slots), len(slots), now)
        self._last_slot_ms = max(self._last_slot_ms, *slots) if message.deliveries == 1 else self._last_slot_ms
        for result in refused:
            self._metrics.count_unreadable()
            self._send(key, chunk, result.to_bytes())
        if message.deliveries > MAX_DELIVERIES:
            self._give_up(key, chunk, checks)
            return
        self._metrics.chunks.labels("taken").inc()
        if waited_seconds:
            checks = self._leave_out(key, chunk, checks, waited_seconds)
        for number, check in enumerate(checks, 1):
            self._started += 1
            self._tasks[self._started] = loop.create_task(self._run(self._started, key, chunk, check))
            if number % STARTS_A_TURN == 0 or number == len(checks):
                await self.pace.breathe()

    def _leave_out(self, key: tuple[int, int], chunk: Chunk, checks: Iterable[Due], waited_seconds: float) -> list[Due]:
        """Those that are still worth it; the others are answered."""
        now_ms = self._now_ms()
        sentence = f"Not checked: it waited for {in_words(waited_seconds)}, and more checks are due than can be made"
        outcome = failed(ErrorClass.SKIPPED, sentence)
        kept: list[Due] = []
        for check in checks:
            if is_left_out(check.monitor_id, check.slot_ms, check.spec.interval_ms, waited_seconds):
                self._answer(key, chunk, Report(check, chunk.epoch, outcome, (), now_ms, now_ms))
            else:
                kept.append(check)
        return kept

    def _give_up(self, key: tuple[int, int], chunk: Chunk, checks: Iterable[Due]) -> None:
        self._metrics.chunks.labels("given_up").inc()
        now_ms = self._now_ms()
        sentence = f"Not checked: handed out {chunk.message.deliveries - 1} times, and no prober came to an end with it"
        for check in checks:
            outcome = failed(ErrorClass.INTERNAL, sentence)
            self._answer(key, chunk, Report(check, chunk.epoch, outcome, (), now_ms, now_ms))

    async def _run(self, number: int, key: tuple[int, int], chunk: Chunk, check: Due) -> None:
        """It takes itself out of the books: a callback of the task would cost a turn of the loop more."""
        try:
            report = await self._runner.report(check, chunk.epoch)
            believed = report.outcome.error_class not in ON_THE_WAY or await self._trusts(report)
            self._saw(report, believed)
            self._answer(key, chunk, report, believed=believed)
        except Exception as error:  # noqa: BLE001  # the chunk comes again
            self._log.error("check_lost", exc_info=error)
        finally:
            del self._tasks[number]
            self._freed.set()

    def _answer(self, key: tuple[int, int], chunk: Chunk, report: Report, *, believed: bool = True) -> None:
        self._metrics.count(report)
        self._send(key, chunk, report.to_bytes(), believed=believed)

    def _send(self, key: tuple[int, int], chunk: Chunk, encoded: bytes, *, believed: bool = True) -> None:
        self.answered += 1
        self._outbox.add(encoded, lambda: self._stored(key, chunk), believed=believed)

    def _stored(self, key: tuple[int, int], chunk: Chunk) -> None:
        chunk.left -= 1
        if chunk.left == 0:
            del self._chunks[key]
            self._ack(chunk.message)

    def _drop(self, message: Message, fate: str) -> None:
        self._metrics.chunks.labels(fate).inc()
        self._ack(message)

    def _ack(self, message: Message) -> None:
        task = asyncio.create_task(message.ack())
        self._acks.add(task)
        task.add_done_callback(self._acks.discard)

    def watermark_ms(self) -> int:
        """All slots at or before it that this prober took are answered and stored; it never goes back."""
        open_slots = [chunk.first_slot_ms for chunk in self._chunks.values()]
        reached = min(open_slots) - 1 if open_slots else self._last_slot_ms
        self._watermark_ms = max(self._watermark_ms, min(reached, self._last_slot_ms))
        return self._watermark_ms

    async def keep_alive(self) -> None:
        """Tells the server of every chunk that takes longer."""
        loop = asyncio.get_running_loop()
        while True:
            await asyncio.sleep(ALIVE_SECONDS / 3)
            now = loop.time()
            for chunk in list(self._chunks.values()):
                if now - chunk.told_at >= ALIVE_SECONDS:
                    chunk.told_at = now
                    await chunk.message.in_progress()

    async def finish(self, grace_seconds: float, store_seconds: float, untaken: Iterable[Puller]) -> None:
        """Ends what runs within the grace, hands the rest back. No more may be started by now.

        The pullers go first: the server would answer their open requests with what is handed back.
        """
        for puller in untaken:
            await puller.close()
            for message in await puller.take(max(1, puller.waiting), 0):
                await message.nak()
        running = list(self._tasks.values())
        if running:
            await asyncio.wait(running, timeout=grace_seconds)
        for task in running:
            task.cancel()
        await asyncio.gather(*running, return_exceptions=True)
        await self._outbox.close(store_seconds)
        await asyncio.gather(*self._acks, return_exceptions=True)
        for chunk in self._chunks.values():
            await chunk.message.nak()
        self._log.info("handed_back", chunks=len(self._chunks))
