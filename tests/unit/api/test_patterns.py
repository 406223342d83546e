"""Patterns are refused where they are saved, not when a check is due."""

import pytest

from farwatch_api.commands.specs import parse_spec
from farwatch_api.problems import Invalid


def spec(*patterns: str) -> dict[str, object]:
    wanted = [{"subject": "body", "operator": "matches", "value": pattern} for pattern in patterns]
    return {"type": "http", "name": "x", "url": "https://x.test/", "assertions": wanted}


@pytest.mark.parametrize("pattern", ["(a", "a{5000}", r"(?<=a)b", r"(a)\1", "[z-a]", "(a{1000}){1000}"])
def test_a_pattern_that_re2_does_not_take_is_named_by_its_place(pattern: str) -> None:
    with pytest.raises(Invalid) as refused:
        parse_spec(spec("fine", pattern))
    assert [problem["field"] for problem in refused.value.problems] == ["assertions.1.value"]
    assert refused.value.problems[0]["message"].startswith("is not a pattern that RE2 understands: ")


def test_what_does_not_fit_is_named_by_its_place() -> None:
    with pytest.raises(Invalid) as refused:
        parse_spec({**spec(), "assertions": [{"subject": "packet_loss", "operator": "less_than", "value": 5}]})
    (problem,) = refused.value.problems
    assert problem["field"] == "assertions.0.subject"
    assert problem["message"].startswith("must be one of status, latency")
