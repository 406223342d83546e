"""What was seen against what was expected: every operator, and the words."""

import json
import time
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from farwatch_events.assertions import Assertion
from farwatch_events.monitor import parse_monitor
from farwatch_events.results import SEEN_MAX_CHARS, ErrorClass
from farwatch_prober.judge import Judgement, judge, rules_of, rules_of_http
from farwatch_prober.outcome import ProbeFailure
from farwatch_runtime.expectations import Facts, holds

TEXT = json.dumps({"ok": True, "queue": 7, "name": "shop", "none": None, "tags": ["a", "b"], "n": [{"v": 1}, {"v": 9}]})
FACTS = Facts(
    {
        "status": 200, "latency": 532.4, "latency.tls": 12.25, "ip": "192.0.2.7", "protocol": "HTTP/2",
        "body.size": 120, "redirects.count": 0, "certificate.days": 13, "packet_loss": 33.3,
        "dns.values": ["192.0.2.1", "10 MX.example.", '"v=spf1 -all"'], "dns.rcode": "NOERROR", "redirects.url": None,
    },
    [("Content-Type", "text/html"), ("X-Age", "55"), ("Set-Cookie", "a=1"), ("set-cookie", "b=2")],
    TEXT,
)  # fmt: skip


def written(subject: str, operator: str, value: Any = None, severity: str = "down") -> Assertion:
    return Assertion.model_validate({"subject": subject, "operator": operator, "value": value, "severity": severity})


@pytest.mark.parametrize(
    ("subject", "operator", "value", "ok"),
    [
        ("status", "equals", 200, True),
        ("status", "equals", "200-299", True),
        ("status", "one_of", ["100-199", "200"], True),
        ("status", "one_of", ["404"], False),
        ("status", "not_equals", "500-599", True),
        ("status", "less_than", 300, True),
        ("latency", "less_than", 500, False),
        ("latency", "less_than", 533, True),
        ("latency.tls", "equals", 12.25, True),
        ("header.content-type", "equals", "text/html", True),
        ("header.content-type", "contains", "html", True),
        ("header.x-age", "less_than", 60, True),
        ("header.x-age", "equals", 55, True),
        ("header.content-type", "less_than", 60, False),
        ("header.set-cookie", "contains", "b=", True),
        ("header.set-cookie", "not_contains", "b=", False),
        ("header.x-missing", "exists", None, False),
        ("header.x-missing", "exists", False, True),
        ("header.x-missing", "equals", "x", False),
        ("header.x-missing", "not_equals", "x", True),
        ("header.x-missing", "not_contains", "x", True),
        ("header.x-missing", "one_of", ["x"], False),
        ("header.x-missing", "less_than", 5, False),
        ("body", "contains", "shop", True),
        ("body", "not_contains", "error", True),
        ("body", "matches", r"queue.: \d+", True),
        ("body", "matches", r"^shop$", False),
        ("body.size", "greater_than", 100, True),
        ("body.json.ok", "equals", True, True),
        ("body.json.ok", "equals", "true", True),
        ("body.json.ok", "equals", 1, False),
        ("body.json.queue", "equals", 7, True),
        ("body.json.queue", "equals", "7", True),
        ("body.json.queue", "equals", True, False),
        ("body.json.queue", "greater_than", 7, False),
        ("body.json.none", "exists", None, True),
        ("body.json.none", "equals", None, True),
        ("body.json.missing", "exists", None, False),
        ("body.json.tags", "contains", "b", True),
        ("body.json.tags", "equals", '["a","b"]', True),
        ("body.json.tags[*]", "one_of", ["a", "b", "c"], True),
        ("body.json.tags[*]", "one_of", ["a"], False),
        ("body.json.n[*].v", "less_than", 9, False),
        ("body.json.n[*].v", "less_than", 10, True),
        ("body.json..v", "equals", 9, True),
        ("ip", "one_of", ["192.0.2.7"], True),
        ("protocol", "equals", "HTTP/2", True),
        ("redirects.url", "exists", False, True),
        ("dns.values", "contains", "192.0.2.1", True),
        ("dns.values", "equals", "10 mx.example", True),
        ("dns.values", "equals", "v=spf1 -all", True),
        ("dns.values", "one_of", ["192.0.2.1", "10 mx.example"], False),
    ],
)
def test_operators(subject: str, operator: str, value: Any, ok: bool) -> None:
    assert holds(written(subject, operator, value), FACTS.of(written(subject, operator, value).subject)) == ok


@pytest.mark.parametrize(
    ("subject", "operator", "value", "sentence"),
    [
        ("latency", "less_than", 500, "The latency is 532 ms; expected less than 500 ms"),
        ("header.content-type", "equals", "text/plain",
         "The header content-type is text/html; expected text/plain"),
        ("header.x-cache", "exists", None, "The header x-cache is missing"),
        ("header.x-age", "exists", False, "The header x-age is there, and should not be"),
        ("header.x-cache", "contains", "HIT", 'The header x-cache is missing; expected it to contain "HIT"'),
        ("body", "contains", "basket", '"basket" is missing from the answer'),
        ("body", "not_contains", "shop", 'The answer contains "shop"'),
        ("body", "matches", "b[ae]d", "Nothing in the answer matches b[ae]d"),
        ("body.json.queue", "less_than", 5, "$.queue in the JSON answer is 7; expected less than 5"),
        ("certificate.days", "greater_than", 30,
         "The certificate's time left is 13 days; expected more than 30 days"),
        ("packet_loss", "less_than", 20, "The packet loss is 33.3%; expected less than 20%"),
        ("dns.values", "one_of", ["192.0.2.1"],
         'The answer is 192.0.2.1, 10 MX.example., "v=spf1 -all"; expected one of 192.0.2.1'),
    ],
)  # fmt: skip
def test_words(subject: str, operator: str, value: Any, sentence: str) -> None:
    judgement = judge(rules_of([written(subject, operator, value)], None), FACTS)
    assert (judgement.outcome, judgement.error_class, judgement.error) == ("down", ErrorClass.ASSERTION, sentence)


def test_an_answer_that_is_no_json_says_so() -> None:
    judgement = judge(rules_of([written("body.json.ok", "equals", True)], None), Facts({}, (), "<html>"))
    assert judgement.error == "$.ok in the JSON answer is missing (the answer is not JSON); expected true"
    deep = judge(rules_of([written("body.json.ok", "exists")], None), Facts({}, (), "[" * 100_000))
    assert deep.error == "$.ok in the JSON answer is missing"


def test_every_assertion_is_named_with_what_was_seen_and_all_failures_counted() -> None:
    rules = rules_of(
        [
            written("latency", "less_than", 1, "degraded"),
            written("body.json.queue", "less_than", 5),
            written("ip", "equals", "192.0.2.7"),
            written("header.x-cache", "exists"),
            written("body", "contains", "basket"),
        ],
        None,
    )
    judgement = judge(rules, FACTS)
    assert judgement.error == "$.queue in the JSON answer is 7; expected less than 5 (and 2 more assertions failed)"
    assert [(a.subject, a.ok, a.expected, a.seen) for a in judgement.assertions] == [
        ("latency", False, "1", "532.4"),
        ("body.json.queue", False, "5", "7"),
        ("ip", True, "192.0.2.7", "192.0.2.7"),
        ("header.x-cache", False, "true", None),
        ("body", False, "basket", TEXT),
    ]


def test_a_degraded_assertion_degrades() -> None:
    judgement = judge(rules_of([written("latency", "less_than", 500, "degraded")], None), FACTS)
    assert (judgement.outcome, judgement.error) == ("degraded", None)
    assert judgement.reasons == ("The latency is 532 ms; expected less than 500 ms",)


def http(**fields: Any) -> Judgement:
    spec = parse_monitor({"type": "http", "name": "x", "url": "https://x.test/"} | fields)
    return judge(rules_of_http(spec), Facts({"status": 404, "method": "HEAD", "latency": 1.0}, (), "no"))  # type: ignore[arg-type]


def test_shorthands_are_assertions_with_words_of_their_own() -> None:
    judgement = http(expected_text="yes")
    assert judgement.error == ("Answered 404 Not Found; expected 200-299 (some servers do not answer HEAD: try GET)")
    assert [(a.subject, a.operator, a.expected, a.seen) for a in judgement.assertions] == [
        ("status", "one_of", "200-299", "404"),
        ("body", "contains", "yes", "no"),
    ]


def test_an_assertion_about_the_status_replaces_the_default_but_not_what_was_written() -> None:
    own = {"subject": "status", "operator": "equals", "value": 404}
    assert http(assertions=[own]).outcome == "up"
    assert http(assertions=[own], expected_status=["200"]).error_class == ErrorClass.STATUS


def test_a_number_and_a_truth_are_told_apart_whatever_was_judged_before() -> None:
    facts = Facts({}, (), '{"a": true}')
    for value, outcome in ((1, "down"), (True, "up"), (1, "down")):
        assert judge(rules_of([written("body.json.a", "equals", value)], None), facts).outcome == outcome


def test_a_pattern_the_prober_cannot_run_is_not_the_targets_fault() -> None:
    with pytest.raises(ProbeFailure) as failure:
        judge(rules_of([written("body", "matches", "(a")], None), FACTS)
    assert failure.value.error_class == ErrorClass.INTERNAL


@pytest.mark.parametrize("pattern", ["(a+)+$", "(a|a)*b", "(?:a?){300}a{300}", "[ab]*a[ab]{900}c"])
def test_no_pattern_takes_long(pattern: str) -> None:
    """The first takes `re` longer than anybody waits with 40 letters."""
    facts = Facts({}, (), "ab" * 500_000)
    rules = rules_of([written("body", "matches", pattern)] * 8, None)
    started = time.process_time()
    judge(rules, facts)
    assert time.process_time() - started < 3


DOCUMENTS = st.recursive(
    st.none() | st.booleans() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
)


@settings(max_examples=200, deadline=None)
@given(
    st.text(max_size=30),
    st.sampled_from(["equals", "not_equals", "contains", "not_contains", "less_than", "one_of", "exists"]),
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(min_size=1, max_size=9),
    DOCUMENTS,
)
def test_whatever_is_answered_a_judgement_comes(path: str, operator: str, value: Any, document: Any) -> None:
    try:
        assertion = written(f"body.json.{path}", operator, value)
    except ValueError:
        return
    text = json.dumps(document)
    judgement = judge(rules_of([assertion], None), Facts({}, (), text))
    (result,) = judgement.assertions
    assert result.ok == (judgement.outcome == "up")
    assert len(result.expected) <= SEEN_MAX_CHARS
    assert len(result.seen or "") <= SEEN_MAX_CHARS
    opposite = {"equals": "not_equals", "contains": "not_contains"}.get(operator)
    if opposite is not None:
        other = judge(rules_of([written(f"body.json.{path}", opposite, value)], None), Facts({}, (), text))
        assert other.assertions[0].ok != result.ok
