import pytest
from hypothesis import given
from hypothesis import strategies as st

from farwatch_events.monitor import HttpMonitor
from farwatch_events.results import Outcome
from farwatch_prober.retry import Allowance, Retry, Settle, decide_retry, is_stale, try_timeout_ms


def allow(**changes: int) -> Allowance:
    base = {
        "slot_ms": 1000, "interval_ms": 60_000, "tries": 3, "retry_interval_ms": 2000,
        "timeout_ms": 10_000, "started_ms": 1000, "max_check_ms": 34_000,
    }  # fmt: skip
    return Allowance(**(base | changes))


@pytest.mark.parametrize(
    ("outcome", "tries_done", "now_ms", "changes", "expected"),
    [
        ("up", 1, 1100, {}, "settled"),
        ("degraded", 1, 1100, {}, "settled"),
        ("unknown", 1, 1100, {}, "settled"),
        ("down", 1, 1100, {}, None),
        ("down", 2, 14_000, {}, None),
        ("down", 3, 1100, {}, "all tries used"),
        ("down", 1, 1100, {"tries": 1}, "all tries used"),
        ("down", 1, 58_999, {"max_check_ms": 90_000}, None),
        ("down", 1, 59_000, {"max_check_ms": 90_000}, "the next slot is due"),
        ("down", 1, 33_000, {}, "no time left"),
    ],
)
def test_decisions(
    outcome: Outcome, tries_done: int, now_ms: int, changes: dict[str, int], expected: str | None
) -> None:
    decision = decide_retry(allow(**changes), outcome, tries_done, now_ms)
    assert decision == (Retry(2000) if expected is None else Settle(expected))


def test_a_slot_is_stale_after_its_interval() -> None:
    assert not is_stale(1000, 60_000, 61_000)
    assert is_stale(1000, 60_000, 61_001)


times = st.integers(0, 400_000)


@given(times, st.integers(5, 300), st.integers(0, 10), st.integers(1, 300), st.floats(0, 5), st.floats(0, 130))
def test_a_check_ends_within_what_its_specification_promises(
    late_ms: int, interval: int, retries: int, pause: int, timeout_share: float, tries_take: float
) -> None:
    timeout = max(1.0, min(120.0, interval * min(1.0, timeout_share)))
    spec = HttpMonitor(
        type="http", name="x", url="http://x/", interval_seconds=interval, timeout_seconds=timeout,
        retries=retries, retry_interval_seconds=pause,
    )  # fmt: skip
    slot_ms = 1_000_000
    started = now = slot_ms + late_ms % spec.interval_ms
    allowance = Allowance(
        slot_ms, spec.interval_ms, retries + 1, pause * 1000, int(timeout * 1000), started,
        int(spec.max_check_seconds * 1000),
    )  # fmt: skip
    for tries in range(1, 20):
        assert now - slot_ms < spec.interval_ms or tries == 1
        now += min(int(tries_take * 1000), try_timeout_ms(allowance, now))
        decision = decide_retry(allowance, "down", tries, now)
        if isinstance(decision, Settle):
            break
        now += decision.after_ms
    assert tries <= retries + 1
    assert now - started <= spec.max_check_seconds * 1000 + 1
