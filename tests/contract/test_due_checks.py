"""What the scheduler writes is what the prober knows again."""

from farwatch_events.checks import DueCheck
from farwatch_events.monitor import dump_monitor, parse_monitor
from farwatch_prober.intake import Reader
from farwatch_scheduler.chunks import Ask, make_chunks
from farwatch_scheduler.monitors import Monitor, Row, Shapes, make_monitor
from tests.support.due import chunk_of

SLOT_MS = 1_790_000_000_100
SPECS = [
    parse_monitor({"type": "http", "name": 'sh"op, münchen', "url": "https://shop.test/?a={}", "method": "HEAD"}),
    parse_monitor({"type": "port", "name": "db", "host": "db.test", "port": 5432, "interval_seconds": 20}),
]


def scheduled(number: int) -> Monitor:
    row = Row.of(number, 3, dump_monitor(SPECS[number]))
    return make_monitor(row, Shapes().of(row))


def written(slot_ms: int, ask: Ask) -> bytes:
    (chunk,) = make_chunks("eu-1", 17, slot_ms, [scheduled(number) for number in range(len(SPECS))], ask)
    return chunk.data


def test_a_chunk_of_the_ring_is_not_parsed_a_second_time() -> None:
    reader = Reader()
    first, again = (reader.read(written(slot_ms, Ask()), 0) for slot_ms in (SLOT_MS, SLOT_MS + 60_000))
    assert [check.spec for check in first.checks] == SPECS
    for before, after in zip(first.checks, again.checks, strict=True):
        assert after.spec is before.spec
        assert (after.monitor_id, after.config_version, after.slot_ms) == (before.monitor_id, 3, SLOT_MS + 60_000)
    assert (first.epoch, again.epoch) == (17, 17)


def test_tests_and_benches_write_chunks_as_the_scheduler_does() -> None:
    checks = [DueCheck(monitor_id=n, config_version=3, slot_ms=0, spec=spec) for n, spec in enumerate(SPECS)]
    ask = Ask("confirmation", tries=1, confirmation_of_ms=9)
    told = {"kind": "confirmation", "tries": 1, "confirmation_of_ms": 9}
    for ours, theirs in (
        (chunk_of("eu-1", 17, SLOT_MS, checks), written(SLOT_MS, Ask())),
        (chunk_of("eu-1", 17, SLOT_MS, checks, **told), written(SLOT_MS, ask)),
    ):
        assert _shape(ours) == _shape(theirs)
        assert Reader().read(ours, 0) == Reader().read(theirs, 0)


def _shape(chunk: bytes) -> list[bytes]:
    """The head, and how each check begins."""
    return [part.partition(b'"spec":')[0] for part in chunk.split(b'"slot_ms"')]
