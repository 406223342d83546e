"""Parameters that many routes share."""

from collections.abc import Iterable
from typing import Annotated

from fastapi import Path, Query

from farwatch_api.problems import Invalid
from farwatch_api.queries.cursors import LARGEST_BIGINT, LIMIT_MAX

Id = Annotated[int, Path(ge=1, le=LARGEST_BIGINT)]
Limit = Annotated[int, Query(ge=1, le=LIMIT_MAX, description=f"At most {LIMIT_MAX}")]
Cursor = Annotated[str | None, Query(max_length=1024, description="`next_cursor` of the page before")]
RegionFilter = Annotated[str | None, Query(pattern=r"^[a-z0-9-]{1,32}$", description="Only this region")]
Hours = Annotated[float, Query(gt=0, le=24 * 400, description="How far back, in hours")]
Words = Annotated[list[str], Query(description="Repeat it, or separate values by commas")]


def split(words: list[str]) -> list[str]:
    """["a,b", "c"] -> ["a", "b", "c"]"""
    return [part.strip() for word in words for part in word.split(",") if part.strip()]


def one_of(field: str, values: list[str], known: Iterable[str]) -> list[str]:
    """`values`, all of which are known. Raises Invalid."""
    allowed = list(known)
    if any(value not in allowed for value in values):
        raise Invalid.at(field, f"must be one of {', '.join(allowed)}")
    return values
