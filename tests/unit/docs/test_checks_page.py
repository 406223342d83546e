"""docs/checks.md tells of every type, field, subject and operator, and its examples are monitors."""

import json
import re
from pathlib import Path
from typing import get_args

import pytest

from farwatch_events.assertions import Operator
from farwatch_events.monitor import MONITOR_TYPES, MonitorBase, fields_of, parse_monitor

PAGE = (Path(__file__).parents[3] / "docs" / "checks.md").read_text()
SECTIONS = dict(re.findall(r"^## ([^\n]+)\n(.*?)(?=^## |\Z)", PAGE, re.MULTILINE | re.DOTALL))


@pytest.mark.parametrize("kind", MONITOR_TYPES)
def test_each_type_has_its_fields_and_an_example(kind: str) -> None:
    section = SECTIONS[kind]
    own = set(fields_of(kind)) - set(MonitorBase.model_fields) - {"type"}
    assert {name for name in own if f"`{name}`" not in section} == set()
    (example,) = re.findall(r"```json\n(.*?)```", section, re.DOTALL)
    assert parse_monitor(json.loads(example)).type == kind


def test_fields_of_all_types_subjects_and_operators() -> None:
    common = SECTIONS["Fields of all types"]
    assert {name for name in MonitorBase.model_fields if f"`{name}`" not in common} == set()
    subjects = {subject for model in MONITOR_TYPES.values() for subject in model.subjects}
    words = {*subjects, *get_args(Operator)}
    assert {word for word in words if f"`{word}`" not in SECTIONS["Assertions"]} == set()
