"""Assertions as they are written: what fits, and what is said when it does not."""

import time
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from farwatch_events.assertions import Assertion, status_range
from farwatch_events.jsonpath import find, parse_path
from farwatch_events.monitor import MONITOR_TYPES, dump_monitor, parse_monitor
from tests.unit.events.test_monitor import MINIMAL


def assertion(subject: str, operator: str, value: Any = None, **more: Any) -> dict[str, Any]:
    return {"subject": subject, "operator": operator, "value": value, **more}


def kept(kind: str, *assertions: dict[str, Any]) -> list[Assertion]:
    return parse_monitor({**MINIMAL[kind], "assertions": list(assertions)}).assertions


FITTING: list[tuple[str, str, str, Any, Any]] = [
    ("http", "status", "one_of", ["200-299", 404], ("200-299", 404)),
    ("http", "status", "equals", "204", "204"),
    ("http", "latency", "less_than", "500", 500),
    ("http", "latency.tls", "less_than", 99.5, 99.5),
    ("http", "header.x-cache", "exists", None, True),
    ("http", "header.x-cache", "exists", "false", False),
    ("http", "body", "matches", r"\bok\b", r"\bok\b"),
    ("http", "body.json.status", "equals", True, True),
    ("http", "body.json.queue", "less_than", 10, 10),
    ("http", "body.size", "one_of", ["5", 6], (5, 6)),
    ("http", "redirects.count", "equals", "0", 0),
    ("ping", "packet_loss", "less_than", 50, 50),
    ("ping", "jitter", "less_than", 20, 20),
    ("port", "latency.connect", "greater_than", 0, 0),
    ("dns", "dns.values", "one_of", "192.0.2.1", ("192.0.2.1",)),
    ("dns", "dns.rcode", "equals", "NXDOMAIN", "NXDOMAIN"),
    ("tls", "certificate.days", "greater_than", 30, 30),
    ("tls", "certificate.issuer", "contains", "Example CA", "Example CA"),
]


@pytest.mark.parametrize(("kind", "subject", "operator", "value", "stored"), FITTING)
def test_what_fits_is_kept_in_the_form_the_subject_takes(
    kind: str, subject: str, operator: str, value: Any, stored: Any
) -> None:
    spec = parse_monitor({**MINIMAL[kind], "assertions": [assertion(subject, operator, value)]})
    (found,) = spec.assertions
    assert (found.value, type(found.value), found.severity) == (stored, type(stored), "down")
    assert parse_monitor(dump_monitor(spec)) == spec
    assert hash(found) == hash(spec.assertions[0])


@pytest.mark.parametrize(
    ("written", "stored"),
    [
        ("header.X-Cache", "header.x-cache"),
        ("body.json.$.a.b", "body.json.a.b"),
        ("body.json:$.a", "body.json.a"),
        ("body.json $[0].a", "body.json[0].a"),
        ("body.json.[0]", "body.json[0]"),
        ("body.json$..a", "body.json..a"),
        ("body.json", "body.json"),
        (" status ", "status"),
    ],
)
def test_a_subject_has_one_spelling(written: str, stored: str) -> None:
    (found,) = kept("http", assertion(written, "exists") if written.strip() != "status" else
                    assertion(written, "equals", 200))  # fmt: skip
    assert found.subject == stored


UNFIT: list[tuple[str, dict[str, Any], str, str]] = [
    ("ping", assertion("status", "equals", 200), "subject", "must be one of latency, latency.dns, packet_loss"),
    ("push", assertion("status", "equals", 200), "subject", "must be one of latency, exit_code, body"),
    ("http", assertion("packet_loss", "less_than", 1), "subject", "must be one of status"),
    ("http", assertion("header.", "exists"), "subject", "needs a header's name"),
    ("http", assertion("header.a b", "exists"), "subject", "needs a header's name"),
    ("http", assertion("body.json.a[", "exists"), "subject", "is no JSONPath from '['"),
    ("http", assertion("body.json.$.a[?(@.b)]", "exists"), "subject", "is no JSONPath from"),
    ("http", assertion("latency", "contains", "5"), "operator", "does not fit latency; it takes equals"),
    ("http", assertion("body", "less_than", 5), "operator", "does not fit body"),
    ("http", assertion("latency", "less_than", "fast"), "value", "must be a number for less_than"),
    ("http", assertion("latency", "equals", "fast"), "value", "must be a number: latency is one"),
    ("http", assertion("latency", "less_than", True), "value", "must be a number for less_than"),
    ("http", assertion("status", "equals", "2xx"), "value", "code such as 200"),
    ("http", assertion("status", "one_of", ["299-200"]), "value", "code such as 200"),
    ("http", assertion("body", "contains", ""), "value", "must be some text"),
    ("http", assertion("body", "equals", ["a", "b"]), "value", "must be one value for equals; use one_of"),
    ("http", assertion("body", "one_of", []), "value", "at least one value"),
    ("http", assertion("body", "matches", "a" * 501), "value", "at most 500 characters"),
    ("http", assertion("body", "exists", "maybe"), "value", "must be true or false"),
    ("http", assertion("body", "is", "x"), "operator", "Input should be"),
    ("http", assertion("body", "exists", severity="loud"), "severity", "Input should be"),
]


@pytest.mark.parametrize(("kind", "wrong", "field", "words"), UNFIT)
def test_what_does_not_fit_is_said_with_its_place(kind: str, wrong: dict[str, Any], field: str, words: str) -> None:
    good = [assertion("latency", "less_than", 5000)]
    with pytest.raises(ValidationError) as refused:
        kept(kind, *good, wrong)
    (error,) = refused.value.errors()
    assert error["loc"][1:] == ("assertions", len(good), field)
    assert words in error["msg"]


def test_every_type_says_what_its_assertions_can_be_about() -> None:
    for name, model in MONITOR_TYPES.items():
        assert model.subjects, name


def test_at_most_32() -> None:
    with pytest.raises(ValidationError, match="at most 32"):
        kept("http", *[assertion("latency", "less_than", n) for n in range(33)])


DOCUMENT = {"a": {"b": [1, {"c": "x"}, {"c": "y"}]}, "odd key": True, "n": None}


@pytest.mark.parametrize(
    ("path", "found"),
    [
        ("$", [DOCUMENT]),
        ("$.a.b[0]", [1]),
        ("a.b[-1].c", ["y"]),
        ("$.a.b[*].c", ["x", "y"]),
        ("$..c", ["x", "y"]),
        ("$..b[1].c", ["x"]),
        ("$['odd key']", [True]),
        ('$["odd key"]', [True]),
        ("$.n", [None]),
        ("$.a.*[0]", [1]),
        ("$.missing.deeper", []),
        ("$.a.b[9]", []),
        ("$.a.b.c", []),
    ],
)
def test_paths(path: str, found: list[Any]) -> None:
    assert find(DOCUMENT, parse_path(path)) == found


@given(st.text(max_size=60))
def test_a_path_is_understood_or_refused(text: str) -> None:
    with suppress(ValueError):
        assert isinstance(find(DOCUMENT, parse_path(text)), list)


def test_a_deep_and_wide_answer_costs_little() -> None:
    deep: Any = "end"
    for _ in range(20_000):
        deep = {"x": [deep]}
    started = time.perf_counter()
    assert len(find(deep, parse_path("$..x..x..*"))) <= 1000
    assert time.perf_counter() - started < 5


def test_status_ranges() -> None:
    assert [status_range(v) for v in (200, "200", "200-299", "2xx", 700, True)] == [
        (200, 200), (200, 200), (200, 299), None, None, None,
    ]  # fmt: skip
