"""Files for `farwatch apply`, and what is said about them."""

from pathlib import Path

import pytest
import yaml

from farwatch_cli.demo import samples
from farwatch_cli.demo_target import answer, is_broken, is_slow
from farwatch_cli.difference import Difference, Update, without_defaults
from farwatch_cli.monitors import FileProblem, describe, dump_file, read_file


def written(folder: Path, text: str) -> Path:
    path = folder / "monitors.yaml"
    path.write_text(text)
    return path


def test_channels_are_named(tmp_path: Path) -> None:
    path = written(tmp_path, "monitors: [{name: a, type: port, host: h, port: 1, channels: [Ops, 9]}]")
    (monitor,) = read_file(path, {"Ops": 4})
    assert monitor["channels"] == [4, 9]
    assert monitor["interval_seconds"] == 60


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("monitors: [", "cannot be read"),
        ("- name: a", "must hold a list under the key `monitors`"),
        ("monitors: {a: b}", "must hold a list under the key `monitors`"),
        ("monitors: [7]", "monitor 1: must be fields with values"),
        ("monitors: [{name: a, type: http, url: 'ftp://x'}]", r"monitor 1 \(a\): url: must start with http://"),
        ("monitors: [{name: a, type: gopher}]", r"monitor 1 \(a\): .*'gopher'"),
        ("monitors: [{name: a, type: port, host: h, port: 1, interval: 9}]", "interval: Extra inputs"),
        ("monitors: [{name: a, type: port, host: h, port: 1, channels: [Nobody]}]", "no channel is named 'Nobody'"),
        ("monitors: [{name: a, type: push}, {name: a, type: push}]", "names 'a' twice"),
    ],
)
def test_problems_name_their_place(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(FileProblem, match=message):
        read_file(written(tmp_path, text), {})


def test_a_missing_file_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(FileProblem) as caught:
        read_file(tmp_path / "none.yaml", {})
    assert "\n" not in str(caught.value)


def test_the_difference_is_told() -> None:
    difference = Difference(
        create=[{"name": "new", "type": "push"}],
        update=[Update(1, {"name": "old"}, {"retries": (1, 2)})],
        delete=[{"name": "gone", "type": "http"}],
        unchanged=3,
    )
    assert describe(difference) == [
        "+ new (push)",
        "~ old",
        "    retries: 1 -> 2",
        "- gone (http)",
        "1 to create, 1 to change, 1 to delete, 3 unchanged.",
    ]


def test_what_is_exported_can_be_read_again(tmp_path: Path) -> None:
    monitors = samples(20_000)
    path = written(tmp_path, dump_file([without_defaults(monitor) for monitor in monitors]))
    assert read_file(path, {}) == monitors
    assert "timeout_seconds: 10" not in yaml.safe_dump(path.read_text())


def test_the_demo_target_has_good_and_bad_moments() -> None:
    moments = [float(second) for second in range(240)]
    assert {answer("/checkout", now)[0] for now in moments} == {200, 503}
    assert {answer("/", now)[0] for now in moments} == {200}
    assert 0 < sum(is_broken(now) for now in moments) < 120
    assert not [now for now in moments if is_broken(now) and is_slow(now)]
    assert answer("/nowhere", 0.0)[0] == 404
