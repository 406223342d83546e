from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from farwatch_events.monitor import HttpMonitor
from farwatch_events.results import Certificate, ErrorClass
from farwatch_prober.judge import (
    Judgement,
    certificate_facts,
    certificate_words,
    judge,
    judge_loss,
    judge_values,
    ordinary_of_http,
    rules_of,
    rules_of_http,
    status_words,
)
from farwatch_runtime.expectations import Facts


def spec(**fields: Any) -> HttpMonitor:
    return HttpMonitor.model_validate({"type": "http", "name": "x", "url": "https://x.test/"} | fields)


def judged(fields: dict[str, Any], seen: dict[str, Any]) -> Judgement:
    base: dict[str, Any] = {"status": 200, "text": "all is well", "complete": True, "latency": 120.0}
    values = base | seen
    text, complete = values.pop("text"), values.pop("complete")
    values |= certificate_facts(values.pop("certificate", None))
    return judge(rules_of_http(spec(**fields)), Facts(values, (), text, complete))


def cert(days: int) -> Certificate:
    return Certificate(not_after_ms=0, days=days)


@pytest.mark.parametrize(
    ("fields", "seen", "outcome", "error_class", "words"),
    [
        ({}, {}, "up", None, None),
        ({}, {"status": 204}, "up", None, None),
        ({}, {"status": 503}, "down", "status", "Answered 503 Service Unavailable; expected 200-299"),
        ({}, {"status": 301}, "down", "status", "Answered 301 Moved Permanently; expected 200-299"),
        ({"expected_status": ["200", "404"]}, {"status": 404}, "up", None, None),
        ({"expected_status": ["200", "404"]}, {"status": 299}, "down", "status", "Answered 299; expected 200, 404"),
        ({"expected_text": "well"}, {}, "up", None, None),
        ({"expected_text": "Well"}, {}, "down", "content", '"Well" is missing from the answer'),
        ({"expected_text": "x"}, {"complete": False}, "down", "content",
         '"x" is missing from the first 1 MiB of the answer'),
        ({"forbidden_text": "is well"}, {}, "down", "content", 'The answer contains "is well"'),
        ({"forbidden_text": "error"}, {}, "up", None, None),
        ({"expected_text": "x"}, {"status": 500}, "down", "status",
         "Answered 500 Internal Server Error; expected 200-299"),
        ({"degraded_ms": 121}, {}, "up", None, None),
        ({"degraded_ms": 119}, {}, "degraded", None, "Slow: took 120 ms, more than 119 ms"),
        ({}, {"certificate": cert(14)}, "up", None, None),
        ({}, {"certificate": cert(13)}, "degraded", None, "The certificate expires in 13 days"),
        ({}, {"certificate": cert(-1)}, "degraded", None, "The certificate expired 1 day ago"),
        ({"certificate_warning_days": 0}, {"certificate": cert(-5)}, "up", None, None),
    ],
)  # fmt: skip
def test_answers(
    fields: dict[str, Any], seen: dict[str, Any], outcome: str, error_class: str | None, words: str | None
) -> None:
    judgement = judged(fields, seen)
    assert (judgement.outcome, judgement.error_class) == (outcome, error_class)
    assert words in ([judgement.error, *judgement.reasons] if words else [None])


def test_every_reason_for_degraded_is_told() -> None:
    judgement = judge(rules_of([], 1000, 14), Facts({"latency": 2000.0, **certificate_facts(cert(3))}))
    assert judgement.reasons == ("Slow: took 2,000 ms, more than 1,000 ms", "The certificate expires in 3 days")


@given(st.integers(100, 599), st.text(max_size=50), st.none() | st.integers(1, 1000), st.floats(0, 2000))
def test_an_error_comes_with_down_and_only_with_it(
    status: int, text: str, degraded_ms: int | None, latency_ms: float
) -> None:
    fields = {"expected_text": "a", "degraded_ms": degraded_ms}
    judgement = judged(fields, {"status": status, "text": text, "latency": latency_ms})
    assert (judgement.outcome == "down") == (judgement.error_class is not None) == (judgement.error is not None)
    assert (judgement.outcome == "degraded") == bool(judgement.reasons)
    assert (judgement.error_class is ErrorClass.STATUS) == (not 200 <= status <= 299)


@pytest.mark.parametrize(
    ("seen", "expected", "fault"),
    [
        (["1.2.3.4"], [], None),
        (["1.2.3.4", "1.2.3.5"], ["1.2.3.5"], None),
        (["10 MX.example."], ["10 mx.example"], None),
        (['"v=spf1 -all"'], ["v=spf1 -all"], None),
        (["1.2.3.4"], ["1.2.3.5"], "The answer 1.2.3.4 lacks 1.2.3.5"),
        ([], ["a", "b"], "The answer (nothing) lacks a, b"),
    ],
)
def test_dns_values(seen: list[str], expected: list[str], fault: str | None) -> None:
    assert judge_values(seen, expected) == fault


def test_lost_packets() -> None:
    assert judge_loss(1, 3, 10, "x.test") is None
    assert judge_loss(0, 3, 10, "x.test") == "x.test did not reply to any of 3 packets within 10 s"
    assert judge_loss(0, 1, 0.5, "x.test") == "x.test did not reply to the one packet within 500 ms"


def test_words() -> None:
    assert status_words(418) == "418 I'm a Teapot"
    assert status_words(599) == "599"
    assert certificate_words(1) == "The certificate expires in 1 day"
    assert certificate_words(0) == "The certificate expires today"
    assert certificate_words(-2) == "The certificate expired 2 days ago"


@pytest.mark.parametrize("expected_status", [["200-299"], ["404"], ["200", "301-302"]])
@pytest.mark.parametrize("degraded_ms", [None, 120, 121])
@pytest.mark.parametrize("warning_days", [0, 14])
def test_the_quick_way_says_up_exactly_when_the_rules_do(
    expected_status: list[str], degraded_ms: int | None, warning_days: int
) -> None:
    fields = {
        "expected_status": expected_status,
        "degraded_ms": degraded_ms,
        "certificate_warning_days": warning_days,
    }
    ordinary = ordinary_of_http(spec(**fields))
    assert ordinary is not None
    for status in (199, 200, 299, 300, 301, 404, 503):
        for latency_ms in (119.999, 120.0, 120.001):
            for certificate in (None, cert(-1), cert(13), cert(14)):
                seen = {"status": status, "latency": latency_ms, "certificate": certificate}
                is_up = judged(fields, seen).outcome == "up"
                assert ordinary.hold(status, latency_ms, certificate) is is_up, seen


@pytest.mark.parametrize(
    "fields",
    [
        {"expected_text": "well"},
        {"forbidden_text": "ill"},
        {"http_version": "2"},
        {"content_guard": True},
        {"assertions": [{"subject": "latency", "operator": "less_than", "value": 5}]},
    ],
)
def test_whoever_wants_more_than_the_ordinary_gets_all_the_rules(fields: dict[str, Any]) -> None:
    assert ordinary_of_http(spec(**fields)) is None
