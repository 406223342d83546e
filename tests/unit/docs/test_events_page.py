"""docs/events.md tells of every event type and every field, and of nothing that is gone."""

import re
from pathlib import Path

from farwatch_events import subjects
from farwatch_events.events import EVENT_TYPES

PAGE = (Path(__file__).parents[3] / "docs" / "events.md").read_text()
ROWS = {
    match[1]: set(re.findall(r"`([a-z_]+)`", match[2]))
    for match in re.finditer(r"^\| `((?!live)[a-z]+\.[a-z_]+)` \| ([^|]*) \| [^|]+ \|$", PAGE, re.MULTILINE)
}


def test_every_event_type_has_a_row_that_names_its_fields() -> None:
    assert {name: set(model.model_fields) - {"at_ms"} for name, model in EVENT_TYPES.items()} == ROWS


def test_every_command_and_live_subject_is_named() -> None:
    commands = [value for name, value in vars(subjects).items() if name.endswith("_COMMAND")]
    assert len(commands) >= 6
    for subject in commands:
        assert f"`{subject}`" in PAGE
