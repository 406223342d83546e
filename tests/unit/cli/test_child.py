"""Pauses and messages of the supervisor."""

from pathlib import Path

from farwatch_cli.child import Output, describe_end, pause_before_restart


def test_pauses_grow_to_a_bound() -> None:
    pauses = [pause_before_restart(n) for n in range(1, 9)]
    assert pauses == sorted(pauses)
    assert pauses[0] < 0.5
    assert pauses[-1] == 5.0


def test_ends_are_described() -> None:
    assert describe_end(3) == "stopped with exit code 3"
    assert describe_end(-9) == "was killed by SIGKILL"


def test_output_keeps_the_last_lines_and_a_bounded_file(tmp_path: Path) -> None:
    output = Output(tmp_path / "x.log")
    for number in range(100_000):
        output.feed(f"line {number} {'.' * 80}\npart".encode())
        output.feed(b"ial\n")
    output.close()
    assert output.last[-1] == "partial"
    assert len(output.last) == 5
    assert sum(file.stat().st_size for file in tmp_path.iterdir()) < 12 * 1024 * 1024
