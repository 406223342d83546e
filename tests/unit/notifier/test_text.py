"""Foreign text made harmless; times and durations in words."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from farwatch_notifier.text import cut, fill, join_words, lines, one_line, rfc3339, say_duration, say_time


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (-5, "0s"),
        (0, "0s"),
        (45, "45s"),
        (60, "1m"),
        (725, "12m 5s"),
        (7200, "2h"),
        (7201, "2h"),
        (9000, "2h 30m"),
        (86_400, "1d"),
        (100_000, "1d 3h"),
        (40_000_000, "462d 23h"),
    ],
)
def test_durations_say_their_two_largest_units(seconds: int, words: str) -> None:
    assert say_duration(seconds) == words


def test_times_are_utc_for_people_and_for_machines() -> None:
    assert say_time(1_795_000_000_123) == "18 Nov 2026, 11:06:40 UTC"
    assert rfc3339(1_795_000_000_123) == "2026-11-18T11:06:40.123Z"


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("plain", "plain"),
        ("a\r\nBcc: b", "a Bcc: b"),
        ("a\x00b\x1b[31m", "a b [31m"),
        ("safe\u202egnp.exe", "safe gnp.exe"),
        ("\u2066x\u2069", "x"),
        ("שלום עולם", "שלום עולם"),
        ("👩‍🚀 ok", "👩‍🚀 ok"),
        ("a\ud800b", "a\ufffdb"),
        ("x" * 300, "x" * 199 + "…"),
    ],
)
def test_one_line_keeps_letters_and_drops_tricks(text: str, shown: str) -> None:
    assert one_line(text, 200) == shown


@given(text=st.text(), limit=st.integers(1, 100))
def test_cleaned_text_fits_and_has_no_breaks(text: str, limit: int) -> None:
    shown = one_line(text, limit)
    assert len(shown) <= limit
    assert not set("\r\n\0\u202e\u2028") & set(shown)
    assert len(lines(text, limit)) <= limit


def test_a_megabyte_is_cut() -> None:
    assert len(one_line("a " * 500_000, 500)) == 500
    assert cut("abc", 2) == "a…"


def test_lines_keep_their_breaks() -> None:
    assert lines("\na\r\n  b\rc\n", 100) == "a\n  b\nc"


def test_a_value_that_looks_like_a_placeholder_is_not_filled_again() -> None:
    assert fill("{monitor} and {cause}", {"monitor": "{cause}", "cause": "{monitor}{0.__class__}"}) == (
        "{cause} and {monitor}{0.__class__}"
    )


def test_an_unknown_placeholder_is_an_error_of_ours() -> None:
    with pytest.raises(KeyError):
        fill("{secret}", {})


@pytest.mark.parametrize(
    ("words", "text"), [([], ""), (["a"], "a"), (["a", "b"], "a and b"), (["a", "b", "c"], "a, b and c")]
)
def test_words_are_joined_as_people_do(words: list[str], text: str) -> None:
    assert join_words(words) == text
