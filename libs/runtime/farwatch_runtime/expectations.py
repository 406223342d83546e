"""Whether what was seen is what was expected, with the words for it. Pure."""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

from farwatch_events.assertions import (
    HEADER_PREFIX,
    JSON_SUBJECT,
    Assertion,
    as_number,
    status_range,
)
from farwatch_events.jsonpath import find, parse_path
from farwatch_events.results import SEEN_MAX_CHARS, AssertionResult, ErrorClass
from farwatch_runtime.patterns import STEPS, found_in

NOTHING: tuple[Any, ...] = ()


@dataclass(slots=True)
class Facts:
    """What a try saw. `values` hold a subject's value, None when it did not happen; `text` is the body, as far as it
    was read: `complete` is False when reading stopped at the limit."""

    values: Mapping[str, Any]
    headers: Sequence[tuple[str, str]] = ()
    text: str = ""
    complete: bool = True
    _document: list[Any] | None = field(default=None, init=False)

    def of(self, subject: str) -> tuple[Any, ...]:
        """Every value of the subject: none when the answer has nothing of the kind, several for a list."""
        if subject.startswith(HEADER_PREFIX):
            name = subject[len(HEADER_PREFIX) :]
            return tuple(value for key, value in self.headers if key.lower() == name)
        if subject == "body":
            return (self.text,)
        if subject.startswith(JSON_SUBJECT):
            return tuple(found for root in self._root() for found in find(root, parse_path(subject[9:])))
        value = self.values.get(subject)
        if value is None:
            return NOTHING
        return tuple(value) if isinstance(value, list | tuple) else (value,)

    def _root(self) -> list[Any]:
        """The JSON document in a list, an empty list when the body is none."""
        if self._document is None:
            try:
                self._document = [json.loads(self.text)]
            except (ValueError, RecursionError):
                self._document = []
        return self._document


@dataclass(frozen=True, slots=True)
class Rule:
    """An assertion as it is judged. A shorthand has its own class and words, and is told of only when it fails."""

    assertion: Assertion
    error_class: ErrorClass = ErrorClass.ASSERTION
    words: Callable[[Facts], str] | None = None


@dataclass(frozen=True, slots=True)
class Finding:
    """One rule against the facts; `sentence` is empty when it holds."""

    rule: Rule
    result: AssertionResult
    sentence: str = ""


def evaluate(rules: Sequence[Rule], facts: Facts) -> list[Finding]:
    """What became of each rule; a shorthand that holds, or is about something that did not happen, is left out.

    Raises PatternError for a pattern that this version cannot run.
    """
    patterns = sum(rule.assertion.operator == "matches" for rule in rules)
    found = (_evaluate_one(rule, facts, STEPS // max(1, patterns)) for rule in rules)
    return [finding for finding in found if finding is not None]


def _evaluate_one(rule: Rule, facts: Facts, steps: int) -> Finding | None:
    assertion = rule.assertion
    seen = facts.of(assertion.subject)
    if rule.words is not None and not seen:
        return None
    ok = holds(assertion, seen, steps)
    if ok and rule.words is not None:
        return None
    result = AssertionResult(
        subject=assertion.subject,
        operator=assertion.operator,
        expected=_clipped(_expected_text(assertion.value)),
        seen=_clipped(_listed(seen)) if seen else None,
        ok=ok,
        severity=assertion.severity,
    )
    if ok:
        return Finding(rule, result)
    return Finding(rule, result, rule.words(facts) if rule.words else sentence(assertion, seen, facts))


def holds(assertion: Assertion, seen: tuple[Any, ...], steps: int = STEPS) -> bool:
    """Of several values: `equals`, `contains` and `matches` want one that fits, their opposites want none, `one_of`,
    `less_than` and `greater_than` want all to fit. Where nothing was seen only the opposites hold."""
    expected, subject = assertion.value, assertion.subject
    match assertion.operator:
        case "exists":
            return bool(seen) == expected
        case "equals":
            return any(_equal(subject, each, expected) for each in seen)
        case "not_equals":
            return not any(_equal(subject, each, expected) for each in seen)
        case "contains":
            return any(_contains(each, expected) for each in seen)
        case "not_contains":
            return not any(_contains(each, expected) for each in seen)
        case "matches":
            return _matches(str(expected), seen, steps)
        case "one_of":
            allowed = expected if isinstance(expected, tuple) else (expected,)
            return bool(seen) and all(any(_equal(subject, each, one) for one in allowed) for each in seen)
        case "less_than":
            return bool(seen) and all(_compare(each, expected, -1) for each in seen)
        case "greater_than":
            return bool(seen) and all(_compare(each, expected, 1) for each in seen)


def _matches(pattern: str, seen: tuple[Any, ...], steps: int) -> bool:
    return found_in(pattern, map(as_text, seen), steps)


def _equal(subject: str, seen: Any, expected: Any) -> bool:
    if subject == "status":
        low, high = _range(expected)
        return low <= int(seen) <= high
    if subject == "dns.values":
        return plain_record(as_text(seen)) == plain_record(as_text(expected))
    if isinstance(seen, bool) or isinstance(expected, bool) or seen is None:
        return as_text(seen) == as_text(expected).lower()
    numbers = as_number(seen), as_number(expected)
    if None not in numbers and not (isinstance(seen, str) and isinstance(expected, str)):
        return numbers[0] == numbers[1]
    return as_text(seen) == as_text(expected)


@lru_cache(maxsize=1024)
def _range(expected: Any) -> tuple[int, int]:
    return status_range(expected) or (0, -1)


def _contains(seen: Any, expected: Any) -> bool:
    if isinstance(seen, list):
        return any(_equal("", each, expected) for each in seen)
    return as_text(expected) in as_text(seen)


def _compare(seen: Any, expected: Any, sign: int) -> bool:
    number, limit = as_number(seen), as_number(expected)
    return number is not None and limit is not None and (number - limit) * sign > 0


def plain_record(value: str) -> str:
    """A DNS value without case, quotes and final dot, which mean nothing."""
    return value.strip().strip('"').lower().removesuffix(".")


def as_text(value: Any) -> str:
    """As people would write it: true, null, 12.5, and JSON for what has parts."""
    if isinstance(value, str):
        return value
    if isinstance(value, float):
        return f"{value:.10g}"
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def _expected_text(value: Any) -> str:
    return ", ".join(as_text(each) for each in value) if isinstance(value, tuple) else as_text(value)


def _listed(seen: Sequence[Any]) -> str:
    shown = ", ".join(as_text(each) for each in seen[:8])
    return shown if len(seen) <= 8 else f"{shown} and {len(seen) - 8} more"


def _clipped(text: str) -> str:
    text = text.replace("\0", "\N{REPLACEMENT CHARACTER}")
    return text if len(text) <= SEEN_MAX_CHARS else text[: SEEN_MAX_CHARS - 1] + "…"


_NAMES = {
    "status": "the status",
    "latency": "the latency",
    "latency.dns": "the name lookup",
    "latency.connect": "the connection",
    "latency.tls": "the TLS handshake",
    "latency.wait": "the wait for the first byte",
    "latency.transfer": "the transfer",
    "body": "the answer",
    "body.size": "the answer's size",
    "certificate.days": "the certificate's time left",
    "certificate.subject": "the certificate's subject",
    "certificate.issuer": "the certificate's issuer",
    "ip": "the address",
    "protocol": "the protocol",
    "redirects.count": "the number of redirects",
    "redirects.url": "the address redirected to",
    "packet_loss": "the packet loss",
    "jitter": "the jitter",
    "dns.values": "the answer",
    "dns.count": "the number of records",
    "dns.rcode": "the name server's code",
    "exit_code": "the exit code",
}
_UNITS = {"latency": " ms", "jitter": " ms", "packet_loss": "%", "certificate.days": " days", "body.size": " bytes"}
_RELATIONS = {
    "equals": "expected {0}",
    "not_equals": "expected anything else",
    "less_than": "expected less than {0}",
    "greater_than": "expected more than {0}",
    "one_of": "expected one of {0}",
    "matches": "expected a match of {0}",
    "contains": "expected it to contain {0}",
    "not_contains": "expected it not to contain {0}",
}


def name_of(subject: str) -> str:
    if subject.startswith(HEADER_PREFIX):
        return f"the header {subject[len(HEADER_PREFIX) :]}"
    if subject.startswith(JSON_SUBJECT):
        return f"${subject[len(JSON_SUBJECT) :]} in the JSON answer"
    return _NAMES.get(subject, subject)


def sentence(assertion: Assertion, seen: tuple[Any, ...], facts: Facts) -> str:
    """What is wrong, for a person: `The latency is 532 ms; expected less than 500 ms`."""
    name, operator = name_of(assertion.subject), assertion.operator
    if operator == "exists":
        return _capital(f"{name} is missing" if assertion.value else f"{name} is there, and should not be")
    unit = _UNITS.get(assertion.subject.partition(".")[0] if "latency" in assertion.subject else assertion.subject, "")
    expected = _clipped(_quoted(assertion, unit))
    if not seen:
        why = " (the answer is not JSON)" if _is_no_json(assertion.subject, facts) else ""
        return _capital(f"{name} is missing{why}; {_RELATIONS[operator].format(expected)}")
    if assertion.subject == "body":
        return _body_sentence(assertion, expected)
    shown = f"{seen[0]:,.0f}" if unit == " ms" and isinstance(seen[0], float) else _clipped(_listed(seen))
    return _capital(f"{name} is {shown}{unit}; {_RELATIONS[operator].format(expected)}")


def _body_sentence(assertion: Assertion, expected: str) -> str:
    match assertion.operator:
        case "contains":
            return f"{expected} is missing from the answer"
        case "not_contains":
            return f"The answer contains {expected}"
        case "matches":
            return f"Nothing in the answer matches {expected}"
        case _:
            return f"The answer is not as expected; {_RELATIONS[assertion.operator].format(expected)}"


def _is_no_json(subject: str, facts: Facts) -> bool:
    return subject.startswith(JSON_SUBJECT) and not facts.of(JSON_SUBJECT)


def _quoted(assertion: Assertion, unit: str) -> str:
    text = _expected_text(assertion.value)
    if assertion.operator in ("contains", "not_contains") or (assertion.operator == "equals" and not text):
        return f'"{text}"'
    return f"{text}{unit}"


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]
