"""How cost grows with the number of monitors: a row a run, kept as CSV, so that runs can be added one by one."""

import csv
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

PROCESSES = ("prober", "incidents", "scheduler", "api", "postgres", "nats")


@dataclass(frozen=True, slots=True)
class Run:
    """One run; None is what it did not measure. All probers of a region and machine count as one process."""

    measured_on: str
    load_average: float | None
    monitors: int
    interval_seconds: int
    checks_per_second: float
    us_per_check: float | None
    lateness_p50_ms: float | None
    lateness_p99_ms: float | None
    fold_lag_p99_ms: float | None
    ready_seconds: float | None
    prober_mb: float | None
    incidents_mb: float | None
    scheduler_mb: float | None
    api_mb: float | None
    postgres_mb: float | None
    nats_mb: float | None


COLUMNS = tuple(field.name for field in fields(Run))
_WHOLE = ("monitors", "interval_seconds")


def run_of(report: Mapping[str, Any], measured_on: str) -> Run:
    """What the report of bench/pipeline.py says of growth."""
    options, late = report["options"], report["start_lateness"]
    memory = dict.fromkeys(PROCESSES, 0.0)
    for name, process in report["processes"].items():
        owner = name.partition("-")[0]
        if owner in memory:
            memory[owner] += process["memory_mb"]
    return Run(
        measured_on=measured_on,
        load_average=report["machine"]["load_average"][0],
        monitors=options["monitors"],
        interval_seconds=options["interval"],
        checks_per_second=report["checks_per_second"]["stored"],
        us_per_check=report["cpu_us_per_check"],
        lateness_p50_ms=late.get("p50_ms"),
        lateness_p99_ms=late.get("p99_ms"),
        fold_lag_p99_ms=report["fold"]["lag_p99_ms"],
        ready_seconds=report["seconds_to_ready"] or None,
        **{f"{name}_mb": round(used, 1) for name, used in memory.items()},
    )


def read_runs(path: Path) -> list[Run]:
    """In the order of monitors, then of checks a second. Raises ValueError for other columns than ours."""
    with path.open(encoding="utf-8", newline="") as file:
        reader = csv.DictReader(file)
        if tuple(reader.fieldnames or ()) != COLUMNS:
            raise ValueError(f"{path}: the columns must be {','.join(COLUMNS)}")
        runs = [_run(row) for row in reader]
    return sorted(runs, key=lambda run: (run.monitors, run.checks_per_second))


def _run(row: Mapping[str, str]) -> Run:
    values: dict[str, Any] = {
        name: float(value) if value else None for name, value in row.items() if name != "measured_on"
    }
    return Run(**{**values, "measured_on": row["measured_on"], **{name: int(row[name]) for name in _WHOLE}})


def add_run(path: Path, run: Run) -> None:
    """In the place of one with as many monitors at the same interval, if there is one."""
    before = read_runs(path) if path.exists() else []
    kept = [each for each in before if (each.monitors, each.interval_seconds) != (run.monitors, run.interval_seconds)]
    write_runs(path, [*kept, run])


def write_runs(path: Path, runs: Iterable[Run]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, COLUMNS, lineterminator="\n")
        writer.writeheader()
        writer.writerows(asdict(run) for run in sorted(runs, key=lambda run: (run.monitors, run.checks_per_second)))
