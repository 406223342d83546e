"""What was once written must be read for ever: each golden file is one version of one message, byte for byte.

A new type or version: add a sample and write its file with `python -m tests.unit.events.write_golden`, which never
overwrites one that exists. A changed file is a broken promise, not a test to update.
"""

import json

import pytest
from pydantic import BaseModel

from farwatch_events.events import EVENT_TYPES, DomainEvent, EventMeta, RecordedEvent
from tests.unit.events.samples import EVENTS, MESSAGES
from tests.unit.events.write_golden import EVENT_FOLDER, MESSAGE_FOLDER, event_file, message_file


@pytest.mark.parametrize("event", EVENTS, ids=lambda event: event.type)
def test_stored_event_reads_back_as_the_sample(event: DomainEvent) -> None:
    stored = json.loads((EVENT_FOLDER / event_file(event)).read_text())
    assert EVENT_TYPES[event.type].model_validate(stored) == event
    assert event.model_dump(mode="json") == stored


@pytest.mark.parametrize("message", MESSAGES, ids=lambda message: type(message).__name__)
def test_message_reads_back_as_the_sample(message: BaseModel) -> None:
    stored = (MESSAGE_FOLDER / message_file(message)).read_text()
    assert type(message).model_validate_json(stored) == message
    assert message.model_dump(mode="json") == json.loads(stored)


def test_every_event_type_has_a_sample_that_sets_every_field() -> None:
    assert {event.type for event in EVENTS} == set(EVENT_TYPES)
    for event in EVENTS:
        unset = {name for name in type(event).model_fields if name not in event.model_fields_set}
        assert not unset, f"{event.type}: the sample leaves {unset} at the default"


def test_every_golden_file_of_a_present_version_is_still_read() -> None:
    for file in EVENT_FOLDER.glob("*.json"):
        event_type, _, version = file.stem.rpartition(".v")
        if event_type in EVENT_TYPES and int(version) <= EVENT_TYPES[event_type].version:
            EVENT_TYPES[event_type].model_validate_json(file.read_text())
        else:
            raise AssertionError(f"{file.name} is of a type that nobody reads any more")


def test_envelope_names_the_stream_and_gives_back_the_typed_event() -> None:
    for event in EVENTS:
        recorded = RecordedEvent(
            position=1,
            id="018bcfe5-6800-7740-83d5-704087db6a9f",
            stream=event.stream,
            stream_version=1,
            type=event.type,
            version=event.version,
            data=event.model_dump(mode="json"),
            meta=EventMeta(actor="incidents"),
            recorded_at_ms=event.at_ms,
        )
        assert RecordedEvent.from_bytes(recorded.to_bytes()).event() == event


def test_an_event_type_of_the_future_is_none_not_an_error() -> None:
    recorded = RecordedEvent(
        position=1,
        id="x",
        stream="monitor-1",
        stream_version=1,
        type="monitor.teleported",
        version=1,
        data={"at_ms": 1},
        meta=EventMeta(actor="user:1"),
        recorded_at_ms=1,
    )
    assert recorded.event() is None
