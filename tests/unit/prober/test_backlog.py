"""What is left out when more checks are due than can be done."""

import heapq
from collections import defaultdict, deque
from dataclasses import dataclass, field

import pytest
from hypothesis import given
from hypothesis import strategies as st

from farwatch_prober.backlog import LONG_SECONDS, SETTLE_SECONDS, Backlog, is_left_out


class TestWaiting:
    """How long a message has waited, from its sequence and how many wait behind it."""

    def test_what_is_taken_as_it_comes_has_not_waited(self) -> None:
        backlog = Backlog()
        assert [backlog.take(number, 0, 1, number * 0.5) for number in range(1, 50)] == [0.0] * 49
        assert not backlog.leaves_out

    def test_what_was_there_before_has_waited_since_then(self) -> None:
        backlog = Backlog()
        backlog.take(1, 9, 1, 100.0)
        assert backlog.take(2, 20, 1, 102.0) == 2.0
        assert backlog.take(10, 30, 1, 105.0) == 5.0
        assert backlog.take(22, 40, 1, 106.0) == 4.0
        assert backlog.take(41, 50, 1, 107.0) == 1.0

    def test_a_stream_made_anew_begins_anew(self) -> None:
        backlog = Backlog()
        for number in range(1, 30):
            backlog.take(number, 100, 1, float(number))
        assert backlog.take(1, 0, 1, 60.0) == 0.0
        assert backlog.take(2, 0, 1, 61.0) == 0.0

    def test_what_comes_again_says_nothing_of_the_queue(self) -> None:
        backlog = Backlog()
        backlog.take(1, 0, 1, 0.0)
        backlog.take(50, 0, 1, 50.0)
        for number in range(2, 40):
            backlog.take(number, 0, 2, 60.0 + number)
        assert not backlog.leaves_out

    @given(st.lists(st.tuples(st.floats(0, 5), st.integers(0, 400)), min_size=1, max_size=200))
    def test_never_longer_than_it_did(self, steps: list[tuple[float, int]]) -> None:
        """Messages come in bursts, and one is taken a step if there is any."""
        backlog, now, queue, last = Backlog(), 0.0, deque[tuple[int, float]](), 0
        for seconds, burst in steps:
            now += seconds
            queue.extend((last + each, now) for each in range(1, burst + 1))
            last += burst
            if queue:
                sequence, came = queue.popleft()
                waited = backlog.take(sequence, len(queue), 1, now)
                assert 0 <= waited <= now - came


def take(backlog: Backlog, *waits: float, start: float = 0.0) -> list[bool]:
    """A chunk a second, each of which waited so long; what is said after each."""
    said = []
    for number, waited in enumerate(waits):
        backlog._judge(waited > LONG_SECONDS, start + number)
        said.append(backlog.leaves_out)
    return said


@pytest.mark.parametrize(
    ("waits", "leaves_out"),
    [
        ([0.5] * 60, []),
        ([30.0] * 10, []),
        ([30.0] * 12, [10, 11]),
        (([30.0] * 9 + [0.5]) * 5, []),
        ([1.5] * 15, [10, 11, 12, 13, 14]),
        ([2.0] * 11 + [0.5] * 9, [*range(10, 20)]),
        ([2.0] * 11 + [0.5] * 15, [*range(10, 20)]),
        ([2.0] * 11 + [0.5] * 9 + [2.0] + [0.5] * 12, [*range(10, 30)]),
    ],
)
def test_it_begins_when_waiting_lasts_and_ends_when_nothing_waits(waits: list[float], leaves_out: list[int]) -> None:
    assert SETTLE_SECONDS == 10
    assert [number for number, said in enumerate(take(Backlog(), *waits)) if said] == leaves_out


@pytest.mark.parametrize(
    ("interval_seconds", "first", "second"), [(1, 1, 2), (10, 1, 2), (30, 3, 6), (60, 6, 12), (3600, 360, 720)]
)
def test_what_comes_seldom_may_wait_longer_and_every_other_slot_twice_as_long(
    interval_seconds: int, first: float, second: float
) -> None:
    interval_ms = interval_seconds * 1000
    slots = [number * interval_ms + 123 for number in range(4)]
    assert [is_left_out(2, slot, interval_ms, first) for slot in slots] == [False] * 4
    assert [is_left_out(2, slot, interval_ms, first + 0.01) for slot in slots] == [True, False, True, False]
    assert [is_left_out(3, slot, interval_ms, first + 0.01) for slot in slots] == [False, True, False, True]
    assert [is_left_out(2, slot, interval_ms, second) for slot in slots] == [True, False, True, False]
    assert [is_left_out(2, slot, interval_ms, second + 0.01) for slot in slots] == [True] * 4


@dataclass
class Played:
    """`lateness` in seconds of the checks that were made, `longest` the most slots in a row that a monitor missed."""

    lateness: list[float] = field(default_factory=list)
    left_out: int = 0
    gaps: dict[int, int] = field(default_factory=lambda: defaultdict(int))
    longest: int = 0


def play(load: float, *, monitors: int = 2_000, interval_ms: int = 30_000, minutes: int = 10) -> Played:
    """One prober and a queue. `load` is the share of its time that all checks would take; leaving one out costs a
    fifth of it. Chunks hold what is due within a tenth of a second. What is told is of the last half."""
    check_ms = load * interval_ms / monitors
    slots = [(number * interval_ms // monitors, number) for number in range(monitors)]
    backlog, played, now_ms, chunk_ms = Backlog(), Played(), 0.0, 100
    for sequence in range(1, minutes * 60_000 // chunk_ms):
        now_ms = max(now_ms, float(sequence * chunk_ms))
        waited = backlog.take(sequence, int(now_ms) // chunk_ms - sequence, 1, now_ms / 1000)
        while slots[0][0] < sequence * chunk_ms:
            slot_ms, number = slots[0]
            heapq.heapreplace(slots, (slot_ms + interval_ms, number))
            out = backlog.leaves_out and is_left_out(number, slot_ms, interval_ms, waited)
            now_ms += check_ms / 5 if out else check_ms
            if slot_ms < minutes * 30_000:
                continue
            played.gaps[number] = played.gaps[number] + 1 if out else 0
            played.longest = max(played.longest, played.gaps[number])
            played.left_out += out
            if not out:
                played.lateness.append((now_ms - slot_ms) / 1000)
    return played


def test_with_time_enough_nothing_is_left_out() -> None:
    played = play(0.95)
    assert played.left_out == 0
    assert max(played.lateness) < 0.5


@pytest.mark.parametrize("load", [1.05, 1.2, 1.5])
def test_with_too_little_nobody_misses_two_in_a_row_and_the_rest_is_made_in_time(load: float) -> None:
    played = play(load)
    made = len(played.lateness) / (len(played.lateness) + played.left_out)
    assert played.longest == 1
    assert max(played.lateness) < 6.5, "a fifth of the interval"
    assert made > (1 / load - 0.2) / 0.8 - 0.03, "no more is left out than has to be"


def test_with_far_too_little_it_is_still_shared_out() -> None:
    played = play(4.0)
    assert max(played.lateness) < 7
    assert len(played.lateness) > played.left_out / 20
