"""How cost grows from a hundred monitors to a million, drawn from the runs that were kept.

python bench/pipeline.py --monitors 1000 --interval 60 --seconds 60 --growth bench/results/growth.csv
python bench/growth.py --add report.json      a run that was printed earlier
python bench/growth.py                        docs/images/growth.svg anew
"""

import argparse
import json
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from operator import attrgetter
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from bench.harness.chart import Panel, Point, Series, draw
from bench.harness.growth import PROCESSES, Run, add_run, read_runs, run_of

ROOT = Path(__file__).resolve().parents[1]
RUNS = ROOT / "bench" / "results" / "growth.csv"
PICTURE = ROOT / "docs" / "images" / "growth.svg"
NAMES = {"incidents": "fold", "postgres": "PostgreSQL", "nats": "NATS"}
LATENESS_GOAL_MS = 250.0


def picture(runs: Sequence[Run]) -> str:
    """Lines join the slowest run of each number of monitors; busier ones stand beside them."""
    memory = [_series(runs, NAMES.get(name, name), attrgetter(f"{name}_mb"), "MB", others=False) for name in PROCESSES]
    panels = [
        Panel("Processor time of a check, µs", [_series(runs, "all", attrgetter("us_per_check"), "µs")]),
        Panel("Memory of each process, MB", [each for each in memory if each.line]),
        Panel(
            "Start of a check behind its slot, p99, ms",
            [_series(runs, "late", attrgetter("lateness_p99_ms"), "ms")],
            (LATENESS_GOAL_MS, "goal 250 ms"),
        ),
        Panel("Seconds until ready after a restart", [_series(runs, "ready", attrgetter("ready_seconds"), "s")]),
    ]
    return draw(
        "How cost grows with the number of monitors",
        "; ".join(_told(run, run.us_per_check, "µs a check") for run in runs if run.us_per_check),
        "monitors",
        [panel for panel in panels if panel.series and panel.series[0].line],
    )


def _series(
    runs: Sequence[Run], name: str, value: Callable[[Run], float | None], unit: str, *, others: bool = True
) -> Series:
    calm: dict[int, Run] = {}
    for run in runs:
        if value(run) and run.monitors not in calm:
            calm[run.monitors] = run

    def point(run: Run) -> Point:
        return Point(run.monitors, value(run) or 0.0, f"{name}: {_told(run, value(run), unit)}")

    busy = [run for run in runs if value(run) and run is not calm[run.monitors]] if others else []
    return Series(name, [point(run) for run in calm.values()], [point(run) for run in busy])


def _told(run: Run, value: float | None, unit: str) -> str:
    of = f"{run.monitors:,} monitors every {run.interval_seconds} s, {run.checks_per_second:,g} checks/s"
    load = "" if run.load_average is None else f" (load average {run.load_average:g})"
    return f"{of}: {value:g} {unit}{load}"


def keep(report: Mapping[str, Any], runs: Path) -> None:
    """Adds what bench/pipeline.py reported to these runs; the picture in the docs follows those that it shows."""
    add_run(runs, run_of(report, time.strftime("%Y-%m-%d", time.gmtime())))
    if runs.resolve() == RUNS:
        redraw()


def redraw() -> None:
    PICTURE.write_text(picture(read_runs(RUNS)), encoding="utf-8")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--add", type=Path, metavar="REPORT", help="what bench/pipeline.py printed")
    options = parser.parse_args()
    if options.add:
        keep(json.loads(options.add.read_text()), RUNS)
    redraw()


if __name__ == "__main__":
    main()
