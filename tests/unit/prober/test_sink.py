from farwatch_prober.sink import BODY_MAX_BYTES, HEADERS_MAX_BYTES, Memory, Sink, encoding_of


def begun(memory: Memory, keep: int = BODY_MAX_BYTES) -> Sink:
    sink = Sink(memory)
    sink.begin(keep)
    return sink


def test_a_body_is_kept_up_to_what_was_asked_and_read_up_to_the_limit() -> None:
    sink = begun(Memory(), keep=5)
    assert sink.on_header(b"HTTP/1.1 200 OK\r\n") is None
    assert [sink.on_body(part) for part in (b"abc", b"def", b"g" * 1000)] == [None] * 3
    assert not sink.is_cut
    assert sink.on_body(b"x" * BODY_MAX_BYTES) == 0
    assert sink.is_cut
    assert sink.end() == ([b"HTTP/1.1 200 OK\r\n"], b"abcde")
    sink.begin(5)
    assert not sink.is_cut
    assert sink.end() == ([], b"")


def test_headers_have_a_limit() -> None:
    sink = begun(Memory())
    line = b"X: " + b"y" * 1000
    taken = 0
    while sink.on_header(line) is None:
        taken += len(line)
    assert HEADERS_MAX_BYTES - len(line) <= taken <= HEADERS_MAX_BYTES
    assert sink.is_flooded


def test_who_holds_most_gives_way_and_its_memory_is_free_at_once() -> None:
    memory = Memory(limit=10_000)
    small, large, newest = begun(memory), begun(memory), begun(memory)
    small.on_body(b"s" * 1000)
    large.on_body(b"l" * 8000)
    assert newest.on_body(b"n" * 2000) is None
    assert (memory.used, memory.emptied) == (3000, 1)
    assert large.starved
    assert large.on_body(b"l") == 0
    assert large.end() == ([], b"")
    assert small.end()[1] == b"s" * 1000
    assert newest.end()[1] == b"n" * 2000
    assert memory.used == 0


def test_one_that_holds_most_itself_ends_itself() -> None:
    memory = Memory(limit=100)
    sink = begun(memory)
    assert sink.on_body(b"x" * 101) == 0
    assert sink.starved
    assert memory.used == 0


def test_headers_count_once_they_are_many_and_give_way_too() -> None:
    memory = Memory(limit=10_000)
    few, many = begun(memory), begun(memory)
    assert few.on_header(b"X: few\r\n") is None
    assert memory.used == 0
    for _ in range(9):
        assert many.on_header(b"X: " + b"y" * 997) is None
    assert memory.used == many.held == 9000
    assert many.on_body(b"z" * 1001) == 0
    assert many.starved
    assert many.on_header(b"X: more\r\n") == 0
    assert (many.end(), memory.used) == (([], b""), 0)
    assert few.end() == ([b"X: few\r\n"], b"")


def test_an_unknown_encoding_ends_the_transfer_in_any_case() -> None:
    for name in (b"Content-Encoding", b"content-encoding", b"CONTENT-ENCODING"):
        sink = begun(Memory())
        assert sink.on_header(b"Content-Type: text/html\r\n") is None
        assert sink.on_header(name + b": teapot\r\n") is None
        assert not sink.is_garbled
        assert sink.on_body(b"x") == 0
        assert sink.is_garbled
        assert sink.on_body(b"x") == 0
        assert sink.end()[1] == b""


def test_the_encoding_is_that_of_the_last_answer() -> None:
    interim = [b"HTTP/1.1 103 Early Hints\r\n", b"Content-Encoding: teapot\r\n", b"\r\n"]
    last = [b"HTTP/1.1 200 OK\r\n", b"X-Content-Encoding: teapot\r\n", b"content-encoding : gzip\r\n", b"\r\n"]
    assert encoding_of([*interim, *last]).strip() == "gzip"
    assert encoding_of([*interim, last[0]]) == encoding_of([]) == ""
