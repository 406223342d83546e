"""Recurring maintenance: weekly windows by the clock on the wall of one place, daylight saving included. Pure."""

from collections.abc import Iterator
from datetime import UTC, date, datetime, time, timedelta
from typing import Annotated, Literal, Self
from zoneinfo import ZoneInfo

from pydantic import Field, field_validator, model_validator

from farwatch_events.monitor import Strict

Weekday = Literal["mon", "tue", "wed", "thu", "fri", "sat", "sun"]
WEEKDAYS: tuple[Weekday, ...] = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
LONGEST_MINUTES = 6 * 24 * 60
REST_MINUTES = 120
"""Between the end of one occurrence and the next: the hour that a day in spring lacks, and one more."""

Span = tuple[datetime, datetime]


class Weekly(Strict):
    """Every week on `weekdays`, from `starts` ("02:30") in `time_zone` (an IANA name) for `duration_minutes`.

    A time that the clock skips in spring is taken by the clock of before: 02:30 begins at 03:30 summer time. One that
    comes twice in autumn is the first of the two. The duration is time that passes, whatever clocks do.
    """

    weekdays: list[Weekday] = Field(min_length=1, max_length=7)
    starts: str = Field(pattern=r"^([01]\d|2[0-3]):[0-5]\d$")
    duration_minutes: Annotated[int, Field(ge=1, le=LONGEST_MINUTES)]
    time_zone: str = Field(min_length=1, max_length=64)

    @field_validator("weekdays")
    @classmethod
    def _in_their_order(cls, days: list[Weekday]) -> list[Weekday]:
        return [day for day in WEEKDAYS if day in days]

    @field_validator("time_zone")
    @classmethod
    def _known_zone(cls, name: str) -> str:
        try:
            ZoneInfo(name)
        except (ValueError, OSError, LookupError):
            raise ValueError(f"{name!r} is no IANA time zone such as Europe/Berlin") from None
        return name

    @model_validator(mode="after")
    def _with_a_rest(self) -> Self:
        days = [WEEKDAYS.index(day) for day in self.weekdays]
        gap_days = min((later - day) % 7 or 7 for day, later in zip(days, [*days[1:], days[0]], strict=True))
        if self.duration_minutes > gap_days * 24 * 60 - REST_MINUTES:
            raise ValueError(f"duration_minutes must leave {REST_MINUTES} minutes until the next occurrence")
        return self


def occurrences(weekly: Weekly, after: datetime) -> Iterator[Span]:
    """Those that end after the moment, in order and without end; times in UTC."""
    zone, starts = ZoneInfo(weekly.time_zone), time.fromisoformat(weekly.starts)
    lasting = timedelta(minutes=weekly.duration_minutes)
    day: date = (after - lasting).astimezone(zone).date() - timedelta(days=1)
    while True:
        if WEEKDAYS[day.weekday()] in weekly.weekdays:
            begins = datetime.combine(day, starts, zone).astimezone(UTC)
            if begins + lasting > after:
                yield begins, begins + lasting
        day += timedelta(days=1)


def next_occurrence(weekly: Weekly, now: datetime, *, not_before: datetime, until: datetime | None) -> Span | None:
    """The one that runs at `now` or the next, beginning at `not_before` or later; None when `until` comes first."""
    for begins, ends in occurrences(weekly, max(now, not_before)):
        if until is not None and begins >= until:
            return None
        if begins >= not_before:
            return begins, ends if until is None else min(ends, until)
    return None
