"""The chart of how cost grows: what a report adds to it, and the picture."""

import xml.etree.ElementTree as ET
from pathlib import Path
from typing import Any

import pytest

from bench.growth import picture
from bench.harness.chart import LABEL_HEIGHT, Scale, spread, ticks
from bench.harness.growth import COLUMNS, add_run, read_runs, run_of

SVG = "{http://www.w3.org/2000/svg}"


def report(monitors: int, us_per_check: float = 600.0, seconds_to_ready: float = 0.0) -> dict[str, Any]:
    """What bench/pipeline.py prints, as far as growth is concerned."""
    names = ("prober-1", "prober-2", "incidents", "scheduler", "api", "postgres", "nats", "supervisor", "nginx")
    return {
        "machine": {"load_average": [1.5, 1, 1]},
        "options": {"monitors": monitors, "interval": 60},
        "checks_per_second": {"asked": monitors / 60, "stored": monitors / 60},
        "cpu_us_per_check": us_per_check,
        "start_lateness": {"p50_ms": 3.0, "p99_ms": 20.0},
        "fold": {"lag_p99_ms": 100.0},
        "seconds_to_ready": seconds_to_ready,
        "processes": {name: {"memory_mb": 100.0} for name in names},
    }


def test_a_report_becomes_a_row_in_the_place_of_the_older_one(tmp_path: Path) -> None:
    path = tmp_path / "growth.csv"
    for monitors, cost in ((100_000, 700), (100, 9000), (100_000, 650)):
        add_run(path, run_of(report(monitors, cost), "2026-01-01"))
    runs = read_runs(path)
    assert [(run.monitors, run.us_per_check) for run in runs] == [(100, 9000), (100_000, 650)]
    assert (runs[0].prober_mb, runs[0].incidents_mb, runs[0].ready_seconds) == (200, 100, None)
    assert (runs[0].measured_on, runs[0].load_average) == ("2026-01-01", 1.5)


def test_a_file_with_other_columns_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "growth.csv"
    path.write_text("monitors,cost\n100,1\n")
    with pytest.raises(ValueError, match="columns must be " + ",".join(COLUMNS[:2])):
        read_runs(path)


def test_the_picture_tells_every_run_and_leaves_out_what_nobody_measured(tmp_path: Path) -> None:
    path = tmp_path / "growth.csv"
    for monitors in (100, 20_000, 1_000_000):
        add_run(path, run_of(report(monitors), "2026-01-01"))
    drawn = ET.fromstring(picture(read_runs(path)))
    told = [title.text or "" for title in drawn.iter(f"{SVG}title")]
    assert all(any(f"{monitors} monitors" in each for each in told) for monitors in ("100", "20,000", "1,000,000"))
    words = [text.text for text in drawn.iter(f"{SVG}text")]
    assert "fold" in words
    assert not any("ready" in (word or "") for word in words)
    assert "prefers-color-scheme: dark" in "".join(style.text or "" for style in drawn.iter(f"{SVG}style"))


def test_the_kept_runs_are_what_is_drawn() -> None:
    root = Path(__file__).resolve().parents[3]
    runs = read_runs(root / "bench" / "results" / "growth.csv")
    assert (root / "docs" / "images" / "growth.svg").read_text(encoding="utf-8") == picture(runs)


def test_places_on_the_page() -> None:
    scale = Scale(100, 10_000, 0, 200)
    assert (scale(100), scale(1000), scale(10_000)) == (0, 100, 200)
    assert ticks(100, 1_000_000) == [100, 1_000, 10_000, 100_000, 1_000_000]
    assert ticks(22, 250) == [20, 50, 100, 200, 500]
    assert ticks(5, 5) == [5, 10]
    assert ticks(10, 10) == [10, 20]
    places = spread([10, 11, 12, 60])
    assert places == [10, 10 + LABEL_HEIGHT, 10 + 2 * LABEL_HEIGHT, 60]
