"""Whether an answer is good: up, degraded or down, with reasons. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass
from http import HTTPStatus

from farwatch_events.monitor import HttpMonitor
from farwatch_events.results import Certificate, ErrorClass, Outcome
from farwatch_prober.outcome import in_words


@dataclass(frozen=True, slots=True)
class Judgement:
    """`error_class` and `error` are set exactly when the outcome is down."""

    outcome: Outcome
    error_class: ErrorClass | None = None
    error: str | None = None
    reasons: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class HttpAnswer:
    """`text` is the decoded body, as far as it was read; `complete` is False when reading stopped at the limit."""

    status: int
    text: str
    complete: bool
    latency_ms: float
    certificate: Certificate | None = None


UP = Judgement("up")


def judge_http(spec: HttpMonitor, answer: HttpAnswer) -> Judgement:
    if not spec.accepts_status(answer.status):
        expected = ", ".join(spec.expected_status)
        return _down(ErrorClass.STATUS, f"Answered {status_words(answer.status)}; expected {expected}")
    if (fault := _text_fault(spec, answer)) is not None:
        return _down(ErrorClass.CONTENT, fault)
    return judge_warnings(answer.latency_ms, spec.degraded_ms, answer.certificate, spec.certificate_warning_days)


def judge_warnings(
    latency_ms: float | None,
    degraded_ms: int | None,
    certificate: Certificate | None = None,
    warning_days: int = 0,
) -> Judgement:
    """Up, or degraded because it was slow or its certificate nears its end (`warning_days` 0 turns that off)."""
    reasons = []
    if degraded_ms is not None and latency_ms is not None and latency_ms > degraded_ms:
        reasons.append(f"Slow: took {latency_ms:,.0f} ms, more than {degraded_ms:,} ms")
    if certificate is not None and warning_days > 0 and certificate.days < warning_days:
        reasons.append(certificate_words(certificate.days))
    return Judgement("degraded", reasons=tuple(reasons)) if reasons else UP


def judge_values(seen: Sequence[str], expected: Sequence[str]) -> str | None:
    """The sentence when an expected DNS value is missing; values compare without case and final dot."""
    known = {_plain(value) for value in seen}
    missing = [value for value in expected if _plain(value) not in known]
    if not missing:
        return None
    return f"The answer {_listed(seen)} lacks {_listed(missing)}"


def judge_loss(received: int, sent: int, waited_seconds: float, host: str) -> str | None:
    """The sentence when no packet came back."""
    if received:
        return None
    packets = "the one packet" if sent == 1 else f"any of {sent} packets"
    return f"{host} did not reply to {packets} within {in_words(waited_seconds)}"


def status_words(status: int) -> str:
    """ "503 Service Unavailable", or just the number when it has no name."""
    try:
        return f"{status} {HTTPStatus(status).phrase}"
    except ValueError:
        return str(status)


def certificate_words(days: int) -> str:
    if days < 0:
        return f"The certificate expired {-days} day{'' if days == -1 else 's'} ago"
    return "The certificate expires today" if days == 0 else f"The certificate expires in {days} day{'s'[: days > 1]}"


def _text_fault(spec: HttpMonitor, answer: HttpAnswer) -> str | None:
    if spec.expected_text is not None and spec.expected_text not in answer.text:
        where = "the answer" if answer.complete else "the first 1 MiB of the answer"
        return f"{_quoted(spec.expected_text)} is missing from {where}"
    if spec.forbidden_text is not None and spec.forbidden_text in answer.text:
        return f"The answer contains {_quoted(spec.forbidden_text)}"
    return None


def _down(error_class: ErrorClass, error: str) -> Judgement:
    return Judgement("down", error_class, error)


def _quoted(text: str) -> str:
    shown = text if len(text) <= 100 else text[:99] + "…"
    return f'"{shown}"'


def _plain(value: str) -> str:
    return value.strip().strip('"').lower().removesuffix(".")


def _listed(values: Sequence[str]) -> str:
    shown = ", ".join(values[:8]) or "(nothing)"
    return shown if len(values) <= 8 else f"{shown} and {len(values) - 8} more"
