"""Whether an answer is good: up, degraded or down, with reasons. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from http import HTTPStatus
from math import inf
from typing import Any

from farwatch_events.assertions import Assertion, Operator, Severity, status_range
from farwatch_events.monitor import HttpMonitor
from farwatch_events.results import AssertionResult, Certificate, ErrorClass, Outcome
from farwatch_prober.outcome import Phases, ProbeFailure, ProbeOutcome, in_words
from farwatch_runtime.expectations import Facts, Finding, Rule, evaluate, plain_record
from farwatch_runtime.patterns import PatternError

CACHED_RULES = 4096
DEFAULT_STATUS = ("200-299",)
ALL_DAYS = 10**9


@dataclass(frozen=True, slots=True)
class Judgement:
    """`error_class` and `error` are set exactly when the outcome is down, `reasons` exactly when it is degraded."""

    outcome: Outcome
    error_class: ErrorClass | None = None
    error: str | None = None
    reasons: tuple[str, ...] = ()
    assertions: tuple[AssertionResult, ...] = ()


UP = Judgement("up")


def judge(rules: Sequence[Rule], facts: Facts, warnings: Sequence[str] = ()) -> Judgement:
    """Down by the first rule of that severity that does not hold; degraded by the others, and by `warnings`.

    Raises ProbeFailure (internal) for a pattern that this prober cannot run.
    """
    if not rules and not warnings:
        return UP
    try:
        findings = evaluate(rules, facts)
    except PatternError as error:
        raise ProbeFailure(ErrorClass.INTERNAL, f"The pattern of an assertion {error}") from None
    failed = [finding for finding in findings if finding.sentence]
    if not failed and not warnings:
        return Judgement("up", assertions=tuple(finding.result for finding in findings)) if findings else UP
    results = tuple(finding.result for finding in findings)
    if (fatal := [finding for finding in failed if finding.result.severity == "down"]) != []:
        return Judgement("down", fatal[0].rule.error_class, _with_others(fatal), assertions=results)
    reasons = (*(finding.sentence for finding in failed), *warnings)
    return Judgement("degraded", reasons=reasons, assertions=results)


def _with_others(fatal: Sequence[Finding]) -> str:
    others = len(fatal) - 1
    if not others or fatal[0].rule.words is not None:
        return fatal[0].sentence
    return f"{fatal[0].sentence} (and {others} more assertion{'s'[: others > 1]} failed)"


def outcome_of(judgement: Judgement, **facts: Any) -> ProbeOutcome:
    """A try that came to an end, as it was judged."""
    return ProbeOutcome(
        outcome=judgement.outcome,
        error_class=judgement.error_class,
        error=judgement.error,
        reasons=judgement.reasons,
        assertions=judgement.assertions,
        **facts,
    )


@dataclass(frozen=True, slots=True)
class Ordinary:
    """The three shorthands that most monitors have, put so that an answer which is in order is quickly known to be."""

    statuses: frozenset[int]
    slowest_ms: float = inf
    least_days: int = -ALL_DAYS

    def hold(self, status: int, latency_ms: float, certificate: Certificate | None) -> bool:
        """False when one of them does not, and the rules have to say which."""
        if status not in self.statuses or latency_ms >= self.slowest_ms:
            return False
        return certificate is None or certificate.days >= self.least_days


def ordinary_of_http(spec: HttpMonitor) -> Ordinary | None:
    """None for a monitor that wants more."""
    if spec.assertions or spec.expected_text is not None or spec.forbidden_text is not None:
        return None
    if spec.http_version == "2" or spec.content_guard:
        return None
    slowest_ms = inf if spec.degraded_ms is None else spec.degraded_ms
    least_days = spec.certificate_warning_days or -ALL_DAYS
    return Ordinary(_statuses(tuple(spec.expected_status)), slowest_ms, least_days)


@lru_cache(maxsize=CACHED_RULES)
def _statuses(expected_status: tuple[str, ...]) -> frozenset[int]:
    ranges = [status_range(each) or (0, -1) for each in expected_status]
    return frozenset(status for low, high in ranges for status in range(low, high + 1))


def rules_of_http(spec: HttpMonitor) -> tuple[Rule, ...]:
    """The default of expected_status gives way to an assertion about the status."""
    has_own = any(assertion.subject == "status" for assertion in spec.assertions)
    expected = tuple(spec.expected_status)
    status = () if has_own and expected == DEFAULT_STATUS else _status_rules(expected)
    texts = _text_rules(spec.expected_text, spec.forbidden_text)
    version = (_VERSION_RULE,) if spec.http_version == "2" else ()
    return status + version + texts + rules_of(spec.assertions, spec.degraded_ms, spec.certificate_warning_days)


def rules_of(own: Sequence[Assertion], degraded_ms: int | None, warning_days: int = 0) -> tuple[Rule, ...]:
    """The assertions themselves, then being slow and a certificate near its end (`warning_days` 0 turns that off)."""
    warnings = _warning_rules(degraded_ms, warning_days)
    return tuple(map(Rule, own)) + warnings if own else warnings


@lru_cache(maxsize=CACHED_RULES)
def _status_rules(expected_status: tuple[str, ...]) -> tuple[Rule, ...]:
    listed = ", ".join(expected_status)

    def words(facts: Facts) -> str:
        return f"Answered {status_words(facts.values['status'])}; expected {listed}{_hint(facts)}"

    return (Rule(_assertion("status", "one_of", expected_status), ErrorClass.STATUS, words),)


def _hint(facts: Facts) -> str:
    """Many servers answer GET only."""
    is_head = facts.values.get("method") == "HEAD" and facts.values["status"] in (400, 403, 404, 405, 501)
    return " (some servers do not answer HEAD: try GET)" if is_head else ""


@lru_cache(maxsize=CACHED_RULES)
def _text_rules(expected_text: str | None, forbidden_text: str | None) -> tuple[Rule, ...]:
    rules = [_text_rule("contains", expected_text)] if expected_text is not None else []
    return (*rules, _text_rule("not_contains", forbidden_text)) if forbidden_text is not None else tuple(rules)


def _text_rule(operator: Operator, text: str) -> Rule:
    def words(facts: Facts) -> str:
        where = "the answer" if facts.complete else "the first 1 MiB of the answer"
        return f"{_quoted(text)} is missing from {where}" if operator == "contains" else found

    found = f"The answer contains {_quoted(text)}"
    return Rule(_assertion("body", operator, text), ErrorClass.CONTENT, words)


@lru_cache(maxsize=CACHED_RULES)
def _warning_rules(degraded_ms: int | None, warning_days: int) -> tuple[Rule, ...]:
    rules = [_slow_rule(degraded_ms)] if degraded_ms is not None else []
    return (*rules, _certificate_rule(warning_days)) if warning_days > 0 else tuple(rules)


def _certificate_rule(warning_days: int) -> Rule:
    expected = _assertion("certificate.days", "greater_than", warning_days - 1, "degraded")
    return Rule(expected, ErrorClass.TLS, lambda facts: certificate_words(facts.values["certificate.days"]))


def _slow_rule(degraded_ms: int) -> Rule:
    def words(facts: Facts) -> str:
        return f"Slow: took {facts.values['latency']:,.0f} ms, more than {degraded_ms:,} ms"

    return Rule(_assertion("latency", "less_than", degraded_ms, "degraded"), ErrorClass.TIMEOUT, words)


def _assertion(subject: str, operator: Operator, value: Any, severity: Severity = "down") -> Assertion:
    return Assertion(subject=subject, operator=operator, value=value, severity=severity)


_VERSION_RULE = Rule(
    _assertion("protocol", "equals", "HTTP/2"),
    ErrorClass.PROTOCOL,
    lambda facts: f"Answered by {facts.values['protocol']}; expected HTTP/2",
)


def phase_facts(latency_ms: float | None, phases: Phases) -> dict[str, Any]:
    return {
        "latency": latency_ms,
        "latency.dns": phases.dns_ms,
        "latency.connect": phases.connect_ms,
        "latency.tls": phases.tls_ms,
        "latency.wait": phases.wait_ms,
        "latency.transfer": phases.transfer_ms,
    }


def certificate_facts(certificate: Certificate | None) -> dict[str, Any]:
    if certificate is None:
        return {}
    return {
        "certificate.days": certificate.days,
        "certificate.subject": certificate.subject,
        "certificate.issuer": certificate.issuer,
    }


def judge_values(seen: Sequence[str], expected: Sequence[str]) -> str | None:
    """The sentence when an expected DNS value is missing; values compare without case and final dot."""
    known = {plain_record(value) for value in seen}
    missing = [value for value in expected if plain_record(value) not in known]
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


def _quoted(text: str) -> str:
    shown = text if len(text) <= 100 else text[:99] + "…"
    return f'"{shown}"'


def _listed(values: Sequence[str]) -> str:
    shown = ", ".join(values[:8]) or "(nothing)"
    return shown if len(values) <= 8 else f"{shown} and {len(values) - 8} more"
