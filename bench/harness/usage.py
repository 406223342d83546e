"""Processor time and memory of processes, from /proc. A server with children counts as one."""

import os
from collections.abc import Collection, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

_TICKS_PER_SECOND = os.sysconf("SC_CLK_TCK")
_PROC = Path("/proc")


@dataclass(frozen=True, slots=True)
class Stat:
    """`cpu_seconds` of the process itself, `reaped_seconds` of children that ended and were waited for."""

    parent: int
    cpu_seconds: float
    reaped_seconds: float


@dataclass(frozen=True, slots=True)
class Usage:
    cpu_seconds: float
    memory_mb: float


@dataclass(frozen=True, slots=True)
class Machine:
    """Seconds of all cores together since boot."""

    busy: float
    idle: float
    stolen: float


def read_machine() -> Machine:
    fields = [int(each) / _TICKS_PER_SECOND for each in (_PROC / "stat").read_text().split("\n", 1)[0].split()[1:9]]
    user, nice, system, idle, waiting, hard, soft, stolen = fields
    return Machine(user + nice + system + hard + soft, idle + waiting, stolen)


def read_stats() -> dict[int, Stat]:
    """Every process that there is, by pid."""
    found = {}
    for folder in _PROC.iterdir():
        if folder.name.isdigit():
            with suppress(OSError, ValueError):
                fields = (folder / "stat").read_text().rsplit(")", 1)[1].split()
                own, reaped = int(fields[11]) + int(fields[12]), int(fields[13]) + int(fields[14])
                found[int(folder.name)] = Stat(int(fields[1]), own / _TICKS_PER_SECOND, reaped / _TICKS_PER_SECOND)
    return found


def family(pid: int, stats: Mapping[int, Stat], apart: Collection[int] = ()) -> list[int]:
    """The process and its living descendants, without those `apart` and theirs."""
    members = [pid] if pid in stats else []
    for member in members:
        members.extend(child for child, stat in stats.items() if stat.parent == member and child not in apart)
    return members


def measure(processes: Mapping[str, int]) -> dict[str, Usage]:
    """By name, each with its descendants: time of those that ended is kept by the parent that waited for them."""
    stats = read_stats()
    used = {}
    for name, pid in processes.items():
        members = family(pid, stats, processes.values())
        cpu_seconds = sum(stats[each].cpu_seconds + stats[each].reaped_seconds for each in members)
        used[name] = Usage(cpu_seconds, _memory_mb(members))
    return used


def _memory_mb(pids: Iterable[int]) -> float:
    """The proportional share (PSS): services are forked from one process and have its memory in common."""
    return sum(_field_mb(_PROC / str(each) / "smaps_rollup", "Pss:") for each in pids)


def _field_mb(path: Path, field: str) -> float:
    with suppress(OSError):
        for line in path.read_text().splitlines():
            if line.startswith(field):
                return int(line.split()[1]) / 1024
    return 0.0
