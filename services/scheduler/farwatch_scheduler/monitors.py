"""A monitor as the scheduler keeps it: its part of any chunk, serialised once per configuration. Pure.

A million monitors differ in their names and addresses and hardly in anything else. What they have in common is read,
validated and serialised once: that is what makes a start with a million of them take seconds.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from json.encoder import encode_basestring
from typing import Any, Final, NamedTuple

from farwatch_events.monitor import MonitorSpec, read_stored_monitor

TTL_MIN_SECONDS: Final = 60
OWN: Final = ("name", "url", "host")
"""Fields of a specification that are texts and different in every monitor. None of them is judged beside another."""
_SHAPES_MAX: Final = 4_096
_COMMON_MAX_CHARACTERS: Final = 4_096


class Row(NamedTuple):
    """A row of config.monitors, its specification in two: the OWN fields, and the JSON text of all others."""

    monitor_id: int
    config_version: int
    type: str
    enabled: bool
    deleted: bool
    name: str | None
    url: str | None
    host: str | None
    common: str

    @classmethod
    def of(cls, monitor_id: int, config_version: int, spec: Mapping[str, Any], **more: bool) -> "Row":
        """From a specification in one piece."""
        common = {name: value for name, value in spec.items() if name not in OWN}
        name, url, host = (spec.get(field) for field in OWN)
        enabled, deleted = more.get("enabled", True), more.get("deleted", False)
        return cls(monitor_id, config_version, spec["type"], enabled, deleted, name, url, host, json.dumps(common))


@dataclass(frozen=True, slots=True)
class Shape:
    """What a specification says beside its OWN fields, and which of those it has. `regions` empty means all."""

    own: tuple[str, ...]
    interval_ms: int
    regions: tuple[str, ...]
    ttl_seconds: int
    rest: bytes


# Not frozen, though nobody changes one: a million are made at a start, and that would double what each costs.
@dataclass(slots=True)
class Monitor:
    """`body` is the inside of its DueCheck's JSON, without what the slot decides."""

    monitor_id: int
    config_version: int
    body: bytes
    shape: Shape


class Shapes:
    """Shapes already known. One that was found valid is not validated again; the prober judges what differs."""

    def __init__(self) -> None:
        self._known: dict[tuple[str, bool, bool, bool], Shape] = {}

    def of(self, row: Row) -> Shape:
        """Raises pydantic.ValidationError."""
        key = (row.common, row.name is None, row.url is None, row.host is None)
        shape = self._known.get(key)
        if shape is None:
            shape = make_shape(_read(row))
            if len(row.common) <= _COMMON_MAX_CHARACTERS:
                if len(self._known) >= _SHAPES_MAX:
                    self._known.clear()
                self._known[key] = shape
        return shape


def _read(row: Row) -> MonitorSpec:
    own = {"name": row.name, "url": row.url, "host": row.host}
    given = {name: value for name, value in own.items() if value is not None}
    return read_stored_monitor({**json.loads(row.common), **given})


def make_shape(spec: MonitorSpec) -> Shape:
    data = spec.model_dump(mode="json", exclude_defaults=True)
    # The default of the timeout depends on the interval, so it must not be left out.
    data["timeout_seconds"] = spec.timeout_seconds
    rest = {name: value for name, value in data.items() if name not in OWN}
    return Shape(
        own=tuple(name for name in OWN if name in data),
        interval_ms=spec.interval_ms,
        regions=tuple(spec.regions),
        ttl_seconds=max(2 * spec.interval_seconds, TTL_MIN_SECONDS),
        rest=json.dumps(rest, ensure_ascii=False, separators=(",", ":")).encode()[1:],
    )


def make_monitor(row: Row, shape: Shape) -> Monitor:
    head = f'"monitor_id":{row.monitor_id},"config_version":{row.config_version},"spec":{{'
    for name in shape.own:
        head += f'"{name}":{encode_basestring(getattr(row, name))},'
    return Monitor(row.monitor_id, row.config_version, head.encode() + shape.rest, shape)
