"""docs/configuration.md tells of every setting, of nothing that is gone, and of the defaults that really hold."""

import importlib
import re
from pathlib import Path

import pytest

from farwatch_runtime.known import KNOWN
from farwatch_runtime.settings import ServiceSettings, variable_of

PAGE = (Path(__file__).parents[3] / "docs" / "configuration.md").read_text()
ROWS = [
    (set(re.findall(r"`(FARWATCH_[A-Z_]+)`", match[1])), match[2])
    for match in re.finditer(r"^\| ((?:`FARWATCH_[A-Z_]+`(?:, )?)+) \| ([^|]*) \|", PAGE, re.MULTILINE)
]
MODELS = {
    "farwatch_cli.settings": "UpSettings",
    "farwatch_api.settings": "ApiSettings",
    "farwatch_incidents.settings": "IncidentsSettings",
    "farwatch_notifier.settings": "NotifierSettings",
    "farwatch_prober.settings": "ProberSettings",
    "farwatch_scheduler.settings": "SchedulerSettings",
}
COMMAND_ONLY = {"FARWATCH_URL"}


def model(module: str) -> type[ServiceSettings]:
    found: type[ServiceSettings] = getattr(importlib.import_module(module), MODELS[module])
    return found


def test_every_setting_has_a_row() -> None:
    assert set().union(*(names for names, _ in ROWS)) == set(KNOWN)


def test_the_models_and_the_list_agree() -> None:
    fields = {variable_of(field) for module in MODELS for field in model(module).model_fields}
    assert fields | COMMAND_ONLY == set(KNOWN)


@pytest.mark.parametrize("module", MODELS)
def test_defaults_are_as_documented(module: str) -> None:
    documented = {variable: default for variables, default in ROWS for variable in variables}
    for field, info in model(module).model_fields.items():
        if isinstance(info.default, int) and not isinstance(info.default, bool):
            assert documented[variable_of(field)] == f"`{info.default}`", field
