"""Messages into the board, in an order that makes sense. Pure."""

from collections.abc import Sequence

from farwatch_events.results import Heartbeat, ResultBatch
from farwatch_incidents.board import Board

Said = tuple[int, ResultBatch | Heartbeat]
"""A message with its JetStream time."""


def feed(board: Board, messages: Sequence[Said], *, in_slices: bool) -> None:
    """`messages` in their order of time. `in_slices` while catching up: results by slot and region, so that votes meet
    as they would have met, then the heartbeats, whose watermarks speak of results before them."""
    if in_slices:
        _feed_slice(board, messages)
        return
    for timestamp_ms, said in messages:
        board.at(timestamp_ms)
        if isinstance(said, Heartbeat):
            board.hear_heartbeat(said)
            continue
        for result in said.results:
            board.hear_result(said.region, said, result)


def _feed_slice(board: Board, messages: Sequence[Said]) -> None:
    results = [
        (result.slot_ms, said.region, timestamp_ms, said, result)
        for timestamp_ms, said in messages
        if isinstance(said, ResultBatch)
        for result in said.results
    ]
    results.sort(key=lambda each: each[:3])
    for _, region, timestamp_ms, said, result in results:
        board.at(timestamp_ms)
        board.hear_result(region, said, result)
    for timestamp_ms, beat in messages:
        if isinstance(beat, Heartbeat):
            board.at(timestamp_ms)
            board.hear_heartbeat(beat)
