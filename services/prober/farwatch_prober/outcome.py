"""What one try of a check found, and the exception that ends a try early."""

from dataclasses import dataclass
from typing import Any, NamedTuple

from farwatch_events import results
from farwatch_events.guard import Page
from farwatch_events.results import NO_VOTE, AssertionResult, Certificate, ErrorClass, Evidence, Outcome


class Phases(NamedTuple):
    """What the message of the same name says, at a fifth of its cost."""

    dns_ms: float | None = None
    connect_ms: float | None = None
    tls_ms: float | None = None
    wait_ms: float | None = None
    transfer_ms: float | None = None

    def to_message(self) -> results.Phases:
        return results.Phases(**self._asdict())


NO_PHASES = Phases()


@dataclass(slots=True)
class ProbeOutcome:
    """One try. `error_class` is None exactly when the outcome is up or degraded; `reasons` say why it is degraded.

    Not to be changed, though frozen it would cost three times as much to make.
    """

    outcome: Outcome
    latency_ms: float | None = None
    phases: Phases = NO_PHASES
    status_code: int | None = None
    address: str | None = None
    error_class: ErrorClass | None = None
    error: str | None = None
    reasons: tuple[str, ...] = ()
    assertions: tuple[AssertionResult, ...] = ()
    certificate: Certificate | None = None
    evidence: Evidence | None = None
    page: Page | None = None


class ProbeFailure(Exception):
    """A try that ends here, with the class and the sentence that people will read."""

    def __init__(self, error_class: ErrorClass, sentence: str) -> None:
        super().__init__(sentence)
        self.error_class = error_class
        self.sentence = sentence


def failed(error_class: ErrorClass, sentence: str, **facts: Any) -> ProbeOutcome:
    """A try that failed; its outcome is unknown for the classes that say nothing about the target."""
    outcome: Outcome = "unknown" if error_class in NO_VOTE else "down"
    return ProbeOutcome(outcome=outcome, error_class=error_class, error=sentence, **facts)


def rounded(milliseconds: float) -> float:
    """To the microsecond, for what is not negative, at half the cost of round(…, 3)."""
    return int(milliseconds * 1000 + 0.5) / 1000


def endpoint(address: str, port: int) -> str:
    """The pair as people write it: an IPv6 address in brackets."""
    return f"[{address}]:{port}" if ":" in address else f"{address}:{port}"


def in_words(seconds: float) -> str:
    """A duration for a sentence: "10 s", "1.5 s", "250 ms"."""
    return f"{seconds * 1000:.0f} ms" if seconds < 1 else f"{round(seconds, 1):g} s"
