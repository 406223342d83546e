"""The monitor specification: what it accepts, what it refuses and how it says so."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from farwatch_events.checks import DueCheck, DueChunk
from farwatch_events.masking import MASK, keep_masked, map_secrets, mask_secrets
from farwatch_events.monitor import MONITOR_TYPES, HttpMonitor, dump_monitor, parse_monitor, read_stored_monitor


def http(**fields: Any) -> dict[str, Any]:
    return {"type": "http", "name": "Shop", "url": "https://shop.example/", **fields}


MINIMAL: dict[str, dict[str, Any]] = {
    "http": http(),
    "ping": {"type": "ping", "name": "p", "host": "192.0.2.1"},
    "port": {"type": "port", "name": "p", "host": "db.example", "port": 5432},
    "dns": {"type": "dns", "name": "d", "host": "example.org"},
    "tls": {"type": "tls", "name": "t", "host": "example.org"},
    "push": {"type": "push", "name": "backup"},
}


@pytest.mark.parametrize("kind", MONITOR_TYPES)
def test_the_smallest_monitor_of_each_type_reads_back_from_its_dump(kind: str) -> None:
    spec = parse_monitor(MINIMAL[kind])
    assert parse_monitor(dump_monitor(spec)) == spec
    assert (spec.interval_seconds, spec.timeout_seconds, spec.retries, spec.enabled) == (60, 10, 1, True)


@pytest.mark.parametrize(
    ("interval", "timeout"), [(60, 10), (13, 10), (12, 9.6), (10, 8), (5, 4)], ids=lambda value: f"{value}"
)
def test_timeout_defaults_to_the_smaller_of_ten_seconds_and_four_fifths_of_the_interval(
    interval: int, timeout: float
) -> None:
    assert parse_monitor(http(interval_seconds=interval)).timeout_seconds == timeout


@pytest.mark.parametrize(
    ("fields", "field", "words"),
    [
        ({"url": "ftp://a/"}, "url", "must start with http:// or https://"),
        ({"url": "file:///etc/passwd"}, "url", "must start with http:// or https://"),
        ({"url": "http://"}, "url", "no host name"),
        ({"url": "http://user:secret@a/"}, "url", "put them in auth"),
        ({"url": "http://a/\r\nHost: b"}, "url", "control characters"),
        ({"url": "http://a:99999/"}, "url", "is not a web address"),
        ({"interval_seconds": 0}, "interval_seconds", "greater than or equal to 5"),
        ({"interval_seconds": 10, "timeout_seconds": 11}, "", "must not exceed interval_seconds"),
        ({"headers": {"X\r\n": "v"}}, "headers", "header name"),
        ({"headers": {"X": "a\r\nY: b"}}, "headers", "line breaks"),
        ({"headers": {"X": "v" * 17_000}}, "headers", "16 KiB"),
        ({"expected_status": ["2xx"]}, "expected_status", "code such as 200"),
        ({"expected_status": ["299-200"]}, "expected_status", "backwards"),
        ({"regions": ["push"]}, "regions", "reserved"),
        ({"regions": ["EU west"]}, "regions", "pattern"),
        ({"auth": {"type": "basic"}}, "auth", "auth.username is needed"),
        ({"colour": "red"}, "colour", "not permitted"),
        ({"retries": 11}, "retries", "less than or equal to 10"),
    ],
)
def test_bad_input_is_named_with_its_mend(fields: dict[str, Any], field: str, words: str) -> None:
    with pytest.raises(ValidationError) as refused:
        parse_monitor(http(**fields))
    problems = [(".".join(str(p) for p in e["loc"][1:2]), e["msg"]) for e in refused.value.errors()]
    assert any(where == field and words in message for where, message in problems), problems


def test_a_timeout_of_ten_seconds_survives_the_way_to_the_prober() -> None:
    spec = parse_monitor(http(interval_seconds=10, timeout_seconds=10))
    chunk = DueChunk(
        region="eu", epoch=1, tick_ms=0, checks=[DueCheck(monitor_id=1, config_version=1, slot_ms=0, spec=spec)]
    )
    assert DueChunk.from_bytes(chunk.to_bytes()) == chunk


def test_a_stored_monitor_of_a_newer_version_is_read_without_the_fields_of_tomorrow() -> None:
    stored = {**dump_monitor(parse_monitor(http())), "quantum_entangled": True}
    assert read_stored_monitor(stored) == parse_monitor(http())
    with pytest.raises(ValidationError):
        parse_monitor(stored)
    with pytest.raises(ValidationError):
        read_stored_monitor({"type": "teleport", "name": "x"})


def test_status_ranges() -> None:
    spec = parse_monitor(http(expected_status=[200, "301-302"]))
    assert isinstance(spec, HttpMonitor)
    assert spec.expected_status == ["200", "301-302"]


def test_max_check_seconds_is_bounded_by_interval_plus_timeout() -> None:
    assert parse_monitor(http(retries=1)).max_check_seconds == 10 * 2 + 2
    assert parse_monitor(http(retries=10, retry_interval_seconds=30)).max_check_seconds == 70


def test_secrets_are_masked_and_a_mask_written_back_keeps_them() -> None:
    stored = dump_monitor(
        parse_monitor(
            http(
                headers={"Authorization": "Bearer s3cret", "Accept": "*/*"},
                auth={"type": "basic", "username": "u", "password": "s3cret"},
            )
        )
    )
    shown = mask_secrets(stored)
    assert "s3cret" not in str(shown)
    assert shown["headers"] == {"Authorization": MASK, "Accept": "*/*"}
    assert keep_masked(shown, stored) == stored


def test_a_mask_with_nothing_behind_it_stays_for_the_caller_to_refuse() -> None:
    assert keep_masked({"headers": {"X-Token": MASK}}, {"headers": {}}) == {"headers": {"X-Token": MASK}}


@given(secret=st.text(min_size=1, max_size=2000).filter(lambda s: not set(s) & set("\r\n\0") and s.strip() == s))
def test_encrypted_secrets_never_break_validation(secret: str) -> None:
    spec = parse_monitor(http(auth={"type": "bearer", "token": secret}))
    encrypted = map_secrets(dump_monitor(spec), lambda s: "enc:v1:" + s.encode().hex() * 3)
    again = map_secrets(
        dump_monitor(parse_monitor(encrypted)), lambda s: bytes.fromhex(s[7 : 7 + (len(s) - 7) // 3]).decode()
    )
    assert parse_monitor(again) == spec
