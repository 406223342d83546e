"""The judge of the fault runs sees each kind of wrong, and only that."""

from dataclasses import replace

import pytest

from tests.faults.judge import BEGIN, END, LATE_MS, Outage, SeenIncident, SeenMessage, Verdict, judge
from tests.faults.kills import Kill, blame, worst

OUTAGE = Outage("shop", 100_000, 130_000)
INCIDENT = SeenIncident(7, "shop", 104_000, 133_000)
DOWN = SeenMessage(BEGIN, "key-1", "shop", 7)
UP = SeenMessage(END, "key-2", "shop", 7)
NOTHING: list[SeenMessage] = []


def found(verdict: Verdict) -> dict[str, int]:
    """How many of each kind, those without any left out."""
    kinds = {
        "lost": verdict.lost,
        "doubled": verdict.doubled,
        "false": verdict.false_alarms,
        "ends": verdict.wrong_ends,
    }
    return {kind: len(sentences) for kind, sentences in kinds.items() if sentences}


@pytest.mark.parametrize(
    ("truth", "incidents", "messages", "expected"),
    [
        ([], [], NOTHING, {}),
        ([OUTAGE], [INCIDENT], [DOWN, UP], {}),
        ([OUTAGE], [INCIDENT], [DOWN, DOWN, UP], {}),  # the same message again under its key
        ([OUTAGE], [], NOTHING, {"lost": 1}),
        ([OUTAGE], [INCIDENT], [DOWN], {"lost": 1}),
        ([OUTAGE], [INCIDENT], NOTHING, {"lost": 2}),
        ([OUTAGE], [INCIDENT], [DOWN, replace(DOWN, key="key-9"), UP], {"doubled": 1}),
        (
            [OUTAGE],
            [INCIDENT, replace(INCIDENT, id=8, opened_ms=134_000, resolved_ms=140_000)],
            [DOWN, UP, replace(DOWN, incident_id=8, key="c"), replace(UP, incident_id=8, key="d")],
            {"doubled": 1},
        ),
        ([], [INCIDENT], [DOWN, UP], {"false": 3}),
        ([OUTAGE], [INCIDENT, replace(INCIDENT, id=8, monitor="other")], [DOWN, UP], {"false": 1}),
        ([OUTAGE], [replace(INCIDENT, opened_ms=98_000)], [DOWN, UP], {"lost": 1, "false": 3}),
        ([OUTAGE], [replace(INCIDENT, opened_ms=99_500)], [DOWN, UP], {}),  # it was asked just before
        ([OUTAGE], [replace(INCIDENT, opened_ms=130_000 + LATE_MS)], [DOWN, UP], {"ends": 0}),
        ([OUTAGE], [replace(INCIDENT, opened_ms=130_001 + LATE_MS)], [DOWN, UP], {"lost": 1, "false": 3}),
        ([OUTAGE], [replace(INCIDENT, resolved_ms=None)], [DOWN, UP], {"ends": 1}),
        ([OUTAGE], [replace(INCIDENT, resolved_ms=128_000)], [DOWN, UP], {"ends": 1}),
        ([OUTAGE], [INCIDENT], [DOWN, UP, replace(DOWN, incident_id=99)], {"false": 1}),
        ([OUTAGE], [INCIDENT], [DOWN, UP, SeenMessage("region.silent", "r", "", None)], {}),
    ],
)
def test_verdicts(
    truth: list[Outage], incidents: list[SeenIncident], messages: list[SeenMessage], expected: dict[str, int]
) -> None:
    verdict = judge(truth, incidents, messages)
    assert found(verdict) == {kind: number for kind, number in expected.items() if number}
    assert verdict.is_clean == (not any(expected.values()))
    assert verdict.outages == len(truth)


def test_two_outages_of_one_monitor_have_an_incident_each() -> None:
    second = Outage("shop", 300_000, 330_000)
    again = replace(INCIDENT, id=8, opened_ms=304_000, resolved_ms=333_000)
    messages = [DOWN, UP, replace(DOWN, incident_id=8, key="c"), replace(UP, incident_id=8, key="d")]
    assert judge([OUTAGE, second], [INCIDENT, again], messages).is_clean
    assert found(judge([OUTAGE, second], [INCIDENT], messages[:2])) == {"lost": 1}


def test_what_is_allowed_is_counted() -> None:
    news = SeenMessage("region.silent", "r", "", None)
    verdict = judge([OUTAGE], [INCIDENT], [DOWN, DOWN, UP, news])
    assert (verdict.repeats, dict(verdict.others)) == (1, {"region.silent": 1})


def test_a_missed_slot_is_laid_at_the_door_of_who_was_away() -> None:
    kills = [Kill("nats", 100_000, 2.0), Kill("scheduler", 104_000, 7.0)]
    assert blame([94_999, 95_000, 102_000, 105_000, 111_000, 111_001], kills) == {
        "nobody": 2, "nats": 1, "scheduler": 3,
    }  # fmt: skip
    assert worst(kills) == {"nats": 2.0, "scheduler": 7.0}
