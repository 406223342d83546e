"""What is worked out from a specification lives exactly as long as it."""

import gc

import pytest

from farwatch_events.monitor import MonitorSpec, parse_monitor
from farwatch_prober.perspec import PerSpec


def a_spec(name: str) -> MonitorSpec:
    return parse_monitor({"type": "ping", "host": "127.0.0.1", "name": name})


def test_it_is_made_once_for_each_specification() -> None:
    asked: list[str] = []

    def name_of(spec: MonitorSpec) -> str:
        asked.append(spec.name)
        return spec.name

    names = PerSpec(name_of)
    one, other, equal = a_spec("one"), a_spec("other"), a_spec("one")
    assert [names(spec) for spec in (one, other, one, equal, other)] == ["one", "other", "one", "one", "other"]
    assert asked == ["one", "other", "one"]


def test_it_goes_with_the_specification() -> None:
    names: PerSpec[MonitorSpec, str] = PerSpec(lambda spec: spec.name)
    for number in range(100):
        assert names(a_spec(f"shop {number}")) == f"shop {number}"
    gc.collect()
    assert not names._known


def test_a_failure_is_not_kept() -> None:
    answers = iter((ValueError("no"), "yes"))

    def make(_: MonitorSpec) -> str:
        answer = next(answers)
        if isinstance(answer, ValueError):
            raise answer
        return str(answer)

    made, spec = PerSpec(make), a_spec("one")
    with pytest.raises(ValueError, match="no"):
        made(spec)
    assert made(spec) == "yes"
