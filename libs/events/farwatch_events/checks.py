"""What the scheduler asks for: chunks of due checks, and the commands that reach it."""

from typing import Annotated, Any

from pydantic import Field, SerializerFunctionWrapHandler, field_serializer

from farwatch_events.model import Message
from farwatch_events.monitor import MonitorSpec
from farwatch_events.results import Kind

CHUNK_MAX_CHECKS = 64
CHUNK_MAX_BYTES = 256 * 1024
SPEC_MAX_BYTES = 96 * 1024


class DueCheck(Message):
    """One monitor due at the chunk's slot, with everything a prober needs. Secrets inside `spec` stay encrypted."""

    monitor_id: int
    config_version: int
    slot_ms: int
    kind: Kind = "scheduled"
    tries: int | None = None
    """How many tries at most; None means retries + 1 of the specification. One where another region failed."""
    request_id: str | None = None
    confirmation_of_ms: int | None = None
    spec: Annotated[MonitorSpec, Field(discriminator="type")]

    @field_serializer("spec", mode="wrap")
    def _with_timeout(self, spec: MonitorSpec, write: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """A timeout at the default must travel too: a reader would fit a missing one to the interval."""
        return {**write(spec), "timeout_seconds": spec.timeout_seconds}


class DueChunk(Message):
    """Up to 64 checks or 256 KiB of one tick and region."""

    version: int = 1
    region: str
    epoch: int
    tick_ms: int
    checks: list[DueCheck]


class CheckNowRequest(Message):
    """Command `cmd.scheduler.check_now`: one try in each region of the monitor (or in `regions`)."""

    monitor_id: int
    request_id: str
    regions: list[str] = Field(default_factory=list)


class CheckNowReply(Message):
    """`regions` were asked; empty with `error` when nothing could be."""

    regions: list[str] = Field(default_factory=list)
    slot_ms: int = 0
    error: str | None = None


class RegisterRegionRequest(Message):
    """Command `cmd.incidents.register_region`: a prober asks for its region's streams before its first heartbeat."""

    region: str
    prober: str


class IncidentCommand(Message):
    """Commands `cmd.incidents.acknowledge`, `.resolve` and `.note` (`text` is the note); who asks as in EventMeta."""

    incident_id: int
    actor: str
    actor_name: str | None = None
    text: str = Field(default="", max_length=10_000)


class Reply(Message):
    """The plain answer of a command. `code` is "not_found", "conflict" or "unavailable" when `ok` is false."""

    ok: bool
    error: str | None = None
    code: str | None = None


class TestChannelRequest(Message):
    """Command `cmd.notifier.test_channel`."""

    __test__ = False
    channel_id: int


class TestChannelReply(Message):
    """What was sent and what came back, without secrets."""

    __test__ = False
    ok: bool
    rendered: str = ""
    request: str = ""
    answer: str = ""
    error: str | None = None
