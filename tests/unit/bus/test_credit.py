"""The ledger of pull requests never believes in messages that will not come."""

from hypothesis import given
from hypothesis import strategies as st

from farwatch_bus.credit import Ledger


def test_delivered_messages_are_charged() -> None:
    ledger = Ledger()
    ledger.asked("1", 10, 5.0)
    for _ in range(4):
        ledger.delivered()
    assert ledger.outstanding == 6


def test_what_a_request_did_not_use_is_free_again() -> None:
    ledger = Ledger()
    ledger.asked("1", 10, 5.0)
    ledger.delivered()
    ledger.ended("1", 9)
    assert ledger.outstanding == 0


def test_server_serving_requests_in_turn_is_set_right_by_its_own_count() -> None:
    ledger = Ledger()
    ledger.asked("1", 10, 5.0)
    ledger.asked("2", 10, 5.0)
    for _ in range(10):  # the server took five from each, the ledger all ten from the first
        ledger.delivered()
    ledger.ended("1", 5)
    assert ledger.outstanding == 5
    ledger.ended("2", 5)
    assert ledger.outstanding == 0


def test_unanswered_requests_are_forgotten_at_their_time() -> None:
    ledger = Ledger()
    ledger.asked("1", 10, 5.0)
    ledger.asked("2", 7, 6.0)
    assert ledger.next_expiry() == 5.0
    ledger.expire(5.0)
    assert ledger.outstanding == 7
    ledger.expire(6.0)
    assert (ledger.outstanding, ledger.next_expiry()) == (0, None)


def test_status_without_a_count_or_of_an_unknown_request() -> None:
    ledger = Ledger()
    ledger.asked("1", 10, 5.0)
    ledger.ended("9", None)
    assert ledger.outstanding == 10
    ledger.ended("1", None)
    assert ledger.outstanding == 0


VERBS = ("ask", "deliver", "end", "end-unknown", "expire", "forget")


@given(st.lists(st.tuples(st.sampled_from(VERBS), st.integers(0, 9))))
def test_never_negative_and_empty_in_the_end(steps: list[tuple[str, int]]) -> None:
    ledger = Ledger()
    for now, (verb, number) in enumerate(steps):
        match verb:
            case "ask":
                ledger.asked(str(now), number + 1, now + 3.0)
            case "deliver":
                ledger.delivered()
            case "end":
                ledger.ended(str(number), number)
            case "end-unknown":
                ledger.ended(str(number), None)
            case "expire":
                ledger.expire(now)
            case "forget":
                ledger.forget_all()
        assert ledger.outstanding >= 0
    ledger.expire(len(steps) + 3.0)
    assert ledger.outstanding == 0
