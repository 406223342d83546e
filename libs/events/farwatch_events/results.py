"""What a prober says: results, batches of them, and its heartbeat."""

from enum import StrEnum
from typing import Annotated, Literal

from pydantic import Field, TypeAdapter

from farwatch_events.guard import Page
from farwatch_events.model import Message


class ErrorClass(StrEnum):
    """Which kind of failure it was. The last three are never a vote for down."""

    DNS = "dns"
    CONNECT_REFUSED = "connect_refused"
    CONNECT_TIMEOUT = "connect_timeout"
    UNREACHABLE = "unreachable"
    TLS = "tls"
    TIMEOUT = "timeout"
    PROTOCOL = "protocol"
    STATUS = "status"
    REDIRECT = "redirect"
    CONTENT = "content"
    ASSERTION = "assertion"
    MISSED = "missed"
    BLOCKED = "blocked"
    INTERNAL = "internal"
    SKIPPED = "skipped"


NO_VOTE = frozenset({ErrorClass.BLOCKED, ErrorClass.INTERNAL, ErrorClass.SKIPPED})
"""Results of these classes say nothing about the target: they vote unknown."""

Kind = Literal["scheduled", "confirmation", "manual"]
Outcome = Literal["up", "degraded", "down", "unknown"]


class Phases(Message):
    """Milliseconds a check spent in each phase, summed over redirect hops; None when a phase did not happen."""

    dns_ms: float | None = None
    connect_ms: float | None = None
    tls_ms: float | None = None
    wait_ms: float | None = None
    transfer_ms: float | None = None


class Certificate(Message):
    """The leaf certificate of the target. `not_after_ms` counts from 1970, `days` may be negative."""

    not_after_ms: int
    days: int
    subject: str = ""
    issuer: str = ""


class Evidence(Message):
    """What the target answered at the first failure, at most 4 KiB in all."""

    status_line: str = ""
    headers: dict[str, str] = Field(default_factory=dict)
    body: str = Field(default="", max_length=1000)
    address: str | None = None
    notes: list[str] = Field(default_factory=list)


class Try(Message):
    """One try of a check. `error_class` is None when it succeeded."""

    started_ms: int
    latency_ms: float | None = None
    error_class: ErrorClass | None = None
    error: str | None = None
    address: str | None = None


SEEN_MAX_CHARS = 120
"""Of what an assertion expected and of what was seen: enough to tell, little enough to store."""


class AssertionResult(Message):
    """What became of one expectation. `seen` is None when the answer had nothing of the kind."""

    subject: str
    operator: str
    expected: str = ""
    seen: str | None = None
    ok: bool = True
    severity: Literal["down", "degraded"] = "down"


PUSH_MESSAGE_MAX_CHARS = 1000


class PushCall(Message):
    """What the job of a push monitor said. A `start` is a run that begins: no vote and no history, only the moment from
    which its end is measured. `run_id` tells runs apart; `message` is kept as far as PUSH_MESSAGE_MAX_CHARS."""

    signal: Literal["start", "finish"] = "finish"
    run_id: str | None = Field(default=None, max_length=64)
    message: str = ""
    exit_code: int | None = None


class CheckResult(Message):
    """The end of one check in one region: the last try's figures and every try's outcome.

    Its identity is (monitor_id, region, slot_ms, kind). `outcome` is the region's reading of this check alone:
    `unknown` exactly when `error_class` is blocked, internal or skipped. `reasons` are sentences for degraded.
    """

    monitor_id: int
    config_version: int
    slot_ms: int
    kind: Kind = "scheduled"
    epoch: int = 0
    outcome: Outcome
    started_ms: int
    finished_ms: int
    latency_ms: float | None = None
    phases: Phases = Phases()
    status_code: int | None = None
    address: str | None = None
    attempts: int = 1
    tries: list[Try] = Field(default_factory=list)
    error_class: ErrorClass | None = None
    error: str | None = None
    reasons: list[str] = Field(default_factory=list)
    assertions: list[AssertionResult] = Field(default_factory=list)
    """Every assertion of the monitor, and of its shorthands (expected_status and so on) those that do not hold."""
    certificate: Certificate | None = None
    evidence: Evidence | None = None
    page: Page | None = None
    """For the content guard: what kind of page a good answer was."""
    request_id: str | None = None
    confirmation_of_ms: int | None = None
    """For a confirmation: the slot whose failure elsewhere is being confirmed."""
    push: PushCall | None = None
    """For push monitors, when somebody called."""
    lag_ms: float | None = None
    """Loop lag of the prober while the check ran: how far the timings can be trusted."""

    @property
    def ok(self) -> bool:
        return self.outcome in ("up", "degraded")


class ResultBatch(Message):
    """Results of one prober, published to `checks.result.<region>.<shard>`, at most 256 KiB."""

    type: Literal["results"]
    version: int = 1
    region: str
    prober: str
    healthy: bool = True
    results: list[CheckResult]


class Heartbeat(Message):
    """A prober every 2 s. `watermark_ms`: all slots at or before it that this prober took are answered."""

    type: Literal["heartbeat"]
    version: int = 1
    region: str
    prober: str
    sent_ms: int
    software: str = ""
    started_ms: int = 0
    healthy: bool = True
    reason: str | None = None
    in_flight: int = 0
    capacity: int = 0
    checks_per_second: float = 0.0
    loop_lag_ms: float = 0.0
    watermark_ms: int = 0
    epoch: int = 0


_RESULT_MESSAGE: TypeAdapter[ResultBatch | Heartbeat] = TypeAdapter(
    Annotated[ResultBatch | Heartbeat, Field(discriminator="type")]
)


def parse_result_message(data: bytes) -> ResultBatch | Heartbeat:
    """Whichever of the two it is. Raises pydantic.ValidationError for anything else."""
    return _RESULT_MESSAGE.validate_json(data)
