"""Words, packed heartbeat bars and generated form fields."""

from datetime import UTC, datetime
from typing import Any

import pytest

from farwatch_api.presentation.beats import BEATS, Beat, combine, pack
from farwatch_api.presentation.fields import channel_fields
from farwatch_api.presentation.words import interval, latency, percent, target, why
from farwatch_events.channels import CHANNEL_TYPES


def result(
    second: int, outcome: str = "up", latency_ms: float | None = 10.0, error: str | None = None
) -> dict[str, Any]:
    slot = datetime(2026, 1, 1, 0, 0, second, tzinfo=UTC)
    return {"slot": slot, "outcome": outcome, "latency_ms": latency_ms, "error": error}


@pytest.mark.parametrize(
    ("value", "words"),
    [(None, "–"), (100.0, "100%"), (99.9999, "99.999%"), (99.987, "99.99%"), (97.12, "97.1%"), (0.0, "0%")],
)
def test_only_a_full_hundred_reads_as_100_percent(value: float | None, words: str) -> None:
    assert percent(value) == words


def test_99_999_is_never_rounded_up_to_100() -> None:
    assert all(percent(100 - 10.0**-n) != "100%" for n in range(1, 9))


@pytest.mark.parametrize(("ms", "words"), [(None, "–"), (0.42, "0.4 ms"), (143.4, "143 ms"), (2410.0, "2.41 s")])
def test_latency_has_the_unit_that_reads_best(ms: float | None, words: str) -> None:
    assert latency(ms) == words


def test_intervals_use_the_largest_whole_unit() -> None:
    assert [interval(s) for s in (5, 60, 90, 3600, 86400)] == [
        "every 5 s",
        "every 1 min",
        "every 90 s",
        "every 1 h",
        "every 1 d",
    ]


@pytest.mark.parametrize(
    ("spec", "words"),
    [
        ({"type": "http", "url": "https://example.com/"}, "example.com"),
        ({"type": "http", "url": "http://example.com/a"}, "http://example.com/a"),
        ({"type": "port", "host": "::1", "port": 22}, "[::1]:22"),
        ({"type": "dns", "host": "example.com", "record_type": "MX"}, "example.com MX"),
        ({"type": "ping", "host": "10.0.0.7"}, "10.0.0.7"),
    ],
)
def test_a_target_is_short_and_unambiguous(spec: dict[str, Any], words: str) -> None:
    assert target(spec) == words


def test_a_reason_beside_its_state_does_not_repeat_it() -> None:
    assert why("Down: eu failed 2 of 2 tries") == "eu failed 2 of 2 tries"
    assert why("Connection refused: by us") == "Connection refused: by us"


@pytest.mark.parametrize(
    ("outcomes", "combined"),
    [
        (["down", "down"], "down"),
        (["down", "up"], "degraded"),
        (["down", "down", "up"], "down"),
        (["down", "unknown"], "down"),
        (["unknown", "unknown"], "unknown"),
        (["degraded", "up"], "degraded"),
        (["up", "unknown"], "up"),
    ],
)
def test_a_slot_is_what_most_regions_saw(outcomes: list[str], combined: str) -> None:
    regions = {f"r{index}": [result(0, outcome)] for index, outcome in enumerate(outcomes)}
    assert [beat.outcome for beat in combine(regions)] == [combined]


def test_the_region_is_named_where_there_are_several() -> None:
    beats = combine({"eu": [result(0, "down", error="refused")], "us": [result(0)]})
    assert beats[0].reason == "eu: refused"
    assert combine({"eu": [result(0, "down", error="refused")]})[0].reason == "refused"


def test_slots_inside_a_window_are_maintenance() -> None:
    window = (datetime(2026, 1, 1, 0, 0, 5, tzinfo=UTC), datetime(2026, 1, 1, 0, 0, 10, tzinfo=UTC))
    beats = combine({"eu": [result(0), result(5, "down"), result(10)]}, [window])
    assert [beat.outcome for beat in beats] == ["up", "maintenance", "up"]


def test_a_bar_is_packed_into_few_bytes() -> None:
    bar = pack([Beat(0, "up", 12.4, None), Beat(5000, "down", None, "refused"), Beat(10_000, "down", None, "refused")])
    assert (bar.packed, bar.newest_ms, bar.reasons) == ("u,,12 d,5,,0 d,5,,0", 10_000, ["refused"])
    assert bar.summary == "Last 3 checks: 1 up, 2 down."
    full = pack([Beat(60_000 * n, "up", 123.0, None) for n in range(BEATS)])
    assert len(full.packed) < 10 * BEATS


def test_an_empty_bar_says_so() -> None:
    assert pack(combine({})).summary == "No checks yet."


@pytest.mark.parametrize("channel_type", CHANNEL_TYPES)
def test_every_channel_type_has_a_form(channel_type: str) -> None:
    fields = channel_fields(channel_type, {})
    assert fields
    assert all(field.kind in ("text", "number", "pairs", "choice") for field in fields)
    assert all(field.choices for field in fields if field.kind == "choice")
    assert any(field.required for field in fields)
