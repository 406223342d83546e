"""How far a pattern looks: the bound is one of characters, so that no test needs a clock."""

import pytest

from farwatch_runtime.patterns import LEAST_CHARS, STEPS, PatternError, compile_pattern, found_in

LARGE = "(?:.?){400}y"
"""Thousands of instructions: a text is read for some 2,000 characters."""


def reach(pattern: str) -> int:
    return int(max(LEAST_CHARS, STEPS // compile_pattern(pattern).programsize))


def test_a_simple_pattern_reads_a_whole_answer() -> None:
    assert reach("needle") > 500_000
    assert found_in("needle", ["x" * 500_000 + "needle"])


def test_a_large_one_reads_as_far_as_its_steps_pay() -> None:
    far = reach(LARGE)
    assert LEAST_CHARS < far < 4_000
    assert found_in(LARGE, ["y".rjust(far, "x")])
    assert not found_in(LARGE, ["y".rjust(far + 1, "x")])


def test_many_values_share_the_steps() -> None:
    values = ["x" * 500] * 1_000
    assert found_in("needle", [*values, "needle"])
    assert found_in(LARGE, ["x" * 500, "y"])
    assert not found_in(LARGE, [*values, "y"])


@pytest.mark.parametrize("empty", [[], [""] * 10])
def test_nothing_is_found_in_nothing(empty: list[str]) -> None:
    assert not found_in("x", empty)


def test_values_without_a_character_cost_something_too() -> None:
    assert not found_in(LARGE, [*[""] * 10_000, "y"])


def test_a_small_budget_still_reads_a_thousand_characters() -> None:
    assert found_in(LARGE, ["y".rjust(LEAST_CHARS, "x")], steps=1)
    assert not found_in(LARGE, ["y".rjust(LEAST_CHARS + 1, "x")], steps=1)


@pytest.mark.parametrize("pattern", ["(", "a{2000}", "(?=x)"])
def test_what_cannot_be_run_is_said(pattern: str) -> None:
    with pytest.raises(PatternError, match="RE2"):
        compile_pattern(pattern)
