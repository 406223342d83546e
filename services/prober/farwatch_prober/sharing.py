"""Equal parts of specifications, kept once: most monitors differ in their name and address only. Pure."""

from collections.abc import Hashable
from typing import TypeVar

from farwatch_events.monitor import MonitorSpec

PARTS_MAX = 4096
TEXTS_MAX = 16
CHARACTERS_MAX = 64

P = TypeVar("P")


class Sharing:
    """Specifications are frozen, so nobody can tell; of a plain one it takes a third of the memory."""

    def __init__(self) -> None:
        self._parts: dict[Hashable, object] = {}

    def share(self, spec: MonitorSpec) -> None:
        """Puts what was seen before in the place of empty lists, lists of texts, and the set of fields given."""
        values = spec.__dict__
        for name, value in values.items():
            if isinstance(value, list) and _is_small(value):
                values[name] = self._once((list, *value), value)
            elif value == {}:
                values[name] = self._once(dict, value)
        given = spec.model_fields_set
        object.__setattr__(spec, "__pydantic_fields_set__", self._once(frozenset(given), given))

    def _once(self, key: Hashable, part: P) -> P:
        known = self._parts.get(key)
        if known is None:
            if len(self._parts) < PARTS_MAX:
                self._parts[key] = part
            return part
        assert isinstance(known, type(part))
        return known


def _is_small(part: list[object]) -> bool:
    """A few short texts, or nothing."""
    return len(part) <= TEXTS_MAX and all(isinstance(each, str) and len(each) <= CHARACTERS_MAX for each in part)
