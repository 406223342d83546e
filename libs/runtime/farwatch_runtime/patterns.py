"""Patterns that people write, run by RE2: time grows with the text and the pattern, never beyond a known bound."""

from collections.abc import Iterable
from functools import lru_cache
from typing import Any

import re2  # type: ignore[import-untyped]

PATTERN_MEMORY_BYTES = 128 * 1024
STEPS = 8_000_000
"""Instructions of the pattern × characters of the texts that one search may cost; 62 ms of CPU at worst."""
LEAST_CHARS = 1024

_OPTIONS = re2.Options()
_OPTIONS.log_errors = False
_OPTIONS.max_mem = PATTERN_MEMORY_BYTES
_OPTIONS.never_capture = True


class PatternError(ValueError):
    """What is wrong with a pattern, for a person."""


@lru_cache(maxsize=1024)
def compile_pattern(pattern: str) -> Any:
    """Raises PatternError."""
    try:
        return re2.compile(pattern, _OPTIONS)
    except re2.error as error:
        why = error.args[0] if error.args else "not understood"
        text = why.decode("utf-8", "replace") if isinstance(why, bytes) else str(why)
        raise PatternError(f"is not a pattern that RE2 understands: {text[:200]}") from None


def found_in(pattern: str, texts: Iterable[str], steps: int = STEPS) -> bool:
    """Whether the pattern occurs in one of the texts, or in as much of their beginning as `steps` pay for together:
    an answer with thousands of values would else cost a search of the whole bound for each."""
    compiled = compile_pattern(pattern)
    reach = max(LEAST_CHARS, steps // max(1, compiled.programsize))
    for text in texts:
        if compiled.search(text[:reach]) is not None:
            return True
        reach -= max(1, len(text))
        if reach <= 0:
            return False
    return False
