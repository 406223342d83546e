"""Writes the golden files that do not exist yet: `python -m tests.unit.events.write_golden`."""

from pathlib import Path

from pydantic import BaseModel

from farwatch_events.events import DomainEvent

GOLDEN = Path(__file__).parents[2] / "golden"
EVENT_FOLDER = GOLDEN / "events"
MESSAGE_FOLDER = GOLDEN / "messages"


def event_file(event: DomainEvent) -> str:
    return f"{event.type}.v{event.version}.json"


def message_file(message: BaseModel) -> str:
    return f"{type(message).__name__}.v1.json"


def main() -> None:
    from tests.unit.events.samples import EVENTS, MESSAGES

    wanted: list[tuple[Path, BaseModel]] = [(EVENT_FOLDER / event_file(event), event) for event in EVENTS]
    wanted += [(MESSAGE_FOLDER / message_file(message), message) for message in MESSAGES]
    for path, model in wanted:
        if not path.exists():
            path.write_text(model.model_dump_json(indent=1) + "\n")


if __name__ == "__main__":
    main()
