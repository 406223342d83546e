"""What becomes of a region."""

from typing import ClassVar, Final

from farwatch_events.events.base import DomainEvent


class _RegionEvent(DomainEvent):
    region: str

    @property
    def stream(self) -> str:
        return f"region-{self.region}"


class RegionRegistered(_RegionEvent):
    """A region's first prober asked for its streams."""

    type: ClassVar[str] = "region.registered"


class RegionDeleted(_RegionEvent):
    type: ClassVar[str] = "region.deleted"


class RegionSilenced(_RegionEvent):
    """No heartbeat for 10 s although the fold was caught up: its votes are unknown."""

    type: ClassVar[str] = "region.silenced"
    last_seen_ms: int


class RegionReturned(_RegionEvent):
    type: ClassVar[str] = "region.returned"
    silent_seconds: int


class RegionSuspected(_RegionEvent):
    """The region alone sees failures, or its probers call themselves unhealthy: it has no vote."""

    type: ClassVar[str] = "region.suspected"
    reason: str


class RegionCleared(_RegionEvent):
    type: ClassVar[str] = "region.cleared"
    reason: str


EVENTS: Final = (
    RegionRegistered,
    RegionDeleted,
    RegionSilenced,
    RegionReturned,
    RegionSuspected,
    RegionCleared,
)
