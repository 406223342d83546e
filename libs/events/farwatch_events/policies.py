"""Alert policies and silences as people write them.

A policy says which alerts it is about (`match`), whom to tell and when (`steps`), and when to keep quiet. These models
are the validation of the REST API and what the notifier reads; a `pydantic.ValidationError` names field and mend.
"""

import re
from collections.abc import Mapping
from itertools import pairwise
from typing import Annotated, Any, Literal, Self

from pydantic import AwareDatetime, Field, field_validator, model_validator

from farwatch_events.channels import Moment
from farwatch_events.cron import find_zone
from farwatch_events.events import Severity
from farwatch_events.monitor import MONITOR_TYPES, Name, Region, Strict, Tag, Trimmed

Day = Literal["mon", "tue", "wed", "thu", "fri", "sat", "sun"]
DAYS: tuple[Day, ...] = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")

PositiveId = Annotated[int, Field(ge=1, le=2**63 - 1)]
_CLOCK = re.compile(r"^([01]\d|2[0-3]):[0-5]\d$|^24:00$")
_DAY_SECONDS = 86_400

DEFAULT_PARENT_WAIT_SECONDS = 30

POLICY_MOMENTS: tuple[Moment, ...] = ("down", "degraded", "up", "first_failure", "first_success", "reminder")
"""Those that a policy's `moments` decide about; the others are between us and a channel alone."""


class Match(Strict):
    """Which alerts are meant. Each list is "one of these", an empty one "any"; all that are given must fit.

    `tags` fit when the monitor has one of them, `regions` when one of them sees the trouble. A tag is also a group.
    """

    monitors: list[PositiveId] = Field(default_factory=list, max_length=10_000)
    tags: list[Tag] = Field(default_factory=list, max_length=100)
    types: list[str] = Field(default_factory=list, max_length=50)
    severities: list[Severity] = Field(default_factory=list, max_length=2)
    regions: list[Region] = Field(default_factory=list, max_length=64)

    @field_validator("types")
    @classmethod
    def _known_types(cls, types: list[str]) -> list[str]:
        for name in types:
            if name not in MONITOR_TYPES:
                raise ValueError(f"{name[:32]!r} must be one of {', '.join(MONITOR_TYPES)}")
        return types

    @property
    def is_empty(self) -> bool:
        return not (self.monitors or self.tags or self.types or self.severities or self.regions)


class QuietHours(Strict):
    """From `starts` to `ends` on `days`, by the clocks of the policy's time zone.

    A window that ends at or before its start ends on the next day; 00:00 to 24:00 is the whole day.
    """

    days: list[Day] = Field(default_factory=lambda: list(DAYS), min_length=1, max_length=7)
    starts: str
    ends: str

    @field_validator("starts", "ends")
    @classmethod
    def _clock_time(cls, value: str) -> str:
        if not _CLOCK.match(value):
            raise ValueError(f"{value[:16]!r} must be a time of day such as 22:00")
        return value

    @model_validator(mode="after")
    def _not_empty(self) -> Self:
        if self.starts == "24:00":
            raise ValueError("starts must be before 24:00")
        if self.starts == self.ends:
            raise ValueError("ends must differ from starts; write 00:00 to 24:00 for whole days")
        return self


class ChannelsTarget(Strict):
    """Channels by id. None named means those of the monitor, or every enabled one when it names none."""

    type: Literal["channels"] = "channels"
    channels: list[PositiveId] = Field(default_factory=list, max_length=100)

    @field_validator("channels")
    @classmethod
    def _once_each(cls, channels: list[int]) -> list[int]:
        return list(dict.fromkeys(channels))


Target = ChannelsTarget
"""Whom a step tells. Other kinds (who is on call) become a union told apart by `type`."""


class Step(Strict):
    """`after_seconds` counts from the first alert: the policy's delay comes before it."""

    after_seconds: int = Field(default=0, ge=0, le=7 * _DAY_SECONDS)
    target: Target = Field(default_factory=ChannelsTarget)


class Grouping(Strict):
    """Alerts that fall together are one message that names them.

    The first message of a group waits `wait_seconds` for others; after it the next comes `interval_seconds` later at
    the earliest. `by`: all of the policy together, those of one tag, or those with the same parents.
    """

    by: Literal["policy", "tag", "parent"] = "policy"
    wait_seconds: int = Field(default=15, ge=0, le=3600)
    interval_seconds: int = Field(default=60, ge=1, le=_DAY_SECONDS)


class Policy(Strict):
    """Policies are tried in the order of `position`, then id; the first that fits decides.

    With `proceed` the ones behind it are tried as well. `moments` None leaves the choice to each channel.
    """

    name: Name
    enabled: bool = True
    position: int = Field(default=100, ge=0, le=100_000)
    proceed: bool = False
    match: Match = Field(default_factory=Match)
    moments: list[Moment] | None = Field(default=None, max_length=16)
    delay_seconds: int = Field(default=0, ge=0, le=_DAY_SECONDS)
    steps: list[Step] = Field(default_factory=lambda: [Step()], max_length=20)
    repeat_seconds: int | None = Field(default=None, ge=30, le=7 * _DAY_SECONDS)
    repeat_limit: int = Field(default=10, ge=1, le=1000)
    reminder_seconds: int | None = Field(default=None, ge=60, le=30 * _DAY_SECONDS)
    time_zone: Trimmed = "UTC"
    quiet: list[QuietHours] = Field(default_factory=list, max_length=50)
    grouping: Grouping | None = None
    parent_wait_seconds: int = Field(default=DEFAULT_PARENT_WAIT_SECONDS, ge=0, le=3600)
    fallback_channel: PositiveId | None = None

    @field_validator("time_zone")
    @classmethod
    def _known_zone(cls, name: str) -> str:
        if find_zone(name) is None:
            raise ValueError(f"{name[:64]!r} is not a time zone such as Europe/Berlin or UTC")
        return name

    @field_validator("steps")
    @classmethod
    def _in_order(cls, steps: list[Step]) -> list[Step]:
        for earlier, later in pairwise(steps):
            if later.after_seconds < earlier.after_seconds:
                raise ValueError("must be in the order of their after_seconds")
        return steps

    def channel_ids(self) -> list[int]:
        """Every channel that is named, the fallback included."""
        named = [channel for step in self.steps for channel in step.target.channels]
        return list(dict.fromkeys(named + ([self.fallback_channel] if self.fallback_channel is not None else [])))


class Silence(Strict):
    """Nobody is told of what fits until `ends_at`; recoveries that are owed still come."""

    match: Match
    reason: Annotated[Trimmed, Field(min_length=1, max_length=500)]
    starts_at: AwareDatetime | None = None
    ends_at: AwareDatetime

    @model_validator(mode="after")
    def _sensible(self) -> Self:
        if self.starts_at is not None and self.ends_at <= self.starts_at:
            raise ValueError("ends_at must be after starts_at")
        return self


DEFAULT_POLICY = Policy(name="default")
"""What holds for alerts that no policy fits: a channel that is added is used."""


def parse_policy(data: Mapping[str, Any]) -> Policy:
    """Raises pydantic.ValidationError."""
    return Policy.model_validate(dict(data))


def dump_policy(policy: Policy) -> dict[str, Any]:
    """Every field as JSON-ready values."""
    return policy.model_dump(mode="json")
