"""What `farwatch apply` would change: the wanted monitors against those that exist, by name."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from farwatch_events.masking import MASK, map_secrets, mask_secrets
from farwatch_events.monitor import dump_monitor, fields_of, parse_monitor

Monitor = dict[str, Any]


@dataclass(frozen=True)
class Update:
    """`fields` maps each changed field to (before, after); empty when only secrets are sent."""

    id: int
    monitor: Monitor
    fields: Mapping[str, tuple[object, object]]


@dataclass(frozen=True)
class Difference:
    create: Sequence[Monitor] = ()
    update: Sequence[Update] = ()
    delete: Sequence[Monitor] = ()
    unchanged: int = 0
    secrets_not_compared: int = 0

    @property
    def is_empty(self) -> bool:
        return not (self.create or self.update or self.delete)


def compare(
    wanted: Iterable[Monitor], present: Iterable[Monitor], *, prune: bool = False, send_secrets: bool = False
) -> Difference:
    """Both sides get their defaults first, so a field left out means its default and a second run finds nothing.

    `present` are answers of the API, whose secrets are masked: whether one differs cannot be seen, so monitors with
    secrets count as different only with `send_secrets`. `prune` deletes what is not wanted.
    """
    existing = {monitor["name"]: monitor for monitor in present}
    create: list[Monitor] = []
    update: list[Update] = []
    unchanged = hidden = 0
    for monitor in wanted:
        before = existing.pop(monitor["name"], None)
        if before is None:
            create.append(monitor)
            continue
        changed = _changed_fields(specification(before), monitor)
        secret = _has_secrets(monitor)
        if changed or (secret and send_secrets):
            update.append(Update(int(before["id"]), monitor, changed))
        else:
            unchanged += 1
            hidden += secret
    delete = list(existing.values()) if prune else []
    return Difference(create, update, delete, unchanged, hidden)


def specification(answer: Mapping[str, Any]) -> Monitor:
    """The fields of an API answer that a person writes, with their defaults; state and results fall away."""
    fields = fields_of(str(answer["type"]))
    return dump_monitor(parse_monitor({name: answer[name] for name in fields if name in answer}))


def without_defaults(monitor: Mapping[str, Any]) -> Monitor:
    """The shortest way to write the monitor, for `farwatch export`: name, type, address first."""
    fields = fields_of(str(monitor["type"]))
    required = {name: monitor[name] for name, info in fields.items() if info.is_required()}
    shortest = {"name": monitor["name"], "type": monitor["type"], **required}
    usual = dump_monitor(parse_monitor({**shortest, "interval_seconds": monitor["interval_seconds"]}))
    kept = {name: value for name, value in monitor.items() if name not in shortest and value != usual.get(name)}
    if monitor["interval_seconds"] != fields["interval_seconds"].default:
        kept["interval_seconds"] = monitor["interval_seconds"]
    return shortest | kept


def _changed_fields(before: Monitor, after: Monitor) -> dict[str, tuple[object, object]]:
    old, new = mask_secrets(before), mask_secrets(after)
    names = sorted({*old, *new})
    return {name: (old.get(name), new.get(name)) for name in names if old.get(name) != new.get(name)}


def _has_secrets(monitor: Monitor) -> bool:
    found: list[str] = []

    def note(value: str) -> str:
        found.append(value)
        return value

    map_secrets(monitor, note)
    return any(value != MASK for value in found)
