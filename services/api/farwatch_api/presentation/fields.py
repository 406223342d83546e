"""Form fields from a channel type's own model, so that a new type needs no template. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from farwatch_events.channels import channel_schema

_WORDS = {"starttls": "STARTTLS", "tls": "TLS", "none": "None"}


@dataclass(frozen=True, slots=True)
class FormField:
    """`kind` says how the page's script reads it back: text, number, pairs or choice. `multiline` asks for an area."""

    name: str
    title: str
    hint: str
    kind: str
    value: Any
    required: bool
    secret: bool
    choices: list[tuple[str, str]]
    multiline: bool = False


def channel_fields(channel_type: str, config: Mapping[str, Any]) -> list[FormField]:
    schema = channel_schema(channel_type)
    required = set(schema.get("required", []))
    return [
        _field(name, field, config.get(name, field.get("default")), required=name in required)
        for name, field in schema["properties"].items()
    ]


def _field(name: str, field: Mapping[str, Any], value: Any, *, required: bool) -> FormField:
    choices = [(choice, _WORDS.get(choice, choice)) for choice in field.get("enum", [])]
    kind = "choice" if choices else _kind(field)
    if kind == "pairs":
        value = "\n".join(f"{key}: {text}" for key, text in (value or {}).items())
    elif isinstance(value, list):
        value = ", ".join(value)
    return FormField(
        name=name,
        title=field.get("title", name),
        hint=field.get("description", ""),
        kind=kind,
        value="" if value is None else value,
        required=required,
        secret=bool(field.get("secret")),
        choices=choices,
        multiline=bool(field.get("multiline")),
    )


def _kind(field: Mapping[str, Any]) -> str:
    """A field that may be left out has its type, or null, in anyOf; one that takes text in any form is text."""
    types = {str(each.get("type")) for each in field.get("anyOf", [field])} - {"null"}
    if types <= {"integer", "number"}:
        return "number"
    return "pairs" if types == {"object"} else "text"
