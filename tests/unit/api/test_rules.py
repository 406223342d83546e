"""The pure parts: throttle, cursors, problems, gate decisions, durations."""

import contextlib
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from farwatch_api import access, views
from farwatch_api.auth import throttle
from farwatch_api.auth.passwords import password_problem
from farwatch_api.auth.throttle import Attempts
from farwatch_api.auth.tokens import bearer_of, digest, new_token
from farwatch_api.bodies import parse_object
from farwatch_api.errors import ApiError
from farwatch_api.presentation.snippets import snippets
from farwatch_api.problems import Invalid, explain, field_path, unfit_value
from farwatch_api.push import push_result
from farwatch_api.queries.cursors import decode_cursor, encode_cursor
from farwatch_api.queries.monitors import contains_pattern
from farwatch_api.routes.auth import local_target
from farwatch_api.routes.push import Call, call_of, parse_ping
from farwatch_events.results import PushCall

NOW = 1_800_000_000.0


class TestThrottle:
    def run(self, times: list[float], free: int = 5) -> list[float]:
        """The wait after each attempt."""
        attempts: Attempts | None = None
        waits = []
        for now in times:
            attempts = throttle.after_attempt(attempts, free, now)
            waits.append(throttle.wait_seconds(attempts, now))
        return waits

    def test_the_first_attempts_are_free_then_each_doubles_the_wait(self) -> None:
        assert self.run([NOW] * 8) == [0, 0, 0, 0, 15, 30, 60, 120]

    def test_the_wait_has_an_end(self) -> None:
        assert self.run([NOW] * 300)[-1] == throttle.LONGEST_WAIT_SECONDS

    def test_quiet_for_the_window_forgets(self) -> None:
        assert self.run([NOW, NOW, NOW + 16 * 60]) == [0, 0, 0]
        blocked = Attempts(9, NOW - 3600, NOW - 1)
        assert throttle.after_attempt(blocked, 5, NOW).failures == 10
        assert throttle.after_attempt(blocked, 5, NOW + 16 * 60).failures == 1

    @pytest.mark.parametrize(
        ("address", "key"),
        [
            ("192.0.2.7", "address:192.0.2.7"),
            ("::ffff:192.0.2.7", "address:192.0.2.7"),
            ("2001:db8:1:2:3:4:5:6", "address:2001:db8:1:2::/64"),
            ("fe80::1%eth0", "address:fe80::/64"),
            ("nonsense", "address:nonsense"),
        ],
    )
    def test_one_household_is_one_address(self, address: str, key: str) -> None:
        assert throttle.address_key(address) == key


class TestCursor:
    @given(st.integers(-(2**63) + 1, 2**63 - 1), st.text(max_size=60).filter(str.isprintable))
    def test_comes_back_as_it_was(self, number: int, text: str) -> None:
        assert decode_cursor("list", encode_cursor("list", (number, text)), (int, str)) == [number, text]

    def test_none_begins(self) -> None:
        assert decode_cursor("list", None, (int,)) is None
        assert decode_cursor("list", "", (int,)) is None

    @given(st.text(max_size=200))
    def test_anything_else_is_invalid_and_never_an_error(self, text: str) -> None:
        if text:
            with pytest.raises(Invalid):
                decode_cursor("list", text, (int, str))

    @pytest.mark.parametrize("values", [[True], [1.5], ["1"], [2**64], [None], [[1]], [1, 2]])
    def test_wrong_types_are_invalid(self, values: list[Any]) -> None:
        with pytest.raises(Invalid):
            decode_cursor("list", encode_cursor("list", values), (int,))
        with pytest.raises(Invalid):
            decode_cursor("list", encode_cursor("other", [1]), (int,))


class TestProblems:
    @pytest.mark.parametrize(
        ("location", "field"),
        [
            (("http", "interval_seconds"), "interval_seconds"),
            (("body", "http", "headers", "X-Api-Key"), "headers.X-Api-Key"),
            (("headers", "X A", "[key]"), "headers.X A"),
            (("query", "limit"), "limit"),
            (("body",), "body"),
            ((), ""),
        ],
    )
    def test_fields_are_named_as_people_wrote_them(self, location: tuple[str, ...], field: str) -> None:
        assert field_path(location) == field

    def test_a_misspelt_field_gets_a_suggestion(self) -> None:
        error = {"type": "extra_forbidden", "loc": ("http", "intervall"), "msg": "no"}
        (found,) = explain([error], ["interval_seconds", "interval", "name"])
        assert found == {"field": "intervall", "message": "is not a known field: did you mean interval?"}

    def test_checks_of_the_whole_name_the_field_they_speak_of(self) -> None:
        text = "Value error, timeout_seconds (20) must not exceed interval_seconds (10)"
        assert explain([{"type": "value_error", "loc": ("http",), "msg": text}])[0]["field"] == "timeout_seconds"
        text = "Value error, header 'X-A' must not contain line breaks or NUL"
        assert explain([{"type": "value_error", "loc": ("headers",), "msg": text}])[0]["field"] == "headers.X-A"

    @pytest.mark.parametrize("value", ["a\0", {"x": ["\ud800"]}, {"a\0": 1}, 2**63, [1e308], -(2**80), {"x": 1e400}])
    def test_unfit_values_are_found_anywhere(self, value: Any) -> None:
        assert unfit_value(value) is not None

    @pytest.mark.parametrize("value", ["ä 🦊", 2**63 - 1, True, None, 1.5, {"x": [1, "y"]}])
    def test_fit_values_pass(self, value: Any) -> None:
        assert unfit_value(value) is None

    @given(st.binary(max_size=300))
    def test_any_body_is_an_object_or_refused(self, body: bytes) -> None:
        with contextlib.suppress(ApiError, Invalid):
            assert isinstance(parse_object(body), dict)

    @given(st.recursive(st.none() | st.text() | st.integers() | st.floats(), lambda x: st.dictionaries(st.text(), x)))
    def test_any_json_is_an_object_or_refused(self, value: Any) -> None:
        with contextlib.suppress(ApiError, Invalid):
            assert isinstance(parse_object(json.dumps(value).encode()), dict)


class TestGate:
    @pytest.mark.parametrize(
        "path",
        ["/healthz", "/push/abc", "/push/abc/start", "/push/abc/137", "/sign-in", "/setup", "/static/css/base.css"],
    )
    def test_public(self, path: str) -> None:
        assert access.is_public(path)

    @pytest.mark.parametrize(
        "path",
        [
            "/",
            "/api/status",
            "/push/a/b",
            "/push/a/1000",
            "/push/a/start/x",
            "/push/",
            "/sign-in/x",
            "/staticx",
            "/healthz/x",
            "/api/docs",
            "/sites",
        ],
    )
    def test_closed(self, path: str) -> None:
        assert not access.is_public(path)

    @pytest.mark.parametrize(
        ("origin", "site", "foreign"),
        [
            (None, None, False),
            ("https://own.test", None, False),
            ("https://own.test", "same-origin", False),
            (None, "none", False),
            ("https://evil.test", None, True),
            ("https://own.test.evil.test", None, True),
            ("null", None, True),
            ("", None, True),
            ("https://own.test", "cross-site", True),
            ("https://own.test", "same-site", True),
        ],
    )
    def test_writes_from_other_sites(self, origin: str | None, site: str | None, foreign: bool) -> None:
        assert access.is_foreign(origin, site, {"own.test", ""}) is foreign

    @pytest.mark.parametrize(
        ("target", "expected"),
        [
            ("/incidents?x=1#y", "/incidents?x=1#y"),
            ("//evil.test", "/"),
            ("/\\evil.test", "/"),
            ("https://evil.test/", "/"),
            ("javascript:alert(1)", "/"),
            ("/a\r\nSet-Cookie: x", "/"),
            ("/a\\b", "/"),
            ("", "/"),
        ],
    )
    def test_after_sign_in_only_our_own_pages(self, target: str, expected: str) -> None:
        assert local_target(target) == expected

    @pytest.mark.parametrize(
        ("header", "token"),
        [("Bearer abc", "abc"), ("bearer  abc ", "abc"), ("Basic abc", None), ("Bearer", None), ("", None)],
    )
    def test_bearer(self, header: str, token: str | None) -> None:
        assert bearer_of(header) == token

    def test_tokens_differ_and_are_hashed(self) -> None:
        first, second = new_token(), new_token()
        assert first != second
        assert len(first) > 40
        assert digest(first) != digest(second)
        assert len(digest(first)) == 32


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0, "0s"), (45, "45s"), (60, "1m"), (61, "1m 1s"), (9000, "2h 30m"), (7203, "2h"), (277_200, "3d 5h")],
)
def test_durations(seconds: int, text: str) -> None:
    assert views.duration(seconds) == text


@pytest.mark.parametrize(
    ("password", "fine"),
    [
        ("correct horse", True),
        ("short", False),
        ("aaaaaaaaaaaa", False),
        ("you@example.com", False),
        ("x1" * 600, False),
    ],
)
def test_passwords(password: str, fine: bool) -> None:
    assert (password_problem(password, "you@example.com") is None) is fine


def test_search_text_is_taken_literally() -> None:
    assert contains_pattern("50%_\\") == "%50\\%\\_\\\\%"


def test_a_push_that_is_not_up_is_the_job_saying_it_failed() -> None:
    up = push_result(7, 2, 1000, "up", "all fine", 12.0)
    assert (up.outcome, up.error, up.latency_ms, up.slot_ms, up.config_version) == ("up", None, 12.0, 1000, 2)
    down = push_result(7, 2, 1000, "error", "x" * 9999, None)
    assert (down.outcome, down.error) == ("down", "x" * 500)
    assert push_result(7, 2, 1000, "down", "", None).error
    assert push_result(7, 2, 1000, "up", "", None, exit_code=0).ok
    ended = push_result(7, 2, 1000, "up", "", None, exit_code=3)
    assert (ended.outcome, ended.error) == ("down", "The job ended with exit code 3")
    started = push_result(7, 2, 1000, "up", "begun", None, signal="start", run_id="a")
    assert (started.ok, started.push) == (True, PushCall(signal="start", run_id="a", message="begun"))


@pytest.mark.parametrize(
    ("signal", "call"),
    [
        ("start", Call("up", "m", None, "r", signal="start")),
        ("success", Call("up", "m", 5.0, "r")),
        ("fail", Call("down", "m", 5.0, "r")),
        ("0", Call("up", "m", 5.0, "r", exit_code=0)),
        ("255", Call("up", "m", 5.0, "r", exit_code=255)),
    ],
)
def test_what_the_end_of_a_push_address_says(signal: str, call: Call) -> None:
    assert call_of(signal, "m", 5.0, "r") == call


@pytest.mark.parametrize("signal", ["256", "-1", "1.5", "begin", "", "¹"])
def test_what_is_no_signal_is_refused(signal: str) -> None:
    with pytest.raises(Invalid):
        call_of(signal, "", None, None)


@pytest.mark.parametrize(
    ("fields", "schedule"),
    [
        ({"cron": "15 3 * * 1-5", "interval_seconds": 86400}, "15 3 * * 1-5"),
        ({"cron": None, "interval_seconds": 300}, "*/5 * * * *"),
        ({"cron": None, "interval_seconds": 5}, "*/1 * * * *"),
        ({"cron": None, "interval_seconds": 7200}, "0 */2 * * *"),
        ({"cron": None, "interval_seconds": 86400}, "0 3 * * *"),
    ],
)
def test_snippets_are_complete(fields: dict[str, Any], schedule: str) -> None:
    found = dict(snippets({"push_url": "https://w.test/push/tok", **fields}))
    assert all("https://w.test/push/tok" in text for text in found.values())
    assert found["In a crontab"].startswith(f"{schedule} /path/to/job; ")
    compile(found["In Python"], "snippet", "exec")
    assert "%" not in found["In a crontab"], "cron ends the line there"


@pytest.mark.parametrize("text", ["fast", "-1", "nan", "inf", "1e12"])
def test_odd_pings_are_refused(text: str) -> None:
    with pytest.raises(Invalid):
        parse_ping(text)


def test_pings() -> None:
    assert parse_ping("") is None
    assert parse_ping("12.5") == 12.5
