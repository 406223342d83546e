"""Every option of every check type is on the form, and nothing it offers is made up."""

import json
from html.parser import HTMLParser
from typing import Any, get_args

import pytest
from jinja2 import Environment

from farwatch_api.presentation.expectations import OPERATOR_WORDS, SUBJECT_WORDS, explained
from farwatch_api.presentation.monitor_fields import (
    assertion_choices,
    assertion_row,
    choices,
    form_values,
    touched,
)
from farwatch_api.presentation.words import FILTERS
from farwatch_api.web import template_environment
from farwatch_events.assertions import Operator
from farwatch_events.masking import MASK
from farwatch_events.monitor import MONITOR_TYPES, Auth, fields_of

NO_FIELD: dict[str, str] = {}
"""Fields that people cannot reach by the form, each with its reason."""
OF_PROBERS = {"timeout_seconds", "retries", "retry_interval_seconds", "regions", "degraded_ms"}
"""Fields of all types that mean nothing to one that nobody checks."""
VOID = frozenset({"area", "br", "col", "embed", "hr", "img", "input", "link", "meta", "path", "rect", "circle"})


class Form(HTMLParser):
    """The controls that are sent, with the check types that have them: None for all."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.types: list[set[str] | None] = [None]
        self.controls: dict[str, list[set[str] | None]] = {}
        self.values: dict[str, str] = {}
        self.open_sections: list[str] = []
        self.attributes: list[dict[str, str | None]] = []
        self.ids: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        self.attributes.append(given)
        if given.get("id"):
            self.ids.append(str(given["id"]))
        mine = given.get("data-for")
        types = self._within(set(mine.split())) if mine else self.types[-1]
        name = "assertions" if "data-assertions" in given else given.get("name")
        if name and ("data-kind" in given or name == "assertions"):
            self.controls.setdefault(name, []).append(types)
            self.values[name] = str(given.get("value"))
        if tag not in VOID:
            self.types.append(types)

    def handle_endtag(self, tag: str) -> None:
        if tag not in VOID:
            self.types.pop()

    def _within(self, types: set[str]) -> set[str]:
        around = self.types[-1]
        return types if around is None else types & around

    def has(self, field: str, kind: str) -> bool:
        return any(types is None or kind in types for types in self.controls.get(field, []))


@pytest.fixture(scope="module")
def environment() -> Environment:
    made = template_environment()
    made.filters.update(FILTERS)
    return made


@pytest.fixture
def render(environment: Environment) -> Any:
    def render(spec: dict[str, Any], monitor_id: int | None = None) -> Form:
        others = [{"id": 7, "name": "Router"}]
        around = {"channels": [{"id": 1, "name": "Ops"}], "regions": ["eu"], "parents": others}
        values = form_values(spec) | around | {"monitor_id": monitor_id, "clone": None}
        return Form(environment.get_template("monitors/_form_fields.html").render(values))

    return render


@pytest.mark.parametrize("kind", MONITOR_TYPES)
def test_every_field_of_the_type_has_a_control(kind: str, render: Any) -> None:
    form = render({"type": kind})
    wanted = set(fields_of(kind)) - set(NO_FIELD)
    wanted -= OF_PROBERS if kind == "push" else set()
    names = {name.partition(".")[0] for name in form.controls if form.has(name, kind)}
    assert wanted - names == set(), "fields of the model that the form does not have"
    assert names - set(fields_of(kind)) == set(), "fields of the form that the type does not take"


def test_every_way_to_sign_in_has_its_fields(render: Any) -> None:
    names = set(render({"type": "http"}).controls)
    assert {f"auth.{name}" for name in Auth.model_fields} <= names


def test_no_exception_is_listed_for_a_field_that_is_gone() -> None:
    assert set(NO_FIELD) <= {name for kind in MONITOR_TYPES for name in fields_of(kind)}


def test_ids_are_there_once(render: Any) -> None:
    ids = render({"type": "http"}).ids
    assert sorted(set(ids)) == sorted(ids)


def test_the_assertion_editor_offers_what_the_models_take_in_words() -> None:
    offered = assertion_choices()
    assert {kind: [each["word"] for each in rows] for kind, rows in offered["subjects"].items()} == {
        kind: [SUBJECT_WORDS[subject] for subject in model.subjects]
        for kind, model in MONITOR_TYPES.items()
        if model.subjects
    }
    assert set(offered["operator_words"]) == set(get_args(Operator)) == set(OPERATOR_WORDS)
    assert all(operators for operators in offered["operators"].values())
    keyed = {each["value"]: each["key"] for each in offered["subjects"]["http"] if each["key"]}
    assert keyed == {"header": "name", "body.json": "path"}


@pytest.mark.parametrize(
    ("subject", "value", "row"),
    [
        ("header.x-cache", "HIT", ("header", "x-cache", "HIT")),
        ("body.json.items[0].id", 1, ("body.json", "items[0].id", "1")),
        ("body.json[0]", True, ("body.json", "[0]", "true")),
        ("body.json", None, ("body.json", "", "")),
        ("status", [200, "204"], ("status", "", "200, 204")),
        ("latency.dns", 5.5, ("latency.dns", "", "5.5")),
    ],
)
def test_an_assertion_becomes_a_row_that_keeps_its_value(subject: str, value: Any, row: tuple[str, str, str]) -> None:
    made = assertion_row({"subject": subject, "operator": "equals", "value": value, "severity": "down"})
    assert (made["subject"], made["key"], made["value"]) == row
    assert made["given"] == value


def test_choices_are_those_of_the_model() -> None:
    assert [value for value, _ in choices("record_type")][:3] == ["A", "AAAA", "CNAME"]
    assert choices("starttls", "None")[0] == ("", "None")
    assert [value for value, _ in choices("auth.type")] == ["basic", "digest", "bearer"]


def test_secrets_never_reach_the_page(render: Any) -> None:
    spec = {"type": "http", "auth": {"type": "basic", "username": "me", "password": MASK}, "client_key": MASK}
    kept = render(spec, 3)
    states = {each["name"]: each["data-state"] for each in kept.attributes if each.get("data-kind") == "secret"}
    assert states == {"auth.password": "kept", "auth.token": "new", "client_key": "kept", "proxy_password": "new"}
    assert MASK not in kept.values.values()


def test_a_section_is_open_when_one_of_its_fields_is_set() -> None:
    spec = {**form_values({"type": "http", "interval_seconds": 5, "timeout_seconds": 4.0, "proxy": None})["spec"]}
    assert not touched(spec, ["proxy", "timeout_seconds", "max_redirects", "auth", "resolver"])
    assert touched({**spec, "max_redirects": 0}, ["max_redirects"])
    assert touched({**spec, "timeout_seconds": 3}, ["timeout_seconds"])


def test_stored_assertions_are_rows(render: Any) -> None:
    assertion = {"subject": "header.x", "operator": "one_of", "value": ["a", "b"], "severity": "degraded"}
    form = render({"type": "http", "assertions": [assertion]})
    rows = [each for each in form.attributes if "data-given" in each]
    assert [json.loads(str(row["data-given"])) for row in rows] == [["a", "b"]]


@pytest.mark.parametrize(
    ("subject", "operator", "expected", "seen", "sentences"),
    [
        ("status", "one_of", "200, 204", "503", ("Status code is one of 200, 204", "503")),
        ("header.x-cache", "equals", "HIT", None, ("Header x-cache is HIT", "nothing")),
        ("body.json.queue", "exists", "false", "3", ("JSON value queue does not exist", "3")),
        ("latency.dns", "less_than", "800", "1200.5", ("Name lookup time is under 800 ms", "1200.5 ms")),
        ("body", "contains", "ok", "", ("Text of the answer contains ok", "an empty text")),
    ],
)
def test_what_was_expected_and_seen_in_words(
    subject: str, operator: str, expected: str, seen: str | None, sentences: tuple[str, str]
) -> None:
    told = explained({"subject": subject, "operator": operator, "expected": expected, "seen": seen, "ok": True})
    assert (told["sentence"], told["seen_words"]) == sentences
