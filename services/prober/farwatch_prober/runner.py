"""One due check from start to result: stale or not, secrets, tries, and what is reported."""

import asyncio
import traceback
from collections.abc import Callable
from typing import Any

from farwatch_events.monitor import MonitorSpec
from farwatch_events.results import CheckResult, ErrorClass
from farwatch_prober.context import ProbeContext, Tools
from farwatch_prober.due import Due
from farwatch_prober.outcome import ProbeFailure, ProbeOutcome, failed, in_words
from farwatch_prober.registry import PROBES, Probe
from farwatch_prober.reporting import Report
from farwatch_prober.retry import Allowance, Retry, decide_retry, is_stale, try_timeout_ms
from farwatch_prober.secrets import Revealer
from farwatch_prober.watchdog import Watchdog

OVERRUN_SECONDS = 0.5
"""How far past its deadline a probe may end by itself, with a better sentence than a cancelled one has."""


def allowance_of(due: Due, started_ms: int) -> Allowance:
    spec = due.spec
    return Allowance(
        slot_ms=due.slot_ms,
        interval_ms=spec.interval_ms,
        tries=due.tries if due.tries is not None else spec.retries + 1,
        retry_interval_ms=int(spec.retry_interval_seconds * 1000),
        timeout_ms=int(spec.timeout_seconds * 1000),
        started_ms=started_ms,
        max_check_ms=int(spec.max_check_seconds * 1000),
    )


class Runner:
    """`lag_ms` is asked at the end of each check: how late the loop runs just then."""

    def __init__(
        self,
        tools: Tools,
        revealer: Revealer,
        now_ms: Callable[[], int],
        log: Any,
        lag_ms: Callable[[], float] = lambda: 0.0,
    ) -> None:
        self._tools = tools
        self._revealer = revealer
        self._now_ms = now_ms
        self._log = log
        self._lag_ms = lag_ms
        self._watchdog = Watchdog()
        self._loop: asyncio.AbstractEventLoop | None = None

    async def run(self, due: Due, epoch: int) -> CheckResult:
        """As `report`, as the model."""
        return (await self.report(due, epoch)).to_result()

    async def report(self, due: Due, epoch: int) -> Report:
        """What came of it, whatever happens."""
        started_ms = self._now_ms()
        if is_stale(due.slot_ms, due.spec.interval_ms, started_ms):
            late = in_words((started_ms - due.slot_ms) / 1000)
            outcome = failed(ErrorClass.SKIPPED, f"Not checked: the slot was {late} old when a prober got to it")
            return Report(due, epoch, outcome, (), started_ms, started_ms)
        try:
            spec = self._revealer.reveal(due.spec)
        except ProbeFailure as failure:
            outcome = failed(failure.error_class, failure.sentence)
            return Report(due, epoch, outcome, (), started_ms, self._now_ms())
        return await self._run_tries(due, spec, epoch, started_ms)

    async def _run_tries(self, due: Due, spec: MonitorSpec, epoch: int, started_ms: int) -> Report:
        outcome = await self._try(due, spec, spec.timeout_seconds, started_ms)
        tries = [(started_ms, outcome)]
        evidence = outcome.evidence
        while outcome.outcome == "down":  # nothing else is tried again
            allowance = allowance_of(due, started_ms)
            decision = decide_retry(allowance, outcome.outcome, len(tries), self._now_ms())
            if not isinstance(decision, Retry):
                break
            await asyncio.sleep(decision.after_ms / 1000)
            try_started_ms = self._now_ms()
            outcome = await self._try(due, spec, try_timeout_ms(allowance, try_started_ms) / 1000, try_started_ms)
            tries.append((try_started_ms, outcome))
            evidence = evidence or outcome.evidence
        lag_ms = int(self._lag_ms() * 10 + 0.5) / 10
        return Report(due, epoch, outcome, tries, started_ms, self._now_ms(), evidence, lag_ms)

    async def _try(self, due: Due, spec: MonitorSpec, timeout_seconds: float, now_ms: int) -> ProbeOutcome:
        probe: Probe | None = PROBES.get(spec.type)
        if probe is None:
            return failed(ErrorClass.INTERNAL, f"This prober runs no checks of type {spec.type}")
        if self._loop is None:
            self._loop = asyncio.get_running_loop()
        task = asyncio.current_task(self._loop)  # to find the loop each time costs a system call
        assert task is not None
        clock = self._loop.time
        deadline = clock() + timeout_seconds
        context = ProbeContext(self._tools, now_ms, timeout_seconds, deadline, clock)
        self._watchdog.watch(task, deadline + OVERRUN_SECONDS)
        try:
            return await probe(spec, context)
        except ProbeFailure as failure:
            return failed(failure.error_class, failure.sentence, address=context.address)
        except (asyncio.CancelledError, TimeoutError) as ended:
            if isinstance(ended, asyncio.CancelledError) and not self._watchdog.release(task):
                raise
            sentence = f"Not finished within {in_words(timeout_seconds)}"
            return failed(ErrorClass.TIMEOUT, sentence, address=context.address)
        except Exception as error:  # noqa: BLE001  # our fault must not look like the target's
            self._log.error(
                "probe_failed", monitor=due.monitor_id, type=spec.type, where=_place(error), error=type(error)
            )
            return failed(ErrorClass.INTERNAL, f"The prober failed at this check: {type(error).__name__}")
        finally:
            self._watchdog.release(task)


def _place(error: BaseException) -> str:
    """File and line of the innermost frame: enough to find it, and nothing of what the check held."""
    frames = traceback.extract_tb(error.__traceback__)
    return f"{frames[-1].filename}:{frames[-1].lineno}" if frames else ""
