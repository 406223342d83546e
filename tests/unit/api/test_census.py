"""Cutting pages out of a census, against a list of everything."""

from hypothesis import given
from hypothesis import strategies as st

from farwatch_api.queries.census import Census, Stretch
from farwatch_api.queries.states import STATES

NUMBERS = st.fixed_dictionaries({state: st.integers(0, 7) for state in STATES})


def census_of(numbers: dict[str, int]) -> tuple[Census, dict[str, list[int]]]:
    """And the same as plain lists; the ids of those that are up are only in these."""
    start, everything = 1, {}
    for state, number in numbers.items():
        everything[state] = list(range(start, start + number))
        start += number
    listed = {state: ids for state, ids in everything.items() if state != "up"}
    return Census(listed, numbers["up"]), everything


@given(NUMBERS, st.sets(st.sampled_from(STATES)), st.integers(0, 60), st.integers(1, 10))
def test_a_page_is_what_a_list_of_all_would_show(
    numbers: dict[str, int], states: set[str], offset: int, limit: int
) -> None:
    census, everything = census_of(numbers)
    shown: list[int] = []
    for piece in census.cut(states, offset, limit):
        if isinstance(piece, Stretch):
            assert piece.limit > 0
            shown += everything["up"][piece.offset : piece.offset + piece.limit]
        else:
            assert piece
            shown += piece
    whole = [each for state in STATES if not states or state in states for each in everything[state]]
    assert shown == whole[offset : offset + limit]
    assert census.number_of(states) == len(whole)


@given(NUMBERS)
def test_every_state_is_counted(numbers: dict[str, int]) -> None:
    census, _ = census_of(numbers)
    assert census.counts() == numbers
    assert list(census.counts()) == list(STATES)
