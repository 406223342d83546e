"""What is expected of an answer, and what was seen, in words. Pure."""

from collections.abc import Mapping
from typing import Any, Final

SUBJECT_WORDS: Final[dict[str, str]] = {
    "status": "Status code",
    "latency": "Response time",
    "latency.dns": "Name lookup time",
    "latency.connect": "Connect time",
    "latency.tls": "TLS time",
    "latency.wait": "Time to first byte",
    "latency.transfer": "Transfer time",
    "ip": "Address",
    "certificate.days": "Certificate’s time left",
    "certificate.subject": "Certificate’s subject",
    "certificate.issuer": "Certificate’s issuer",
    "protocol": "HTTP version",
    "header.<name>": "Header …",
    "body": "Text of the answer",
    "body.json.<path>": "JSON value at …",
    "body.size": "Size of the answer",
    "redirects.count": "Redirects",
    "redirects.url": "Address after redirects",
    "packet_loss": "Lost packets",
    "jitter": "Jitter",
    "exit_code": "Exit code",
    "dns.values": "Records",
    "dns.count": "Number of records",
    "dns.rcode": "Answer code",
}
OPERATOR_WORDS: Final[dict[str, str]] = {
    "equals": "is",
    "not_equals": "is not",
    "contains": "contains",
    "not_contains": "does not contain",
    "matches": "matches",
    "less_than": "is under",
    "greater_than": "is over",
    "exists": "exists",
    "one_of": "is one of",
}
_UNITS: Final[dict[str, str]] = {
    "certificate.days": "days",
    "body.size": "bytes",
    "packet_loss": "percent",
    "jitter": "ms",
}


def unit_of(subject: str) -> str:
    return "ms" if subject.startswith("latency") else _UNITS.get(subject, "")


def split_subject(subject: str) -> tuple[str, str]:
    """ "header.x-cache" -> ("header", "x-cache"); a subject without a name or path has an empty one."""
    for prefix in ("header", "body.json"):
        if subject.startswith((f"{prefix}.", f"{prefix}[")):
            return prefix, subject[len(prefix) :].removeprefix(".")
    return subject, ""


def expectation(result: Mapping[str, Any]) -> str:
    """ "Response time is under 800 ms", "Header x-cache is HIT", "JSON value queue does not exist"."""
    subject, operator, expected = named(result["subject"]), result["operator"], result["expected"]
    if operator == "exists":
        return f"{subject} {'does not exist' if expected == 'false' else 'exists'}"
    return f"{subject} {OPERATOR_WORDS.get(operator, operator)} {with_unit(result['subject'], expected)}"


def seen(result: Mapping[str, Any]) -> str:
    return "nothing" if result["seen"] is None else with_unit(result["subject"], result["seen"]) or "an empty text"


def named(subject: str) -> str:
    prefix, key = split_subject(subject)
    if prefix == "header":
        return f"Header {key}"
    if prefix == "body.json":
        return f"JSON value {key}" if key else "JSON of the answer"
    return SUBJECT_WORDS.get(subject, subject)


def with_unit(subject: str, value: str) -> str:
    unit = unit_of(subject)
    return f"{value} {unit}" if unit and value else value


def explained(result: Mapping[str, Any]) -> dict[str, Any]:
    """The result of an assertion with `sentence` and `seen_words` for people."""
    return {**result, "sentence": expectation(result), "seen_words": seen(result)}
