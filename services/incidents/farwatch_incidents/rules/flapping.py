"""Flapping as Nagios defines it: of the last 20 possible changes, weighted 0.75 (oldest) to 1.25 (newest), 30% begin
and 20% end it. A slot of the monitor's interval is one possible change."""

from dataclasses import dataclass, replace

POSSIBLE_CHANGES = 20
START_PERCENT = 30.0
STOP_PERCENT = 20.0


@dataclass(frozen=True, slots=True)
class Flapping:
    """Slots at which the confirmed verdict changed, newest last, and the flag."""

    changes_ms: tuple[int, ...] = ()
    flag: bool = False


STEADY = Flapping()


def weight(age: int) -> float:
    """Of a change `age` slots ago."""
    return 0.75 + 0.5 * (POSSIBLE_CHANGES - 1 - age) / (POSSIBLE_CHANGES - 1)


def percent_changed(flapping: Flapping, slot_ms: int, interval_ms: int) -> float:
    ages = {max(0, slot_ms - at) // interval_ms for at in flapping.changes_ms}
    return 100.0 * sum(weight(age) for age in ages if age < POSSIBLE_CHANGES) / POSSIBLE_CHANGES


def note_change(flapping: Flapping, slot_ms: int, interval_ms: int) -> Flapping:
    changes = (*flapping.changes_ms, slot_ms)[-POSSIBLE_CHANGES:]
    return reconsider(replace(flapping, changes_ms=changes), slot_ms, interval_ms)


def reconsider(flapping: Flapping, slot_ms: int, interval_ms: int) -> Flapping:
    """The same value when nothing changes."""
    if not flapping.changes_ms:
        return flapping
    percent = percent_changed(flapping, slot_ms, interval_ms)
    flag = percent > STOP_PERCENT if flapping.flag else percent >= START_PERCENT
    return flapping if flag == flapping.flag else replace(flapping, flag=flag)
